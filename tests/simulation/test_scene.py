"""Whole scenes: the contract's truth, bytes that don't depend on how they are read, and the session file."""

import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.session import Session
from calcium_lightning.simulation import Scene, SceneSettings, random_settings, write_session

SMALL = SceneSettings(
    height_px=48, width_px=64, seconds=4.0, density_per_1000_px2=8, bursts_per_second=(0.2, 0.6)
)
DFF = SMALL.replace(
    kind="dff", motion_corrected=True, stretch_each_frame=True, noise_smoothing_px=2.0, photons_per_px=5e4,
    hot_pixels_per_million=0, dead_pixels_per_million=0, debris_per_1000_px2=0.5, fps=5.0, seconds=20.0,
)  # fmt: skip
# nothing but cells at rest on a flat background
BARE = SMALL.replace(
    vessel_count=0, vignette=0, leakage=0, bleach_fraction=0, motion_std_px=(0, 0), neuropil_std=0, haze_contrast=0,
    halo_fraction=0, distractors_per_1000_px2=0, truth_min_detectability=0, bit_depth=16, mean_level=0.2,
    pixel_gain_std=0, hot_pixels_per_million=0, dead_pixels_per_million=0, seconds=10.0, clustering=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def scene():
    return Scene(SMALL, 3)


@pytest.fixture(scope="module")
def frames(scene):
    return scene.frames()


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 80), max_size=4))
def test_frames_are_the_same_bytes_in_any_pieces(frames, cuts):
    again = Scene(SMALL, 3)
    edges = sorted({0, 80, *cuts})
    pieces = [again.frames(start, stop) for start, stop in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(pieces), frames)


def test_seeds_repeat_and_differ(frames):
    np.testing.assert_array_equal(Scene(SMALL, 3).frames(40, 48), frames[40:48])
    assert (Scene(SMALL, 4).frames(0, 8) != frames[:8]).mean() > 0.5
    with pytest.raises(InputError, match="seed=-1"):
        Scene(SMALL, -1)


def test_the_number_of_torch_threads_changes_nothing(frames):
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if before > 1 else 2)
        np.testing.assert_array_equal(Scene(SMALL, 3).frames(), frames)
    finally:
        torch.set_num_threads(before)


def test_frames_have_their_shape_and_level(scene, frames):
    assert frames.shape == (80, 48, 64)
    assert frames.dtype == np.uint8
    assert 40 < frames.mean() < 150
    assert scene.frames(78, 100).shape == (2, 48, 64)
    assert scene.frames(5, 5).shape == (0, 48, 64)


def test_truth_keeps_the_contract(scene):
    truth = scene.truth
    count = truth.footprints.shape[0]
    assert count > 3
    assert truth.footprints.shape == (count, 48 * 64)
    np.testing.assert_allclose(truth.footprints.max(1).toarray().ravel(), 1, rtol=1e-6)
    assert truth.footprints.data.min() >= 0.01
    assert truth.traces.shape == truth.spikes.shape == (count, 80)
    assert truth.traces.min() >= 0
    np.testing.assert_array_equal(truth.amplitude, truth.traces.max(1))
    assert truth.shifts.shape == (80, 2)
    for array in (truth.footprints, truth.traces, truth.spikes, truth.amplitude, truth.shifts):
        assert array.dtype == np.float32


def test_only_cells_that_can_be_seen_are_in_the_truth(scene):
    strict = Scene(SMALL.replace(truth_min_detectability=30), 3)
    assert 0 < len(strict.truth.amplitude) < len(scene.truth.amplitude)
    assert strict.truth.amplitude.min() > scene.truth.amplitude.min()
    np.testing.assert_array_equal(strict.frames(0, 4), scene.frames(0, 4))


def test_a_cell_is_in_the_truth_if_its_half_maximum_is_in_the_field():
    """As an observer sees it: the border may run through a cell, and its middle lie beyond."""
    settings = BARE.replace(
        density_per_1000_px2=20, cell_diameter_px=(10, 10), cell_elongation=(1, 1), defocus_sigma_px=(0, 0)
    )
    scene = Scene(settings, 4)
    places, size = scene._tissue.places, np.array(scene.size)
    beyond = np.maximum(-places, places - (size - 1)).max(1)
    listed = {tuple(row) for row in scene.truth.spikes}
    known = np.array([tuple(spikes) in listed for spikes in scene._tissue.spikes])
    active = scene._tissue.light.max(1) > 0
    assert known[active & (beyond < 2)].all()
    assert known[active & (beyond > 2) & (beyond < 3.5)].any()
    assert not known[beyond > 8].any()
    assert (beyond > 8).any()


def test_footprints_times_traces_are_the_light_of_the_cells():
    scene = Scene(BARE, 1)
    truth = scene.truth
    levels = scene.light(np.arange(scene.n_frames)) * BARE.mean_level * 65535
    model = (truth.footprints.T @ truth.traces).T.reshape(levels.shape)
    inner = (slice(None), slice(16, -16), slice(16, -16))  # cells beyond the border are no part of the truth
    change = levels[inner] - levels[inner].min(0)
    assert change.max() > 1000
    np.testing.assert_allclose(change, model[inner] - model[inner].min(0), atol=0.012 * change.max())


