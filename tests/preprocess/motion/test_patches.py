"""The grid of places, and frames undone, against closed forms and SciPy."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter, map_coordinates

from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.preprocess.motion.coherence import CoherencePrior
from calcium_lightning.preprocess.motion.patches import PatchGrid, sample_undone, undo
from calcium_lightning.preprocess.motion.types import PatchShifts
from calcium_lightning.preprocess.prepare import PreprocessSettings, prepare
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.preprocess.resample import network_centers, sample
from calcium_lightning.preprocess.summary import RegisteredSummary

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True)
COUNT = st.tuples(st.integers(1, 5), st.integers(1, 5))


@PROPERTY
@given(count=COUNT, field=st.tuples(st.integers(8, 400), st.integers(8, 400)), seed=st.integers(0, 99))
def test_weights_are_a_partition_of_unity_and_displacement_is_bilinear(count, field, seed):
    random = np.random.default_rng(seed)
    grid = PatchGrid(field, count)
    for axis in (0, 1):
        weights = grid.weights(axis, torch.from_numpy(random.uniform(-9, field[axis] + 9, 50)))
        assert weights.shape == (50, count[axis])
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[:, 0]))
    shifts = random.normal(size=(3, *count))
    y, x = (np.sort(random.uniform(0, n - 1, 7)) for n in field)
    found = grid.displacement(torch.from_numpy(shifts), torch.from_numpy(y), torch.from_numpy(x))
    doubled = shifts  # a single place stands for the whole axis
    for axis in (0, 1):
        doubled = np.repeat(doubled, 2, axis + 1) if count[axis] == 1 else doubled
    lines = [np.linspace(0, n - 1, max(2, c)) for n, c in zip(field, count, strict=True)]
    points = np.stack(np.meshgrid(y, x, indexing="ij"), -1)
    for frame in range(3):
        expected = RegularGridInterpolator(lines, doubled[frame])(points)
        np.testing.assert_allclose(found[frame].numpy(), expected, atol=1e-4)
    at = grid.at(np.stack([shifts, -shifts], -1), points.reshape(-1, 2))
    np.testing.assert_allclose(at[..., 0], found.numpy().reshape(3, -1), atol=1e-4)
    np.testing.assert_allclose(at[..., 1], -at[..., 0])


def smooth_frames(size: tuple[int, int], sigma: float = 2.5, seed: int = 0) -> np.ndarray:
    frames = gaussian_filter(np.random.default_rng(seed).normal(size=(3, *size)), (0, sigma, sigma))
    return (10 * frames / frames.std()).astype(np.float32)


def test_frames_are_undone_as_by_scipy():
    frames = smooth_frames((60, 72))
    y, x = np.meshgrid(np.arange(60.0), np.arange(72.0), indexing="ij")
    down, right = 2 * np.sin(x / 30) + y / 40, 1.5 * np.cos(y / 25) - x / 50
    # The first pass is told the columns that it works on, the second one those of the result.
    for frame in frames:
        source = x.copy()
        for _ in range(20):  # the column of the result that a column of the frame is seen in
            source = x - (1.5 * np.cos(y / 25) - source / 50)
        first = y + 2 * np.sin(source / 30) + y / 40
        found = undo(*(torch.from_numpy(np.float32(part))[None] for part in (frame, first, x + right)))[0]
        expected = map_coordinates(frame, (y + down, x + right), order=3, mode="nearest")
        np.testing.assert_allclose(found[4:-4, 4:-4], expected[4:-4, 4:-4], atol=0.25)
        assert np.abs(expected - frame)[4:-4, 4:-4].std() > 3


def write(path, frames: np.ndarray) -> Session:
    with SessionWriter(path, *frames.shape[1:], frames.dtype, 20.0) as writer:
        writer.append(frames)
    return Session(path)


def with_patches(session: Session, patches: np.ndarray, diameter: float = 9.0) -> Prepared:
    prepared = prepare(session, diameter, PreprocessSettings(motion=None, repair_stretch=False))
    return replace(
        prepared,
        shifts=patches.mean((1, 2)).astype(np.float32),
        patches=PatchShifts(patches.astype(np.float32), np.zeros(patches.shape[1:], np.float32)),
    )


@PROPERTY
@given(count=COUNT, shift=st.tuples(st.floats(-6, 6), st.floats(-6, 6)), size=st.integers(1, 20))
def test_places_that_move_alike_are_the_rigid_motion(count, shift, size):
    frames = torch.from_numpy(smooth_frames((60, 72)))
    shifts = torch.tensor([shift]).repeat(3, 1)
    y, x = network_centers(60, 40)[8 : 11 + size], network_centers(72, 48)[8 : 8 + size]
    grid = PatchGrid((60, 72), count)
    each = shifts[:, :, None, None].expand(3, 2, *count)
    displacement = torch.stack([grid.displacement(part, y, x) for part in each.unbind(1)], 1)
    rigid = sample(frames, (y, x), shifts, (0.75, 0.75))
    found = sample_undone(frames, (y, x), (1.5, 1.5), shifts, displacement, (0.75, 0.75))
    torch.testing.assert_close(found, rigid, rtol=1e-4, atol=2e-3)
    # What of the displacement is called rigid doesn't matter.
    other = sample_undone(frames, (y, x), (1.5, 1.5), shifts - 0.75, displacement, (0.75, 0.75))
    assert (other - rigid).abs().max() < 0.06 * frames.std()


@pytest.mark.parametrize("crop", [None, (3, 4, 20, 31), (10, 30, 0, 40)])
def test_a_prepared_session_is_resampled_as_by_scipy(tmp_path, crop):
    frames = smooth_frames((72, 90), 3.0)
    random = np.random.default_rng(1)
    patches = random.uniform(-2, 2, (3, 3, 2, 2)) + random.uniform(-4, 4, (3, 1, 1, 2))
    prepared = with_patches(write(tmp_path / "a.h5", frames), patches)
    (rows, columns), grid = prepared.scale.size, PatchGrid((72, 90), (3, 2))
    found = prepared.resampled(0, 3, crop).numpy()
    y, x = np.meshgrid(network_centers(72, rows), network_centers(90, columns), indexing="ij")
    points = np.stack([y, x], -1).reshape(-1, 2)
    moved = (points + grid.at(patches, points)).reshape(3, rows, columns, 2)
    blurred = gaussian_filter(frames, (0, 0.75, 0.75), mode="nearest")  # the anti-aliasing
    expected = np.stack(
        [
            map_coordinates(f, np.moveaxis(m, -1, 0), order=3, mode="nearest")
            for f, m in zip(blurred, moved, strict=True)
        ]
    )
    top, bottom, left, right = crop or (0, rows, 0, columns)
    inside = prepared.inside(0, 3, crop).numpy()
    sensor = ((moved >= -0.5) & (moved <= np.array([71.5, 89.5]))).all(-1)[:, top:bottom, left:right]
    assert (inside != sensor).mean() < 0.002  # rounding
    difference = (found - expected[:, top:bottom, left:right])[inside & sensor]
    assert np.sqrt((difference**2).mean()) < 0.03 * frames.std()


def test_cells_labels_and_masks_follow(tmp_path):
    frames = (100 + smooth_frames((72, 90), 3.0)).astype(np.float32)
    patches = np.zeros((3, 2, 2, 2))
    patches[0, 0, :, 0] = -6  # the top leaves the field in the first frame
    prepared = with_patches(write(tmp_path / "a.h5", frames), patches)
    inside = prepared.inside(0, 3)
    assert not inside[0, :2].any()
    assert inside[0, -2:].all()
    assert inside[1:].all()
    assert (prepared.foreground(0, 1)[0, :2] == 0).all()
    at = prepared.shifts_at(np.array([[0.0, 5.0], [71.0, 5.0]]))
    np.testing.assert_allclose(at[0], [[-6, 0], [0, 0]], atol=1e-5)
    assert prepared.tiles(slice(0, 3)).shape == (3, 4, 4, 2)
    whole, crop = prepared.foreground(0, 3), prepared.foreground(0, 3, (5, 25, 7, 30))
    torch.testing.assert_close(crop, whole[:, 5:25, 7:30], rtol=1e-4, atol=2e-3)
    copy = pickle.loads(pickle.dumps(prepared))  # to a worker of a training
    torch.testing.assert_close(copy.foreground(0, 3), whole, rtol=0, atol=0)


def test_images_are_gathered_tile_by_tile():
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (9, 20, 30)).astype(np.uint8)
    shifts = random.uniform(-4, 4, (9, 2, 3, 2))
    summary, ones = RegisteredSummary((20, 30)), np.ones(9)
    summary.add(frames, shifts, ones, 0 * ones)
    moved = np.full(frames.shape, np.nan)
    for t, y, x in np.ndindex(frames.shape):
        dy, dx = np.round(shifts[t, y // 10, x // 10]).astype(int)
        if 0 <= y + dy < 20 and 0 <= x + dx < 30:
            moved[t, y, x] = frames[t, y + dy, x + dx]
    np.testing.assert_allclose(summary.mean, np.nanmean(moved, 0), rtol=1e-5)
    np.testing.assert_allclose(summary.max, np.nanmax(moved, 0))


@pytest.mark.parametrize("width", [0.0, 0.3, 2.0])
def test_the_prior_learns_how_far_neighbours_differ(width):
    """From noisy shifts, whatever prior they were found under: the width that made them."""
    random = np.random.default_rng(0)
    grid, noise = PatchGrid((50, 50), (2, 3)), 0.2
    windows = torch.einsum("hp,wq->pqhw", *(grid.weights(i, torch.arange(50.0)) for i in (0, 1)))
    coherence = CoherencePrior.of((2, 3), windows.flatten(2).flatten(0, 1), 0.01)
    eigen, vectors = np.linalg.eigh(coherence.differences.numpy())
    assert abs(eigen[0]) < 1e-5  # what is common costs nothing
    free = vectors[:, 1:] * (width / np.sqrt(eigen[1:]))
    true = np.einsum("pk,nka->npa", free, random.normal(size=(4000, 5, 2))) + random.normal(size=(4000, 1, 2))
    seen = torch.from_numpy(np.float32(true + random.normal(0, noise, true.shape))).flatten(1)
    start = coherence.stiffness(torch.eye(12))
    covariance = torch.linalg.inv(torch.eye(12) / noise**2 + start)
    found = (seen @ covariance / noise**2).unflatten(1, (6, 2))
    stiffness, moments = coherence.learn(found, covariance, start)
    learned = float((coherence.differences[0, 0] / stiffness[0, 0]) ** 0.5)
    assert learned == pytest.approx(width, rel=0.06, abs=0.09)
    spread = max(0, np.einsum("npa,pq,nqa->n", true, coherence.spread.numpy(), true).mean()) ** 0.5
    assert coherence.disagreement(moments) == pytest.approx(spread, rel=0.06, abs=0.09)
