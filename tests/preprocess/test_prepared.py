"""Prepared sessions: what is removed, what is kept, and where."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion, distance_transform_edt

from calcium_lightning.core.scale import NETWORK_DIAMETER
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.preprocess.prepare import PreprocessSettings, prepare
from calcium_lightning.preprocess.prepared import Prepared, Scale
from calcium_lightning.preprocess.resample import network_centers, shift_matrices, smoothing_matrix
from calcium_lightning.preprocess.shown import from_edge

from . import artefacts

STILL = PreprocessSettings(motion=None, repair_stretch=False)


def write(
    path: Path, frames: np.ndarray, shifts: np.ndarray | None = None, fps: float = 20.0, corrected=True
) -> Session:
    with SessionWriter(
        path, *frames.shape[1:], frames.dtype, fps, motion_corrected=corrected, overwrite=True
    ) as writer:
        writer.append(frames)
        if shifts is not None:
            writer.set_shifts(shifts)
    return Session(path)


def blobs(
    size: tuple[int, int], shifts: np.ndarray, sigma: float = 4.0, count: int = 14, seed: int = 0
) -> np.ndarray:
    """Gaussians that move as told, (T, H, W) float32."""
    random = np.random.default_rng(seed)
    centers = random.uniform(0, 1, (count, 2)) * size
    y = np.arange(size[0]) - centers[:, :1] - shifts[:, 0, None, None]
    x = np.arange(size[1]) - centers[:, 1:] - shifts[:, 1, None, None]
    height = random.uniform(20, 60, count)
    return np.einsum("k,tky,tkx->tyx", height, *(np.exp(-0.5 * (d / sigma) ** 2) for d in (y, x))).astype(
        np.float32
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    field=st.tuples(st.integers(20, 700), st.integers(20, 700)),
    diameter=st.floats(2, 60),
    point=st.tuples(st.floats(-0.5, 1), st.floats(-0.5, 1)),
)
def test_the_two_grids_agree(field, diameter, point):
    scale = Scale.for_diameter(field, diameter)
    position = np.array(point) * field
    np.testing.assert_allclose(scale.to_session(scale.to_network(position)), position, atol=1e-9)
    np.testing.assert_allclose(scale.to_network(scale.to_session(position)), position, atol=1e-9)
    # Both grids tile the same field: corners fall on corners.
    np.testing.assert_allclose(scale.to_network(np.array([-0.5, -0.5])), [-0.5, -0.5])
    np.testing.assert_allclose(scale.to_network(np.array(field) - 0.5), np.array(scale.size) - 0.5)
    for axis in (0, 1):
        centers = network_centers(field[axis], scale.size[axis]).numpy()
        both = np.repeat(np.arange(scale.size[axis])[:, None], 2, 1)
        np.testing.assert_allclose(scale.to_session(both)[:, axis], centers, atol=1e-3)
    if diameter >= NETWORK_DIAMETER / 2 and min(field) > 4 * diameter:
        np.testing.assert_allclose(diameter * scale.factor, NETWORK_DIAMETER, rtol=0.06)


def test_a_pattern_that_moves_as_told_stands_still(tmp_path):
    random = np.random.default_rng(3)
    shifts = random.uniform(-5, 5, (24, 2)).astype(np.float32)
    shifts[0] = 0
    for diameter in (12.0, 6.0, 4.0):
        sigma = diameter / 2.355
        session = write(tmp_path / "a.h5", blobs((70, 90), shifts, sigma), shifts)
        prepared = prepare(session, diameter, STILL)
        still = prepared.resampled(0, 24)
        margin = int(np.ceil(6 * prepared.scale.factor[0]))
        inner = still[:, margin:-margin, margin:-margin]
        assert (inner - inner[0]).abs().max() < (0.02 if diameter > 4 else 0.04) * inner.max(), diameter
        session.close()


@pytest.fixture(scope="module")
def moved(tmp_path_factory) -> Prepared:
    random = np.random.default_rng(5)
    shifts = random.uniform(-4, 4, (40, 2)).astype(np.float32)
    frames = blobs((64, 83), shifts) + 100 + random.normal(0, 3, (40, 64, 83)).astype(np.float32)
    session = write(tmp_path_factory.mktemp("moved") / "a.h5", frames.astype(np.float32), shifts)
    return prepare(session, 9.0, PreprocessSettings(motion=None, baseline_seconds=0.7))


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    time=st.tuples(st.integers(0, 39), st.integers(1, 9)),
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_a_crop_is_the_crop_of_the_whole(moved, time, corner, size):
    start, stop = time[0], min(40, sum(time))
    (rows, columns) = moved.scale.size
    top, left = int(corner[0] * (rows - 1)), int(corner[1] * (columns - 1))
    bottom, right = min(rows, top + size[0]), min(columns, left + size[1])
    whole = moved.foreground(start, stop)
    crop = moved.foreground(start, stop, (top, bottom, left, right))
    torch.testing.assert_close(crop, whole[:, top:bottom, left:right], rtol=1e-4, atol=2e-3)
    read = torch.from_numpy(moved.session.frames(start, stop))  # not converted yet
    torch.testing.assert_close(moved.foreground_of(read, start, (top, bottom, left, right)), crop)


def test_a_prepared_session_can_be_pickled_and_held(moved):
    copy = pickle.loads(pickle.dumps(moved))
    expected = moved.foreground(3, 11)
    torch.testing.assert_close(copy.foreground(3, 11), expected, rtol=0, atol=0)
    held = copy.in_memory().held
    torch.testing.assert_close(held[3:11].float(), expected, rtol=1e-3, atol=1e-2)
    assert copy.held is None
    with pytest.raises(FrozenInstanceError):
        copy.held = held


def test_noise_is_the_analytic_standard_deviation_of_filtered_white_noise(tmp_path):
    random = np.random.default_rng(0)
    frames = (50 + 4.0 * random.normal(size=(400, 60, 77))).astype(np.float32)
    prepared = prepare(
        write(tmp_path / "a.h5", frames), 10.0, PreprocessSettings(motion=None, baseline_frames=400)
    )
    shapes, variance = zip((60, 77), prepared.scale.size, strict=True), None
    parts = []
    for length, count in shapes:
        sharp = shift_matrices(length, network_centers(length, count), torch.zeros(1), 0.5 * length / count)[
            0
        ]
        smooth = smoothing_matrix(count, prepared.background_sigma) @ sharp
        parts.append(((sharp**2).sum(1), (sharp * smooth).sum(1), (smooth**2).sum(1)))
    (aa, ac, cc), (bb, bd, dd) = parts
    variance = aa[:, None] * bb - 2 * ac[:, None] * bd + cc[:, None] * dd
    ratio = prepared.noise / (4 * variance.sqrt())
    assert float(ratio.mean()) == pytest.approx(1, abs=0.02)
    assert float(ratio.std()) < 0.12
    foreground = prepared.foreground(0, 400)
    assert float(foreground.std()) == pytest.approx(1, abs=0.03)
    assert abs(float(foreground.mean())) < 0.02


def test_what_is_smooth_and_what_is_static_is_removed_and_a_flash_is_kept(tmp_path):
    random = np.random.default_rng(1)
    y, x = np.mgrid[:80, :100]
    background = 200 + 80 * np.sin(y / 30) * np.cos(x / 35)
    ramp = np.linspace(1, 1.1, 120)[:, None, None]  # the light comes and goes
    static = blobs((80, 100), np.zeros((1, 2)), 3.0, 30)
    frames = background * ramp + static + random.normal(0, 1, (120, 80, 100))
    flash = 30 * np.exp(-0.5 * ((y - 40.3) ** 2 + (x - 61.7) ** 2) / (10 / 2.355) ** 2)
    frames[50:53] += flash
    prepared = prepare(write(tmp_path / "a.h5", frames.astype(np.float32)), 10.0, STILL)
    foreground = prepared.foreground(0, 120)
    quiet = torch.cat([foreground[:50], foreground[53:]])
    assert float(quiet.mean(0).abs().max()) < 1.5
    assert float(quiet.std()) < 1.3
    lit = prepared.detail(50, 53).mean(0)
    peak = torch.where(lit > 0.5 * lit.max(), lit, 0.0).numpy()
    center = np.array([(peak * axis).sum() / peak.sum() for axis in np.mgrid[: lit.shape[0], : lit.shape[1]]])
    np.testing.assert_allclose(prepared.scale.to_session(center), [40.3, 61.7], atol=0.4)
    assert float(foreground[50:53].max()) > 15


def test_places_that_were_never_seen_are_zero(tmp_path):
    random = np.random.default_rng(2)
    shifts = np.zeros((160, 2), np.float32)
    shifts[:, 1] = 20  # the last 20 columns of the corrected field were never on the sensor
    shifts[80:, 0] = -10  # the first 10 rows in half of the frames
    frames = (90 + random.normal(size=(160, 60, 80))).astype(np.float32)
    prepared = prepare(write(tmp_path / "a.h5", frames, shifts), 6.0, STILL)
    assert prepared.scale.size == (60, 80)
    assert (prepared.seen[:, 60:] == 0).all()
    assert (prepared.seen[:10, :60] == 0.5).all()
    assert (prepared.seen[10:, :60] == 1).all()
    foreground = prepared.foreground(0, 160)
    assert (foreground[:, :, 60:] == 0).all()
    assert (foreground[80:, :10] == 0).all()
    assert torch.isfinite(foreground).all()
    assert float(foreground[:80, :, :60].std()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("frames", [1, 2, 3, 40])
def test_constant_frames_give_a_finite_and_empty_foreground(tmp_path, dtype, frames):
    for corrected in (True, False):
        session = write(tmp_path / "a.h5", np.full((frames, 40, 50), 7, dtype), corrected=corrected)
        prepared = prepare(session, 8.0)
        foreground = prepared.foreground(0, frames)
        assert torch.isfinite(foreground).all()
        assert foreground.abs().max() < 1e-3
        assert (prepared.noise > 0).all()
        session.close()


def test_frames_stretched_one_by_one_are_repaired(tmp_path):
    random = np.random.default_rng(4)
    frames = random.normal(0, 1, (150, 64, 80)).astype(np.float32)
    y, x = np.mgrid[:64, :80]
    cell = np.exp(-0.5 * ((y - 30) ** 2 + (x - 44) ** 2) / 9)
    activity = np.where(np.arange(150) % 50 < 8, 12.0, 0.0)
    frames += activity[:, None, None] * cell
    low, high = frames.min((1, 2), keepdims=True), frames.max((1, 2), keepdims=True)
    stretched = np.round(255 * (frames - low) / (high - low)).astype(np.uint8)
    plain = prepare(write(tmp_path / "a.h5", frames), 7.0).foreground(0, 150)[:, 26, 38]
    repaired = prepare(write(tmp_path / "b.h5", stretched), 7.0)
    assert not np.allclose(repaired.gain, 1)
    at = tuple(np.round(repaired.scale.to_network(np.array([30, 44]))).astype(int))
    trace = repaired.foreground(0, 150)[:, at[0], at[1]]
    raw = prepare(write(tmp_path / "c.h5", stretched), 7.0, STILL).foreground(0, 150)[:, at[0], at[1]]
    lit = torch.from_numpy(activity > 0)
    assert np.corrcoef(trace, activity)[0, 1] > 0.95
    # Unrepaired, a frame with a bright cell is darker and less noisy elsewhere.
    quiet = [float(t[lit].mean() / t[~lit].std()) for t in (trace, raw)]
    assert quiet[0] > 1.2 * quiet[1]
    assert len(plain) == 150


def test_motion_is_followed_in_what_a_codec_left_blocks_of():
    """JPEG at its strongest keeps little more than each block's mean, and the blocks stand still."""
    shifts = 1.5 * np.sin(np.arange(60)[:, None] / (5, 7))
    light = 100 + blobs((96, 96), shifts, sigma=5.0, count=40)
    means = light.reshape(60, 12, 8, 12, 8).mean((2, 4)).round().astype(np.uint8)
    error = prepare(means.repeat(8, 1).repeat(8, 2), 8.0, fps=20.0).shifts - shifts
    assert (error - error.mean(0)).std() < 0.3  # 1.0 where it is looked for as in other recordings


def test_the_baseline_follows_bleaching(moved):
    knots = moved.knots
    assert len(knots) == 3
    middle = (int(knots[0]) + int(knots[1])) // 2
    at = moved.baseline_at(0, 40)
    torch.testing.assert_close(at[0], moved.baseline[0])
    torch.testing.assert_close(at[-1], moved.baseline[-1])
    share = (middle - knots[0]) / (knots[1] - knots[0])
    torch.testing.assert_close(at[middle], torch.lerp(moved.baseline[0], moved.baseline[1], share))


def test_how_far_tissue_lies_from_a_lens_edge_is_known():
    made = artefacts.make(11)
    inside = artefacts.lens(made, 6)
    prepared = prepare(made.stored(), 8.0, fps=20.0)
    points = np.argwhere(binary_erosion(inside, iterations=4))[::50].astype(float)
    told = from_edge(prepared, points)
    y, x = points.astype(int).T
    expected = distance_transform_edt(inside)[y, x] / 8
    assert (
        np.abs(told - expected).max() < 0.5
    )  # of the field that was found, where tissue lay by half of the time
    assert from_edge(prepare(artefacts.make(11).stored(), 8.0, fps=20.0), points) is None
