"""Motion differs over the field where the mean picture gets sharper by following it, and not by what noise does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from calcium_lightning.preprocess.motion.sharpness import MARGIN, sharper
from calcium_lightning.preprocess.motion.types import Motion, PatchShifts

COUNT, SIZE = 300, (60, 64)
INSIDE = np.ones(SIZE, bool)


def picture(blur: float, seed: int = 0) -> np.ndarray:
    texture = np.random.default_rng(seed).normal(0, 9, SIZE)
    return (100 + gaussian_filter(gaussian_filter(texture, 1), blur)).astype(np.float32)


def motion(template: np.ndarray, memory: float | None = None, misfit: float = 1.0) -> Motion:
    """With places that move on their own, for so many frames the same way."""
    patches = None
    if memory is not None:
        own = np.random.default_rng(1).normal(0, 1, (COUNT, 2, 2, 2))
        own = gaussian_filter1d(own, memory, axis=0) if memory else own
        own -= own.mean((1, 2), keepdims=True)
        patches = PatchShifts(own.astype(np.float32), np.full((2, 2, 2), 0.3, np.float32))
    shifts, none = np.zeros((COUNT, 2), np.float32), np.zeros(COUNT, bool)
    return Motion(shifts, shifts + 0.1, shifts[:, 0] + misfit, none, template, 1, patches=patches)


def test_a_sharper_picture_decides() -> None:
    rigid = motion(picture(0.5))
    assert sharper(motion(picture(0.4), memory=6), rigid, INSIDE)
    assert not sharper(motion(picture(0.6), memory=6), rigid, INSIDE)
    assert not sharper(motion(picture(0.5), memory=6), rigid, INSIDE)


@pytest.mark.parametrize("memory", [0.0, 0.4])
def test_what_is_new_in_each_frame_is_noise(memory: float) -> None:
    """Places that follow the noise sharpen the noise, too."""
    assert not sharper(motion(picture(0.4), memory=memory), motion(picture(0.5)), INSIDE)


def test_quick_motion_has_to_tell_more() -> None:
    rigid = motion(picture(0.5))
    assert sharper(motion(picture(0.4), memory=0.62), rigid, INSIDE)
    assert not sharper(motion(picture(0.4975), memory=0.62), rigid, INSIDE)
    assert sharper(motion(picture(0.4975), memory=6), rigid, INSIDE)


def test_frames_must_not_fit_worse() -> None:
    """As where most cells flash together, and places follow their light."""
    rigid = motion(picture(0.5), misfit=1.2)
    assert sharper(motion(picture(0.4), memory=6, misfit=1.23), rigid, INSIDE)
    assert not sharper(motion(picture(0.4), memory=6, misfit=1.25), rigid, INSIDE)
    assert not sharper(
        motion(picture(0.4), memory=6, misfit=np.nan), motion(picture(0.5), misfit=np.nan), ~INSIDE
    )


def test_frames_may_fit_worse_where_the_picture_is_much_sharper() -> None:
    """As where the field turns: no two places move the same way."""
    rigid = motion(picture(0.5), misfit=1.2)
    assert sharper(motion(picture(0.3), memory=6, misfit=1.2 * 1.07), rigid, INSIDE)
    assert not sharper(motion(picture(0.3), memory=6, misfit=1.2 * 1.09), rigid, INSIDE)
    assert not sharper(motion(picture(0.3), memory=0, misfit=1.2 * 1.07), rigid, INSIDE)


def test_only_what_frames_show_tells() -> None:
    """A sharp edge at the border of what is seen says nothing."""
    torn = picture(0.5)
    torn[:, 40:] = picture(0.1, seed=3)[:, 40:]
    left = INSIDE.copy()
    left[:, 40:] = False
    rigid = motion(picture(0.5))
    assert sharper(motion(torn, memory=6), rigid, INSIDE)
    assert not sharper(motion(torn, memory=6), rigid, left)
    few = np.zeros(SIZE, bool)
    few[: 2 * MARGIN, : 2 * MARGIN] = True
    assert not sharper(motion(picture(0.4), memory=6), rigid, few)


def test_without_places_there_is_nothing_to_follow() -> None:
    assert not sharper(motion(picture(0.4)), motion(picture(0.5)), INSIDE)
