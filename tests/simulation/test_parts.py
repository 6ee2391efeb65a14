"""Each part of the forward model alone, against closed forms."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from calcium_lightning.simulation import SceneSettings, background, motion
from calcium_lightning.simulation.activity import draw_activity, slow_courses
from calcium_lightning.simulation.cells import Shapes, draw_cells, draw_footprints
from calcium_lightning.simulation.sensor import Sensor
from calcium_lightning.simulation.streams import frame_normals, stream


def round_shapes(centers, diameter=12.0, blur=0.0) -> Shapes:
    count = len(centers)
    return Shapes(
        np.asarray(centers, float),
        diameter=np.full(count, diameter),
        elongation=np.ones(count),
        angle=np.zeros(count),
        blur=np.full(count, blur),
        outline=np.zeros((count, 5), complex),
    )


# streams


def test_streams_are_independent_by_name_and_repeat():
    assert stream(1, "a").random() == stream(1, "a").random()
    assert len({stream(1, "a").random(), stream(1, "b").random(), stream(2, "a").random()}) == 3


def test_noise_of_a_frame_does_not_depend_on_its_block():
    together = frame_normals(3, np.arange(5), (6, 7))
    alone = np.concatenate([frame_normals(3, np.array([t]), (6, 7)) for t in range(5)])
    np.testing.assert_array_equal(together, alone)
    assert abs(np.corrcoef(together[0].ravel(), together[1].ravel())[0, 1]) < 0.6
    many = frame_normals(3, np.arange(40), (50, 50))
    assert stats.kstest(many.ravel()[::7], "norm").pvalue > 0.01


# activity


def test_calcium_is_spikes_under_a_kernel_of_known_area():
    decay, rise = 0.5, 0.05
    scene = SceneSettings(
        seconds=400,
        fps=20,
        rise_s=rise,
        decay_s=decay,
        spikes_per_burst=1,
        bursts_per_second=0.5,
        synchrony=0,
    )
    activity = draw_activity(6, scene, np.random.default_rng(0))
    peak = np.log(decay / rise) * decay * rise / (decay - rise)
    area = (decay - rise) / (np.exp(-peak / decay) - np.exp(-peak / rise))
    np.testing.assert_allclose(activity.calcium.sum(1) / 20, activity.spikes.sum(1) * area, rtol=0.03)
    assert activity.spikes.sum(1).mean() == pytest.approx(0.5 * 400, rel=0.15)
    assert activity.calcium.min() >= 0


def test_calcium_peaks_at_one_and_falls_with_its_decay():
    scene = SceneSettings(
        seconds=600, fps=50, rise_s=0.02, decay_s=0.6, spikes_per_burst=1, bursts_per_second=0.02, synchrony=0
    )
    activity = draw_activity(20, scene, np.random.default_rng(1))
    slopes, peaks = [], []
    for spikes, calcium in zip(activity.spikes, activity.calcium, strict=True):
        times = np.flatnonzero(spikes)
        for now, after in itertools.pairwise(times):
            if after - now > 150 and calcium[now - 1] < 1e-3 and spikes[now] == 1:
                tail = calcium[now + 20 : now + 100]
                slopes.append(np.polyfit(np.arange(len(tail)) / 50, np.log(tail), 1)[0])
                peaks.append(calcium[now : now + 50].max())
    assert len(slopes) > 20
    np.testing.assert_allclose(slopes, -1 / 0.6, rtol=0.03)
    np.testing.assert_allclose(peaks, 1, rtol=0.03)


def test_a_slower_camera_sees_the_mean_of_the_same_activity():
    fast, slow = SceneSettings(seconds=30, fps=40), SceneSettings(seconds=30, fps=10)
    one = draw_activity(4, fast.replace(decay_s=1.0), np.random.default_rng(2))
    two = draw_activity(4, slow.replace(decay_s=1.0), np.random.default_rng(2))
    # both began a whole number of slow frames before the first
    np.testing.assert_allclose(one.spikes.reshape(4, 300, 4).sum(2), two.spikes, atol=1)
    assert np.corrcoef(one.calcium.reshape(4, 300, 4).mean(2).ravel(), two.calcium.ravel())[0, 1] > 0.999


def test_synchrony_makes_cells_of_an_assembly_correlate():
    apart, together = (
        np.corrcoef(
            draw_activity(12, SceneSettings(seconds=200, synchrony=s), np.random.default_rng(3)).calcium
        )
        for s in (0.0, 0.9)
    )
    off = ~np.eye(12, dtype=bool)
    assert together[off].mean() > apart[off].mean() + 0.1


def test_slow_courses_have_unit_variance_and_their_correlation_time():
    courses = slow_courses(20, 20_000, 20.0, (1.0, 1.0), np.random.default_rng(0))
    np.testing.assert_allclose(courses.mean(1), 0, atol=1e-9)
    np.testing.assert_allclose(courses.std(1), 1, rtol=1e-9)
    lagged = np.mean(courses[::2, 20:] * courses[::2, :-20], axis=1)
    assert lagged.mean() == pytest.approx(np.exp(-1), abs=0.06)


# motion


@settings(max_examples=25, deadline=None)
@given(dy=st.floats(-7, 7), dx=st.floats(-7, 7))
def test_a_point_at_c_is_found_at_c_plus_shift(dy, dx):
    shifts = np.array([[dy, dx]], np.float32)
    margin = motion.margin_px(shifts)
    height, width = 40, 56
    y, x = np.mgrid[-margin : height + margin, -margin : width + margin]
    blob = np.exp(-((y - 18.0) ** 2 + (x - 30.0) ** 2) / (2 * 2.5**2)).astype(np.float32)
    moved = motion.shifted(torch.from_numpy(blob)[None], shifts, (height, width))[0].numpy()
    y, x = np.mgrid[:height, :width]
    expected = np.exp(-((y - 18.0 - dy) ** 2 + (x - 30.0 - dx) ** 2) / (2 * 2.5**2))
    np.testing.assert_allclose(moved, expected, atol=4e-3)


def test_whole_shifts_are_exact_and_one_image_serves_all_frames():
    image = np.random.default_rng(0).random((30, 34)).astype(np.float32)
    shifts = np.array([[0, 0], [2, -1], [-3, 3]], np.float32)
    margin = motion.margin_px(shifts)
    size = (30 - 2 * margin, 34 - 2 * margin)
    moved = motion.shifted(torch.from_numpy(image)[None], shifts, size).numpy()
    for frame, (dy, dx) in zip(moved, shifts.astype(int), strict=True):
        expected = image[margin - dy : margin - dy + size[0], margin - dx : margin - dx + size[1]]
        np.testing.assert_allclose(frame, expected, atol=1e-6)


def test_motion_has_its_spread_and_stays_within_bounds():
    scene = SceneSettings(seconds=500, motion_std_px=(2.0, 0.5))
    shifts = motion.draw_motion(scene, np.random.default_rng(0))
    np.testing.assert_allclose(shifts.std(0), [2.0, 0.5], rtol=0.25)
    assert (np.abs(shifts) <= motion.LIMIT * np.array([2.0, 0.5]) + 1e-6).all()
    still = motion.draw_motion(scene.replace(motion_std_px=(0, 0)), np.random.default_rng(0))
    assert not still.any()
    for fps, seconds in ((5.0, 100.0), (20.0, 0.05)):  # too slow to see the oscillation; one frame
        assert np.isfinite(
            motion.draw_motion(scene.replace(fps=fps, seconds=seconds), np.random.default_rng(0))
        ).all()


def test_bending_has_its_spread_and_nothing_in_common():
    scene = SceneSettings(height_px=60, width_px=80, seconds=200, motion_nonrigid_px=1.5)
    bending = motion.Bending.draw(scene, np.random.default_rng(0))
    y, x = np.arange(60.0)[:, None], np.arange(80.0)
    fields = np.stack([bending.at(frame, y, x) for frame in range(0, 4000, 10)])
    np.testing.assert_allclose(fields.mean((2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(fields.std((0, 2, 3)), 1.5, rtol=0.15)
    assert np.abs(fields).max() <= bending.reach
    assert motion.Bending.draw(scene.replace(motion_nonrigid_px=0), np.random.default_rng(0)) is None


def test_a_residual_is_small():
    scene = SceneSettings(seconds=100, motion_residual_px=0.3)
    assert motion.draw_residual(scene, np.random.default_rng(0)).std() == pytest.approx(0.3, rel=0.2)


# cells


@pytest.mark.parametrize("diameter", [8.0, 12.6, 20.0])
def test_a_soma_in_focus_is_as_wide_as_it_says(diameter):
    images, peaks = draw_footprints(round_shapes([(40, 50)], diameter), (0, 0), (80, 100), 0.15 * diameter)
    assert peaks[0] == pytest.approx(1)
    area = (images.toarray() > 0.5).sum()
    assert 2 * np.sqrt(area / np.pi) == pytest.approx(diameter, rel=0.06)


@settings(max_examples=20, deadline=None)
@given(y=st.floats(20, 40), x=st.floats(20, 60), oy=st.integers(-9, 9), ox=st.integers(-9, 9))
def test_a_footprint_lies_at_its_sub_pixel_place(y, x, oy, ox):
    images, _ = draw_footprints(round_shapes([(y, x)]), (-oy, -ox), (70, 90), 2.0)
    image = images.toarray().reshape(70, 90)
    np.testing.assert_allclose(ndimage.center_of_mass(image), (y + oy, x + ox), atol=0.02)


def test_defocus_spreads_light_and_loses_none():
    sharp, _ = draw_footprints(round_shapes([(60, 60)]), (0, 0), (120, 120), 2.0)
    blurred, peaks = draw_footprints(round_shapes([(60, 60)], blur=6.0), (0, 0), (120, 120), 2.0)
    assert peaks[0] < 0.5
    assert blurred.max() == pytest.approx(peaks[0], rel=1e-5)
    assert blurred.sum() == pytest.approx(sharp.sum(), rel=0.05)
    reference = ndimage.gaussian_filter(sharp.toarray().reshape(120, 120), 6.0)
    np.testing.assert_allclose(blurred.toarray().reshape(120, 120), reference, atol=0.02)


def test_footprints_keep_their_order_and_are_cut_at_one_percent():
    rng = np.random.default_rng(0)
    centers = rng.uniform(0, 60, (30, 2))
    shapes = round_shapes(centers)
    blur = rng.uniform(0, 8, 30)
    shapes = Shapes(centers, shapes.diameter, shapes.elongation, shapes.angle, blur, shapes.outline)
    images, peaks = draw_footprints(shapes, (-40, -40), (140, 140), 2.0)
    for image, peak, center in zip(images.toarray(), peaks, centers, strict=True):
        assert image[image > 0].min() >= 0.0099 * peak
        place = ndimage.center_of_mass(image.reshape(140, 140))
        np.testing.assert_allclose(place, center + 40, atol=0.05)


def test_outside_is_lost_and_no_cells_are_no_rows():
    images, peaks = draw_footprints(round_shapes([(-100, 5), (0, 0)]), (0, 0), (30, 40), 2.0)
    assert images[0].nnz == 0
    assert images[1].nnz > 10
    np.testing.assert_allclose(peaks, 1, rtol=1e-6)
    assert draw_footprints(round_shapes(np.zeros((0, 2))), (0, 0), (30, 40), 2.0)[0].shape == (0, 1200)


def test_cells_have_their_density_spacing_and_ranges():
    scene = SceneSettings(height_px=300, width_px=500, density_per_1000_px2=3, spacing_diameters=0.5)
    cells = draw_cells(scene, 20.0, np.random.default_rng(0))
    assert len(cells) == pytest.approx(3 * 340 * 540 / 1000, rel=0.15)
    distance = np.linalg.norm(cells.centers[:, None] - cells.centers, axis=2) + 1e9 * np.eye(len(cells))
    assert distance.min() >= 0.5 * scene.mean_diameter_px
    assert (cells.centers >= -20).all()
    assert (cells.centers <= np.array([320, 520])).all()
    assert cells.diameter.min() >= scene.cell_diameter_px[0]
    assert cells.blur.max() <= scene.defocus_sigma_px[1]


def test_clustering_makes_density_uneven():
    def unevenness(clustering):
        scene = SceneSettings(height_px=400, width_px=400, spacing_diameters=0.0, clustering=clustering)
        centers = draw_cells(scene, 0.0, np.random.default_rng(1)).centers
        counts = np.histogram2d(*centers.T, bins=5)[0]
        return counts.var() / counts.mean()

    assert unevenness(0.0) < 2 < unevenness(1.5)


# background


@settings(max_examples=20, deadline=None)
@given(height=st.integers(8, 60), width=st.integers(8, 60), stride=st.floats(2, 16))
def test_the_coarse_grid_reproduces_planes(height, width, stride):
    grid = background.CoarseGrid((height, width), stride)
    y, x = grid.nodes()
    plane = grid.interpolate((1 + 0.3 * y - 0.2 * x).reshape(-1, 1))[0]
    yy, xx = np.mgrid[:height, :width]
    np.testing.assert_allclose(plane, 1 + 0.3 * yy - 0.2 * xx, atol=1e-3)


def test_neuropil_has_its_strength_in_time():
    scene = SceneSettings(neuropil_std=0.1)
    grid = background.CoarseGrid((128, 160), 6.0)
    fields = background.draw_neuropil(grid, scene, np.random.default_rng(0))
    image = grid.interpolate(fields.reshape(len(fields), -1).T)
    assert np.sqrt((image**2).sum(0)).mean() == pytest.approx(0.1, rel=0.15)


def test_halos_have_their_width_and_strength():
    scene = SceneSettings(halo_fraction=(0.1, 0.1), halo_diameters=(1.5, 1.5))
    grid = background.CoarseGrid((200, 220), 6.0)
    halos = background.draw_halos(
        round_shapes([(90.3, 100.7)]), grid, (0, 0), scene, np.random.default_rng(0)
    )
    image = grid.interpolate(halos.T.toarray())[0]
    np.testing.assert_allclose(ndimage.center_of_mass(image), (90.3, 100.7), atol=0.2)
    y, x = np.mgrid[:200, :220]
    expected = 0.1 * np.exp(-((y - 90.3) ** 2 + (x - 100.7) ** 2) / (2 * 18.0**2))
    np.testing.assert_allclose(image, expected, atol=0.006)


def test_vessels_only_darken():
    scene = SceneSettings(vessel_count=3)
    vessels = background.draw_vessels((120, 150), scene, np.random.default_rng(0))
    assert vessels.shape == (120, 150)
    assert 0 < vessels.min() < 0.8
    assert vessels.max() <= 1
    assert (
        background.draw_vessels((30, 40), scene.replace(vessel_count=0), np.random.default_rng(0)) == 1
    ).all()


def test_the_vignette_takes_its_share_at_the_corners():
    scene = SceneSettings(vignette=0.6, leakage=0.05)
    optics, leak = background.draw_optics((100, 140), 0, scene, np.random.default_rng(0))
    corners = optics[[0, 0, -1, -1], [0, -1, 0, -1]].mean()
    assert corners == pytest.approx(0.4, abs=0.08)
    assert optics.max() <= 1
    assert leak.min() >= 0
    assert leak.mean() == pytest.approx(0.05, rel=0.5)


# sensor


@pytest.mark.parametrize("photons", [8.0, 100.0, 5000.0])
def test_noise_has_the_moments_of_poisson(photons):
    scene = SceneSettings(height_px=200, width_px=200, photons_per_px=photons, read_noise_photons=0)
    sensor = Sensor(scene, 0)
    counts = sensor.noisy(np.ones((20, 200, 200), np.float32), np.arange(20)) * photons
    assert counts.mean() == pytest.approx(photons, rel=0.01)
    assert counts.var() == pytest.approx(photons, rel=0.03)
    assert stats.skew(counts.ravel()) == pytest.approx(1 / np.sqrt(photons), abs=0.02)


def test_read_noise_adds_in_variance_and_smoothing_keeps_it():
    scene = SceneSettings(height_px=150, width_px=150, photons_per_px=100, read_noise_photons=10)
    for smoothing in (0.0, 2.0):
        sensor = Sensor(scene.replace(noise_smoothing_px=smoothing), 0)
        counts = sensor.noisy(np.ones((20, 150, 150), np.float32), np.arange(20)) * 100
        assert counts.var() == pytest.approx(200, rel=0.06)


@pytest.mark.parametrize(
    ("bits", "dtype", "top"), [(8, "uint8", 255), (10, "uint16", 1023), (16, "uint16", 65535)]
)
def test_levels_fill_their_bits_and_clip(bits, dtype, top):
    scene = SceneSettings(
        height_px=16,
        width_px=16,
        bit_depth=bits,
        pixel_gain_std=0,
        hot_pixels_per_million=0,
        dead_pixels_per_million=0,
    )
    sensor = Sensor(scene, 0)
    levels = sensor.levels(np.stack([np.full((16, 16), value, np.float32) for value in (0, 1, 1000)]))
    assert levels.dtype == dtype == scene.dtype
    assert (levels[0] == round(scene.black_level * top)).all()
    assert (levels[1] == round((scene.black_level + scene.mean_level) * top)).all()
    assert (levels[2] == top).all()


def test_hot_and_dead_pixels():
    scene = SceneSettings(hot_pixels_per_million=2000, dead_pixels_per_million=2000)
    sensor = Sensor(scene, 0)
    assert (sensor.gain == 0).sum() == pytest.approx(131, rel=0.3)
    assert (sensor.offset > 40).sum() == pytest.approx(131, rel=0.3)
