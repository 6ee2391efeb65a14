"""Whether frames tell their motion: where they do it is found, where they don't they are left as they lie."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.moving import Recording, moving_tissue, rmse, wandering

from calcium_lightning.preprocess.motion.estimate import MotionSettings, estimate_motion

CELL = 8.0


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("patches", [None, [2, 2]])
def test_without_a_lasting_picture_there_is_no_motion(seed: int, patches: list[int] | None) -> None:
    still = moving_tissue(np.zeros((200, 2)), seed=seed).astype(np.float32)
    motion = estimate_motion(Recording(still - still.mean(0)), MotionSettings(patches=patches), CELL)
    assert not motion.told
    assert not motion.shifts.any()
    assert not motion.lost.any()
    assert (motion.nonrigid, motion.patches) == (0, None)
    assert np.isinf(motion.std).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_that_half_of_the_frames_agree_is_not_enough(seed: int) -> None:
    """What brightens as a whole looks like a lasting picture, while it is bright."""
    still = moving_tissue(np.zeros((200, 2)), seed=seed).astype(np.float32)
    picture = still.mean(0) - still.mean()
    bright = np.arange(200) % 50 < 30
    motion = estimate_motion(Recording(still - still.mean(0) + bright[:, None, None] * picture), None, CELL)
    assert not motion.told
    assert not motion.shifts.any()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tissue_in_a_corner_tells_the_motion_of_the_field(seed: int) -> None:
    """Halves that hold nothing disagree with all others."""
    shifts = wandering(200, seed=seed)
    movie = moving_tissue(shifts, size=(144, 160), seed=seed)
    movie[:, 72:] = movie[:, :, 80:] = 0
    noise = np.random.default_rng(seed).poisson(100, movie.shape).astype(np.uint8)
    motion = estimate_motion(Recording(np.where(movie > 0, movie, noise)), cell_diameter_px=CELL)
    assert motion.told
    assert (rmse(motion.shifts, shifts) < 0.5).all()


def test_a_little_light_tells_some_motion_and_too_little_none():
    """Frames are moved where that brings them nearer than they were."""
    shifts = wandering(200)
    for brightness, told in ((1.0, True), (0.1, False)):
        dim = moving_tissue(shifts, brightness=brightness, texture=0.12 * brightness, cells=0)
        motion = estimate_motion(Recording(dim), cell_diameter_px=CELL)
        assert motion.told == told
        left = rmse(motion.shifts, shifts) / rmse(np.zeros_like(shifts), shifts)
        assert (left < (0.5 if told else 1.01)).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tissue_that_moves_by_more_than_a_cell_in_most_frames_tells_it(seed: int) -> None:
    """Parts of the field show other tissue then than where the template has theirs."""
    places = np.random.default_rng(seed).uniform(-14, 14, (20, 2))
    shifts = np.repeat(places, 10, 0) + wandering(200, spread=1.0, seed=seed)
    motion = estimate_motion(
        Recording(moving_tissue(shifts, size=(104, 96), seed=seed)), cell_diameter_px=CELL
    )
    assert motion.told
    assert (rmse(motion.shifts, shifts) < 0.5).all()
