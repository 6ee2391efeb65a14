"""One look at every frame: the same, whoever reads the frames and however many cores look."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from calcium_lightning.core.pieces import on_all_cores
from calcium_lightning.preprocess.survey import Survey, Surveyor, survey


@pytest.fixture
def frames() -> np.ndarray:
    """Frames (210, 72, 80), two of them the same as the ones before: within a block, and at its beginning."""
    rng = np.random.default_rng(5)
    made = (rng.normal(90, 6, (210, 72, 80)) + rng.uniform(0, 40, (72, 80))).astype(np.uint8)
    made[100], made[128] = made[99], made[127]
    return made


def same(first: Survey, second: Survey) -> None:
    for field in fields(Survey):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name), field.name)


def test_several_cores_see_what_one_sees(frames: np.ndarray) -> None:
    blocks = [frames[start : start + 64] for start in range(0, len(frames), 64)]
    one = survey(blocks, frames.shape, frames.dtype)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with on_all_cores():
            same(survey(blocks, frames.shape, frames.dtype), one)
    finally:
        torch.set_num_threads(before)
    assert np.flatnonzero(one.repeated).tolist() == [100, 128]
    np.testing.assert_array_equal(one.lowest, frames.min(0))
    np.testing.assert_array_equal(one.ends[:, 1], frames.max((1, 2)))
    np.testing.assert_allclose(one.brightness, frames.mean((1, 2)), rtol=1e-3)


def test_frames_that_stream_by_a_few_at_a_time_are_seen_the_same(frames: np.ndarray) -> None:
    surveyor = Surveyor(frames.shape, frames.dtype)
    few = [frames[start : start + 7] for start in range(0, len(frames), 7)]
    for block in few:
        surveyor.add(block)
    surveyor.add(frames[:0])
    same(surveyor.finish(), survey(few, frames.shape, frames.dtype))


def test_of_no_frames_nothing_is_told(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no frame"):
        survey([], frames.shape, frames.dtype)
