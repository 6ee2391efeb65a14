"""Each effect that clean scenes leave out: is it as strong as it was asked for, and does it touch nothing else?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from calcium_lightning.core.errors import InputError
from calcium_lightning.simulation import Scene, SceneSettings
from calcium_lightning.simulation.bad_frames import BLACK, DUPLICATED, TORN, WHITE, BadFrames
from calcium_lightning.simulation.codec import compressed
from calcium_lightning.simulation.flicker import Flicker
from calcium_lightning.simulation.sensor import Sensor, demosaicked
from calcium_lightning.simulation.streams import correlated_normals, stream

SMALL = SceneSettings(
    height_px=48, width_px=64, seconds=4.0, density_per_1000_px2=8, bursts_per_second=(0.2, 0.6)
)
BAD = dict.fromkeys((f"{kind}_frames_per_minute" for kind in ("black", "white", "torn", "duplicated")), 60.0)
EFFECTS = {
    "denoising": {"noise_autocorrelation": 0.6, "demosaicked": True},
    "codec": {"codec": "mpeg4", "codec_quality": 4},
    "flicker": {"vessel_flicker": 0.2, "vessel_count": 2},
    "blobs": {"blobs_per_1000_px2": 3.0},
    "bad frames": BAD,
}


def same_truth(one: Scene, two: Scene) -> bool:
    first, second = one.truth, two.truth
    return (first.footprints != second.footprints).nnz == 0 and all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("traces", "spikes", "amplitude", "shifts")
    )


@pytest.mark.parametrize("effect", EFFECTS)
def test_what_is_no_cell_changes_the_frames_and_not_the_truth(effect):
    plain, with_it = Scene(SMALL, 3), Scene(SMALL.replace(**EFFECTS[effect]), 3)
    assert (plain.frames() != with_it.frames()).any()
    assert same_truth(plain, with_it)


@settings(max_examples=8, deadline=None)
@given(start=st.integers(0, 70), count=st.integers(1, 40))
def test_with_all_of_them_frames_are_the_same_bytes_in_any_pieces(start, count):
    changes = {key: value for effect in EFFECTS.values() for key, value in effect.items()}
    scene = SMALL.replace(**changes, lens_radius=0.9)
    whole = Scene(scene, 5).frames()
    np.testing.assert_array_equal(Scene(scene, 5).frames(start, start + count), whole[start : start + count])


# noise


@pytest.mark.parametrize("correlation", [0.3, 0.7, 0.9])
def test_noise_has_the_autocorrelation_that_was_asked_for(correlation):
    noise = correlated_normals(1, np.arange(160), (60, 60), correlation)
    assert noise.var() == pytest.approx(1, abs=0.03)
    for lag in (1, 2, 5):
        product = (noise[lag:] * noise[:-lag]).mean()
        assert product == pytest.approx(correlation**lag, abs=0.03), lag


def test_correlated_noise_of_a_frame_does_not_depend_on_what_is_asked_for_beside():
    whole = correlated_normals(2, np.arange(100), (5, 6), 0.6)
    picked = np.array([31, 3, 31, 32, 90])
    np.testing.assert_array_equal(correlated_normals(2, picked, (5, 6), 0.6), whole[picked])


def test_light_keeps_its_noise_and_only_the_order_of_it_changes():
    scene = SceneSettings(height_px=50, width_px=50, photons_per_px=100, read_noise_photons=0)
    for correlation in (0.0, 0.5):
        sensor = Sensor(scene.replace(noise_autocorrelation=correlation), 0)
        light = sensor.noisy(np.ones((96, 50, 50), np.float32), np.arange(96))
        assert light.var() == pytest.approx(0.01, rel=0.05)
        assert np.corrcoef(light[1:].ravel(), light[:-1].ravel())[0, 1] == pytest.approx(
            correlation, abs=0.03
        )


def test_demosaicking_keeps_green_pixels_and_fills_the_others_with_their_neighbours_mean():
    levels = np.random.default_rng(0).normal(size=(40, 31, 44)).astype(np.float32)
    filled = demosaicked(levels)
    green = np.add.outer(np.arange(31), np.arange(44)) % 2 == 0
    np.testing.assert_array_equal(filled[:, green], levels[:, green])
    mean = ndimage.convolve(levels[0].astype(float), [[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]])
    inner = np.zeros_like(green)
    inner[1:-1, 1:-1] = True
    np.testing.assert_allclose(filled[0][inner & ~green], mean[inner & ~green], atol=1e-6)
    assert filled[:, inner & ~green].var() == pytest.approx(1 / 4, rel=0.03)
    smooth = np.add.outer(np.arange(31.0), 2 * np.arange(44.0)).astype(np.float32)[None]
    np.testing.assert_allclose(demosaicked(smooth)[:, 1:-1, 1:-1], smooth[:, 1:-1, 1:-1])


# codecs


def film(size=(47, 61), count=60) -> np.ndarray:
    """A still picture under noise of 4 levels."""
    rng = np.random.default_rng(0)
    picture = 100 + 30 * ndimage.gaussian_filter(rng.normal(size=size), 4) / 0.07
    noisy = picture.clip(30, 220) + rng.normal(0, 4, (count, *size))
    return noisy.clip(0, 255).round().astype(np.uint8)


def test_h264_at_factor_zero_keeps_every_level():
    frames = film()
    np.testing.assert_array_equal(compressed(frames, "h264", 0), frames)


@pytest.mark.parametrize(("codec", "qualities"), [("h264", (15, 30)), ("mpeg4", (2, 8)), ("mjpeg", (2, 15))])
def test_a_codec_loses_more_at_a_worse_quality_and_repeats_itself(codec, qualities):
    frames = film()
    errors = []
    for quality in qualities:
        shown = compressed(frames, codec, quality)
        assert shown.shape == frames.shape
        assert shown.dtype == np.uint8
        np.testing.assert_array_equal(shown, compressed(frames, codec, quality))
        errors.append(np.sqrt(((shown.astype(float) - frames) ** 2).mean()))
    assert 0 < errors[0] < 0.8 * errors[1]
    assert errors[1] < 8
    mean = frames.mean(0)
    assert np.corrcoef(shown.mean(0).ravel(), mean.ravel())[0, 1] > 0.95


def test_lossy_video_makes_neighbouring_frames_alike():
    """Quiet pixels of real compressed recordings have an autocorrelation of .4 to .7."""
    rest = compressed(film(), "h264", 28).astype(float)
    rest -= rest.mean(0)
    assert (rest[1:] * rest[:-1]).mean() / (rest**2).mean() > 0.3


def test_a_codec_that_this_ffmpeg_has_not_is_one_line(monkeypatch):
    from calcium_lightning.simulation import codec

    monkeypatch.setitem(codec.CODERS, "h264", ("no_such_encoder", "h264", "yuv420p"))
    with pytest.raises(InputError, match="codec=h264: this FFmpeg can't encode it"):
        compressed(film(count=2), "h264", 20)


# the lens


def test_a_lens_darkens_what_is_outside_and_stands_still():
    lens = SMALL.replace(height_px=96, width_px=96, lens_radius=0.8, lens_edge_px=6.0, vignette=0, leakage=0)
    scene, without = Scene(lens, 2), Scene(lens.replace(lens_radius=0), 2)
    frames = np.arange(0, 80, 8)
    ratio = scene.light(frames) / np.maximum(without.light(frames), 1e-3)
    assert np.ptp(scene.shifts[frames], 0).min() > 2  # the tissue moves
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape), atol=2e-3)
    inside = ratio[0] > 0.5
    assert inside.sum() == pytest.approx(np.pi * (0.8 * 48) ** 2, rel=0.02)
    assert ratio[0, 44:52, 44:52].min() > 0.99
    assert ratio[0, :4, :4].max() < 0.01
    edge = ratio[0, 48, 48:]  # from 90 to 10 %
    width = np.interp(-0.1, -edge, np.arange(48.0)) - np.interp(-0.9, -edge, np.arange(48.0))
    assert width == pytest.approx(6, abs=0.7)


def test_cells_that_a_lens_hides_are_in_no_truth_and_the_others_are_as_they_were():
    dense = SMALL.replace(height_px=96, width_px=96, density_per_1000_px2=20, bursts_per_second=2.0)
    scene, without = Scene(dense.replace(lens_radius=0.7, lens_edge_px=4.0), 2), Scene(dense, 2)
    transmission = scene._lens
    plain = {tuple(spikes): row for row, spikes in enumerate(without.truth.spikes)}
    rows = [plain[tuple(spikes)] for spikes in scene.truth.spikes]
    assert 5 < len(rows) < 0.7 * len(plain)
    seen = np.asarray(without.truth.footprints[rows].toarray()) * transmission.ravel()
    share = seen.max(1)
    assert share.min() >= 0.5  # the half maximum is inside
    np.testing.assert_allclose(
        scene.truth.footprints.toarray(),
        np.where(seen / share[:, None] < 0.01, 0, seen / share[:, None]),
        atol=1e-5,
    )
    np.testing.assert_allclose(scene.truth.traces, without.truth.traces[rows] * share[:, None], rtol=1e-3)


def test_a_corrected_recording_has_a_lens_that_moves_over_it():
    corrected = SMALL.replace(
        motion_corrected=True, lens_radius=0.8, motion_std_px=(3, 3), motion_residual_px=0
    )
    light = Scene(corrected, 1).light(np.arange(0, 80, 4))
    outside = light < 0.3 * light.max()
    assert (outside.any(0) & ~outside.all(0)).mean() > 0.1


# vessels


def test_flicker_is_as_strong_as_told_at_the_steepest_wall_and_nothing_elsewhere():
    y = np.arange(60.0)[:, None] + np.zeros(70)
    transmission = (1 - 0.6 / (1 + np.exp(-(y - 30) / 2))).astype(np.float32)  # one wall, at row 30
    long = SMALL.replace(seconds=600.0, fps=10.0, vessel_flicker=0.1)
    flicker = Flicker(transmission, long, lambda name: stream(0, name))
    factor = flicker.factor(np.arange(6000)).reshape(-1, 60, 70)
    spread = factor.std(0)
    assert spread[30].mean() == pytest.approx(0.1, rel=0.15)
    assert (spread[:10] == 0).all()
    np.testing.assert_allclose(factor.mean(0), 1, atol=0.01)
    assert (factor[:, 30] < 0.9).any()  # darkens as well
    far = np.corrcoef(factor[:, 30, 2], factor[:, 30, 68])[0, 1]
    near = np.corrcoef(factor[:, 30, 34], factor[:, 30, 36])[0, 1]
    assert near > 0.9 > 0.6 > abs(far)


def test_without_vessels_nothing_flickers():
    still = SMALL.replace(vessel_count=0)
    flickering = Scene(still.replace(vessel_flicker=0.3), 1)
    np.testing.assert_array_equal(flickering.frames(0, 32), Scene(still, 1).frames(0, 32))


# blobs


def test_a_blob_has_its_width_and_its_brightness():
    scene = SMALL.replace(
        height_px=128, width_px=128, brightness=0.4, brightness_log_std=0, blob_brightness=0.5,
        blobs_per_1000_px2=0.15, blob_sigma_diameters=(1.0, 1.0), motion_std_px=(0, 0), vessel_count=0,
        vignette=0, leakage=0, bleach_fraction=0, seconds=60.0, spikes_per_burst=1, bursts_per_second=0.05,
    )  # fmt: skip
    with_them = Scene(scene, 4)
    frames = np.arange(0, scene.n_frames, 3)
    added = with_them.light(frames) - Scene(scene.replace(blobs_per_1000_px2=0), 4).light(frames)
    assert added.min() > -1e-4
    light = with_them._tissue._blob_light
    assert np.median(light.max(1)) == pytest.approx(0.2, rel=0.1)
    # the brightest moment of the brightest blob
    frame, y, x = np.unravel_index(added.argmax(), added.shape)
    assert added[frame, y, x] == pytest.approx(light[:, frames[frame]].max(), rel=0.15)
    grid = with_them._tissue._grid
    grid_image = grid.interpolate(with_them._tissue._smooth.toarray()[:, -len(light) :])
    widest = grid_image[:, with_them._tissue.margin : -with_them._tissue.margin][
        grid_image.max((1, 2)) > 0.98
    ]
    area = (widest > 0.5).sum((1, 2)).max()
    assert area == pytest.approx(2 * np.pi * np.log(2) * scene.mean_diameter_px**2, rel=0.05)


# bad frames


def test_bad_frames_are_what_they_are_called_and_the_others_stay():
    scene, plain = Scene(SMALL.replace(**BAD), 6), Scene(SMALL, 6)
    frames, whole = scene.frames(), plain.frames()
    bad = scene._bad
    np.testing.assert_array_equal(frames[~scene.bad_frames], whole[~scene.bad_frames])
    kinds = {
        kind: np.flatnonzero((bad.kind == kind) & (bad.shown == np.arange(80)))
        for kind in (BLACK, WHITE, TORN)
    }
    assert all(len(found) for found in kinds.values())
    level = SMALL.black_level * 255
    assert abs(np.median(frames[kinds[BLACK]]) - level) <= 2
    assert np.median(frames[kinds[WHITE]]) == 255
    for frame in kinds[TORN]:
        row = bad.first_row[frame]
        np.testing.assert_array_equal(np.roll(frames[frame], row, 0), whole[frame])
        assert 0 < row < 48
    repeats = np.flatnonzero(bad.shown != np.arange(80))
    assert len(repeats)
    for frame in repeats:
        np.testing.assert_array_equal(frames[frame], frames[frame - 1])


def test_bad_frames_come_as_often_as_was_asked_for():
    often = SMALL.replace(seconds=3000.0, fps=10.0, black_frames_per_minute=4, duplicated_frames_per_minute=2)
    bad = BadFrames.draw(often, np.random.default_rng(0))
    assert (bad.kind == BLACK).sum() == pytest.approx(200, rel=0.2)
    assert (bad.shown != np.arange(30_000)).sum() == pytest.approx(100, rel=0.3)
    assert not ((bad.kind == WHITE) | (bad.kind == TORN) | (bad.kind == DUPLICATED)).any()
    all_bad = BadFrames.draw(
        SMALL.replace(black_frames_per_minute=600, seconds=60.0), np.random.default_rng(0)
    )
    assert not all_bad.bad[0]


# settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codec": "h265"}, "simulation.codec=h265: none, h264"),
        ({"codec": "h264", "bit_depth": 12}, "simulation.codec=h264: for frames of 8 bit"),
        ({"codec": "mpeg4", "codec_quality": 40}, "simulation.codec_quality=40: of mpeg4"),
        ({"kind": "dff", "torn_frames_per_minute": 1}, "torn_frames_per_minute=1.0: for simulation.kind=raw"),
        ({"kind": "dff", "demosaicked": True}, "demosaicked=True: for simulation.kind=raw"),
        ({"noise_autocorrelation": 1.0}, "simulation.noise_autocorrelation=1.0: must lie between"),
        ({"demosaicked": "yes"}, "simulation.demosaicked=yes: expected true or false"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        SceneSettings(**changes)
