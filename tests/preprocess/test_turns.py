"""Recordings whose frames take turns."""

from __future__ import annotations

import numpy as np
import pytest

from calcium_lightning.preprocess.turns import interleaved

from . import artefacts


def kinds(frames: np.ndarray) -> int:
    return interleaved(artefacts.look(np.clip(frames, 0, 255).astype(np.uint8)), np.ones(len(frames), bool))


@pytest.mark.parametrize("seed", range(4))
def test_a_plain_recording_is_of_one_kind(seed: int):
    made = artefacts.make(seed)
    assert kinds(made.frames) == 1
    assert kinds(made.frames[:10]) == 1
    fading = made.frames * np.linspace(1, 0.5, len(made.frames))[:, None, None]
    assert kinds(fading) == 1
    flicker = 1 + 0.05 * np.sin(np.arange(len(made.frames)) * 2 * np.pi * 0.37)
    assert kinds(made.frames * flicker[:, None, None]) == 1


@pytest.mark.parametrize("count", [2, 3, 4])
def test_light_sources_that_take_turns_are_counted(count: int):
    made = artefacts.make(3)
    light = np.resize([1.0, 0.8, 0.7, 0.9][:count], len(made.frames))
    assert kinds(made.frames * light[:, None, None]) == count


def test_planes_as_bright_as_each_other_are_told_by_their_contrast():
    first, second = artefacts.make(5).frames, artefacts.make(6).frames
    second = second.mean() + 0.6 * (second - second.mean())
    taking = first * (first.mean() / first.mean((1, 2), keepdims=True))
    taking[1::2] = (second * (first.mean() / second.mean((1, 2), keepdims=True)))[1::2]
    assert kinds(taking) == 2


def test_frames_without_a_picture_do_not_hide_it():
    made = artefacts.make(7)
    frames = made.frames * np.resize([1.0, 0.8], len(made.frames))[:, None, None]
    frames[::9] = 0
    good = np.ones(len(frames), bool)
    good[::9] = False
    assert interleaved(artefacts.look(frames.astype(np.uint8)), good) == 2
