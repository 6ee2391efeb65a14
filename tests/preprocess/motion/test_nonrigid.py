"""Motion that differs over the field: found, left alone where there is none, and refused where there's no room."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.bending import bending_tissue, displacement
from helpers.moving import Recording, moving_tissue, rmse, wandering
from scipy.ndimage import gaussian_filter

from calcium_lightning.core.errors import InputError
from calcium_lightning.preprocess.motion.estimate import MotionSettings, estimate_motion
from calcium_lightning.preprocess.motion.patches import PatchGrid
from calcium_lightning.preprocess.motion.rigid import RigidEstimator
from calcium_lightning.preprocess.motion.types import AUTO

CELL, SIZE = 8.0, (112, 104)
PLACES = np.random.default_rng(3).uniform(0.1, 0.9, (40, 2)) * SIZE


@pytest.fixture(scope="module")
def shifts():
    return wandering(120)


@pytest.fixture(scope="module")
def stretch():
    return wandering(120, 0.9, seed=8)


@pytest.fixture(scope="module")
def movie(shifts, stretch):
    return bending_tissue(shifts, stretch, SIZE, cells=40)


def error(found: np.ndarray, true: np.ndarray) -> float:
    """RMSE of displacements (T, K, 2), after removing each point's constant offset."""
    difference = found - true
    return float((difference - difference.mean(0)).std())


@pytest.fixture(scope="module")
def true(shifts, stretch):
    return np.moveaxis(displacement(shifts, stretch, *PLACES.T, SIZE), 1, -1)


@pytest.fixture(scope="module")
def spread(shifts, stretch):
    """Root mean square over the field of what isn't common to it."""
    y, x = np.meshgrid(np.arange(0, SIZE[0], 3.0), np.arange(0, SIZE[1], 3.0), indexing="ij")
    whole = displacement(shifts, stretch, y, x, SIZE)
    return np.sqrt(((whole - whole.mean((2, 3), keepdims=True)) ** 2).sum(1).mean())


def test_displacement_is_followed_where_the_rigid_motion_misses_it(movie, true, spread):
    found = estimate_motion(Recording(movie), MotionSettings(patches=(2, 2)), CELL)
    at = PatchGrid(SIZE, (2, 2)).at(found.patches.shifts, PLACES)
    best_rigid = error(true.mean(1, keepdims=True), true)
    assert best_rigid > 0.4
    assert error(at, true) < 0.3 * best_rigid
    # The shifts of the file are the whole field's, and say so.
    np.testing.assert_allclose(
        found.shifts, found.patches.shifts.mean((1, 2)), atol=0.02 + 0.02 * np.abs(found.shifts).max()
    )
    assert found.patches.shifts.shape == (120, 2, 2, 2)
    assert np.abs(np.median(found.patches.shifts, 0)).max() < 1e-5
    # As large as it is, and its standard error is that of the error.
    assert found.nonrigid == pytest.approx(spread, rel=0.15)
    assert 0.03 < found.patches.std.mean() < 0.5


def test_what_a_rigid_estimate_leaves_is_told(movie, shifts, spread):
    found = estimate_motion(Recording(movie), MotionSettings(patches=None), CELL)
    assert found.patches is None
    assert found.nonrigid == pytest.approx(spread, rel=0.3)
    still = estimate_motion(Recording(moving_tissue(shifts, SIZE)), MotionSettings(patches=None), CELL)
    assert still.nonrigid < 0.25 * found.nonrigid


def test_where_it_makes_the_picture_sharper_it_is_followed(movie):
    asked, found = (
        estimate_motion(Recording(movie), MotionSettings(patches=patches), CELL) for patches in ((2, 2), AUTO)
    )
    np.testing.assert_array_equal(found.patches.shifts, asked.patches.shifts)
    assert found.nonrigid == asked.nonrigid


@pytest.mark.parametrize("noise", [6.0, 18.0])
def test_a_field_that_moves_as_one_is_not_bent(shifts, noise):
    noisy = moving_tissue(shifts, SIZE) + np.random.default_rng(5).normal(0, noise, (120, *SIZE))
    plain, found = (
        estimate_motion(Recording(noisy.astype(np.float32)), MotionSettings(patches=patches), CELL)
        for patches in (None, AUTO)
    )
    assert found.patches is None
    np.testing.assert_array_equal(found.shifts, plain.shifts)


def test_a_field_without_room_moves_as_one(movie):
    found = estimate_motion(Recording(movie[:, :36, :36]), MotionSettings(), 10.0)
    assert found.patches is None
    assert found.told


