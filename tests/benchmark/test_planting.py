"""Planted cells lie where the tissue is, and are stretched as frames are."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np


def test_planted_cells_move_and_are_stretched_with_the_frames(part: Callable[[str], ModuleType]) -> None:
    random = np.random.default_rng(0)
    frames = random.normal(100, 5, (200, 80, 90)).astype(np.float32)
    gain = random.uniform(0.5, 2, 200)
    shifts = np.zeros((200, 2))
    shifts[100:] = 3, -2

    planted = part("planting").plant(frames, 10.0, 8.0, shifts, gain, seed=3)

    added = planted.frames - frames
    assert len(planted.places) > 5
    for place, trace in zip(planted.places, planted.traces, strict=True):
        peak = int(np.argmax(trace * gain))
        around = np.round(place + shifts[peak]).astype(int)
        part_of = np.s_[peak, around[0] - 4 : around[0] + 5, around[1] - 4 : around[1] + 5]
        y, x = np.mgrid[around[0] - 4 : around[0] + 5, around[1] - 4 : around[1] + 5]
        light = added[part_of]
        centre = np.array([(light * y).sum(), (light * x).sum()]) / light.sum()
        assert np.abs(centre - place - shifts[peak]).max() < 0.5
        assert light.max() < trace[peak] * gain[peak] * 1.01
        assert light.max() > trace[peak] * gain[peak] * 0.9


def test_a_field_of_integers_stays_one(part: Callable[[str], ModuleType]) -> None:
    frames = np.random.default_rng(1).normal(240, 5, (60, 64, 64)).clip(0, 255).astype(np.uint8)

    planted = part("planting").plant(frames, 10.0, 8.0, np.zeros((60, 2)), np.ones(60))

    assert planted.frames.dtype == np.uint8
    assert (planted.frames >= frames).all()
