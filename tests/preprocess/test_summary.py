"""Mean and maximum of registered frames, against moving every frame."""

from __future__ import annotations

import numpy as np
import pytest

from calcium_lightning.preprocess.summary import RegisteredSummary

SIZE = (14, 18)


def moved_back(frames: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Frames with their motion undone pixel by pixel; NaN where nothing was seen."""
    result = np.full(frames.shape, np.nan)
    for target, frame, (dy, dx) in zip(result, frames, np.round(shifts).astype(int), strict=True):
        for y, x in np.ndindex(SIZE):
            if 0 <= y + dy < SIZE[0] and 0 <= x + dx < SIZE[1]:
                target[y, x] = frame[y + dy, x + dx]
    return result


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("repaired", [False, True])
def test_it_is_that_of_the_frames_moved_back(kind: str, repaired: bool) -> None:
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (24, *SIZE)).astype(kind)
    if kind == "float32":
        frames -= 300  # all below zero: what was not seen must not count as zero
    shifts = random.uniform(-5, 5, (24, 2)).astype(np.float32)
    gain, offset = np.ones(24), np.zeros(24)
    if repaired:  # not those of the first part
        gain[10:], offset[10:] = random.uniform(0.5, 2, 14), random.uniform(255, 300, 14)
    summary = RegisteredSummary(SIZE)
    for part in (slice(0, 10), slice(10, 24)):
        summary.add(frames[part], shifts[part], gain[part], offset[part])
    expected = moved_back((frames - offset[:, None, None]) / gain[:, None, None], shifts)
    np.testing.assert_allclose(summary.mean, np.nanmean(expected, 0), rtol=1e-5)
    np.testing.assert_allclose(summary.max, np.nanmax(expected, 0), rtol=1e-5)
    assert summary.mean.dtype == summary.max.dtype == np.float32


def test_what_was_never_seen_is_zero() -> None:
    summary = RegisteredSummary(SIZE)
    shifts = np.array([[3.0, 0.0], [2.0, 100.0]])
    summary.add(np.full((2, *SIZE), 7, np.uint8), shifts, np.ones(2), np.zeros(2))
    assert (summary.mean[-3:] == 0).all()
    assert (summary.max[-3:] == 0).all()
    assert (summary.mean[:-3] == 7).all()