@pytest.mark.parametrize("patches", [None, [1, 1]])
def test_without_patches_it_is_the_rigid_estimate_bit_by_bit(movie, patches):
    few = Recording(movie[:60])
    plain, asked = (
        RigidEstimator(few, MotionSettings(), CELL, torch.device("cpu"), None).run(),
        estimate_motion(few, MotionSettings(patches=patches), CELL),
    )
    for name in ("shifts", "std", "residual", "template"):
        np.testing.assert_array_equal(getattr(asked, name), getattr(plain, name))
    assert asked.patches is None


def test_a_field_that_moves_as_one_is_left_to(shifts):
    movie = moving_tissue(shifts, SIZE, cells=40)
    rigid = estimate_motion(Recording(movie), cell_diameter_px=CELL)
    found = estimate_motion(Recording(movie), MotionSettings(patches=(2, 3)), CELL)
    at = PatchGrid(SIZE, (2, 3)).at(found.patches.shifts, PLACES)
    true = np.repeat(shifts[:, None], len(PLACES), 1)
    assert error(at, true) < 1.4 * rmse(rigid.shifts, shifts).mean() + 0.01


def test_a_place_without_contrast_follows_the_others(movie, shifts, stretch):
    hidden = np.zeros(SIZE)
    hidden[:66, :62] = 1  # noise alone around one corner
    hidden = gaussian_filter(hidden, 6)
    noise = np.random.default_rng(4).normal(80, 6, movie.shape)
    blind = (movie * (1 - hidden) + noise * hidden).astype(np.float32)
    found = estimate_motion(Recording(blind), MotionSettings(patches=(3, 3)), CELL).patches
    corners = np.array([[0.0, 0.0], [SIZE[0] - 1, SIZE[1] - 1]])
    true = np.moveaxis(displacement(shifts, stretch, *corners.T, SIZE), 1, -1)
    blind_error, other_error = (
        rmse(found.shifts[:, 0, 0], true[:, 0]),
        rmse(found.shifts[:, 2, 2], true[:, 1]),
    )
    # No worse than the whole field's motion would be, and it says so.
    assert blind_error.mean() < rmse(shifts, true[:, 0]).mean()
    assert found.std[0, 0].mean() > 1.5 * found.std[2, 2].mean()
    for std, wrong in ((found.std[0, 0], blind_error), (found.std[2, 2], other_error)):
        assert 0.5 < wrong.mean() / std.mean() < 1.8


def test_lost_and_constant_frames(movie):
    damaged = movie[:60].copy()
    damaged[[10, 59]] = 0
    found = estimate_motion(Recording(damaged), MotionSettings(patches=(2, 2)), CELL)
    assert np.flatnonzero(found.lost).tolist() == [10, 59]
    between = found.patches.shifts[[9, 11]].mean(0)
    np.testing.assert_allclose(found.patches.shifts[10], between, atol=1e-5)
    constant = Recording(np.full((5, *SIZE), 7, np.uint8))
    assert not estimate_motion(constant, MotionSettings(patches=(2, 2)), CELL).shifts.any()


@pytest.mark.parametrize("count", [2, 3, 20])
def test_few_frames_of_nothing_but_noise_or_of_stripes_give_finite_shifts(count):
    noise = np.random.default_rng(0).standard_normal((count, *SIZE)).astype(np.float32)
    stripes = 50 + 20 * np.sin(np.arange(SIZE[0]) / 3)[None, :, None] + noise
    half = noise * 3 + 40
    half[:, :, SIZE[1] // 2 :] = 7  # nothing at all
    for frames, kind in ((noise, "dff"), (noise, "raw"), (stripes, "raw"), (half, "raw")):
        recording = Recording(frames.astype(np.float32), kind)
        for patches in (None, (3, 3)):
            found = estimate_motion(recording, MotionSettings(patches=patches), CELL)
            assert np.isfinite(found.shifts).all()
            assert np.isfinite(found.nonrigid)
            if found.patches is not None:
                assert np.isfinite(found.patches.shifts).all()
                assert np.isfinite(found.patches.std).all()


def test_memory_is_that_of_a_block(movie):
    recording = Recording(movie)
    settings = MotionSettings(patches=(2, 2), learn_frames=60, block_frames=30)
    estimate_motion(recording, settings, CELL)
    assert recording.read <= 30


@pytest.mark.parametrize(
    ("patches", "said"),
    [
        (3, "two whole numbers"),
        ([2], "two whole numbers"),
        ([2, 0], "two whole numbers"),
        ([2, 1.5], "two whole numbers"),
        ("2x2", "two whole numbers"),
        ([True, 2], "two whole numbers"),
        ([4, 5], r"room for \[4,4\] at most"),
    ],
)
def test_patches_that_make_no_sense_are_refused(movie, patches, said):
    with pytest.raises(InputError, match=rf"preprocess\.motion\.patches=.*{said}"):
        estimate_motion(Recording(movie), MotionSettings(patches=patches), CELL)
