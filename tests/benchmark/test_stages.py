"""The stages that are timed are functions of today's package."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch


def test_every_stage_is_watched_and_given_back(part: Callable[[str], ModuleType]) -> None:
    stages = part("stages")
    places = [place for parts in stages.STAGES.values() for place in parts]
    before = [getattr(owner, name) for owner, name in places]
    with stages.Stopwatch() as watch:
        assert all(getattr(owner, name) is not was for (owner, name), was in zip(places, before, strict=True))
        frames = stages.ScratchMovie.of(torch.zeros(2, 4, 5)).read(0, 2)
    assert watch.stages[stages.READING].seconds > 0
    assert watch.stages[stages.READING].moved == stages.READ_BYTES * frames.numel()
    assert [getattr(owner, name) for owner, name in places] == before