def test_motion_moves_the_tissue_by_the_true_shifts():
    still = BARE.replace(haze_contrast=0.2, brightness=0, vessel_count=2, motion_std_px=(2, 3))
    scene = Scene(still, 2)
    tissue = scene._tissue.still
    margin = (tissue.shape[0] - 48) // 2
    for t in range(0, 200, 20):
        moved = ndimage.shift(tissue.astype(float), scene.shifts[t], order=5)
        expected = moved[margin:-margin, margin:-margin]
        np.testing.assert_allclose(scene.light(np.array([t]))[0], expected, atol=0.01)
    assert np.ptp(scene.shifts, 0).min() > 3


def test_a_bending_tissue_is_seen_where_its_displacement_says():
    bare = BARE.replace(haze_contrast=0.2, brightness=0, vessel_count=2, motion_std_px=(2, 3))
    scene = Scene(bare.replace(motion_nonrigid_px=1.0), 2)
    tissue = scene._tissue.still
    margin = (tissue.shape[0] - 48) // 2
    points = np.stack(np.meshgrid(np.arange(12, 36, 4.0), np.arange(12, 36, 4.0)), -1).reshape(-1, 2)
    moved = scene.displacement(points)
    assert 0.5 < (moved - scene.shifts[:, None]).std() < 2
    for t in range(0, 200, 20):
        light = scene.light(np.array([t]))[0]
        seen = ndimage.map_coordinates(light, (points + moved[t]).T, order=3)
        expected = ndimage.map_coordinates(tissue, (points + margin).T, order=3)
        np.testing.assert_allclose(seen, expected, atol=0.01)
    still = Scene(bare, 2)
    np.testing.assert_array_equal(still.shifts, scene.shifts)  # bending has a stream of its own
    np.testing.assert_array_equal(still.displacement(points), np.repeat(still.shifts[:, None], 36, 1))


def test_bleaching_dims_and_leakage_stays():
    bleached = Scene(
        BARE.replace(bleach_fraction=0.5, bleach_time_s=1.0, leakage=0.3, bursts_per_second=1e-4), 0
    )
    light = bleached.light(np.array([0, 199])).mean((1, 2))
    stray = bleached._leak.mean()
    assert (light[1] - stray) / (light[0] - stray) == pytest.approx(0.5, abs=0.01)


def test_stretched_frames_span_the_range_and_corrected_motion_is_a_residue():
    scene = Scene(DFF, 0)
    frames = scene.frames()
    assert (frames.min((1, 2)) == 0).all()
    assert (frames.max((1, 2)) == 255).all()
    assert np.abs(scene.truth.shifts).max() < 5 * DFF.motion_residual_px
    assert scene.truth.amplitude.max() < 1000


def test_relative_change_is_small_around_zero():
    scene = Scene(DFF.replace(stretch_each_frame=False, debris_per_1000_px2=0), 0)
    change = scene.frames()
    assert change.dtype == np.float32
    assert abs(np.median(change)) < 0.1
    assert np.abs(change.mean(0)).mean() < 0.1


def test_a_scene_without_cells_and_a_scene_of_one_frame():
    empty = Scene(SMALL.replace(density_per_1000_px2=0, distractors_per_1000_px2=0, vessel_count=0), 0)
    assert empty.frames(0, 3).std() > 0
    assert empty.truth.footprints.shape == (0, 48 * 64)
    assert empty.truth.traces.shape == (0, 80)
    single = Scene(SMALL.replace(seconds=0.05), 0)
    assert single.frames().shape == (1, 48, 64)
    assert np.isfinite(single.truth.traces).all()


@pytest.mark.parametrize("seed", range(4))
def test_random_scenes_render(seed):
    base = SMALL if seed % 2 else DFF
    drawn = random_settings(np.random.default_rng(seed), base)
    scene = Scene(drawn.replace(seconds=2.0), seed)
    frames = scene.frames()
    assert frames.dtype == drawn.dtype
    assert frames.std() > 0
    assert np.isfinite(scene.truth.traces).all()


# session files


def test_a_session_file_holds_frames_truth_and_attributes(tmp_path, frames, scene):
    write_session(tmp_path / "a.h5", SMALL, 3)
    with Session(tmp_path / "a.h5") as session:
        assert session.shape == (80, 48, 64)
        assert session.fps == 20
        assert session.pixel_size_um == SMALL.pixel_size_um
        assert session.kind == "raw"
        assert not session.motion_corrected
        np.testing.assert_array_equal(session.frames(), frames)
        np.testing.assert_allclose(session.timestamps, np.arange(80) / 20)
        assert session.shifts is None
        truth = session.truth
        np.testing.assert_array_equal(truth.traces, scene.truth.traces)
        np.testing.assert_array_equal(truth.shifts, scene.truth.shifts)
        assert (truth.footprints != scene.truth.footprints).nnz == 0


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_the_same_seed_gives_the_same_file(tmp_path, compression):
    digests = set()
    for name in ("a", "b"):
        write_session(tmp_path / f"{name}.h5", SMALL.replace(seconds=2.0), 7, compression=compression)
        digests.add(hashlib.sha256((tmp_path / f"{name}.h5").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_dff_sessions_say_what_they_are(tmp_path):
    write_session(tmp_path / "a.h5", DFF, 0)
    with Session(tmp_path / "a.h5") as session:
        assert (session.kind, session.motion_corrected, session.dtype) == ("dff", True, np.uint8)


def test_an_existing_file_stays_and_a_failure_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists"):
        write_session(path, SMALL, 0)
    assert path.read_text() == "mine"

    def interrupted(self, start=0, stop=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(Scene, "frames", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_session(path, SMALL, 0, overwrite=True)
    assert [item.name for item in tmp_path.iterdir()] == ["a.h5"]
    assert path.read_text() == "mine"
