"""The stages that are timed are functions of today's package."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from calcium_lightning.nn.streamed import _Convolution


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_operations_of_a_convolution_are_counted_however_it_is_done(
    part: Callable[[str], ModuleType], dtype: torch.dtype
) -> None:
    """Two operations for each weight and each pixel that comes out; a fused one is one, too."""
    x = torch.zeros(2, 4, 10, 12, dtype=dtype)
    expected = 2 * (2 * 10 * 12) * (4 * 4 * 3 * 3)
    convolution = _Convolution(torch.zeros(4, 4, 3, 3), torch.zeros(4), 1, dtype)
    counted = part("flops").counted
    assert counted(lambda: convolution.relu(x))[1] == expected
    result, operations = counted(lambda: convolution.add_relu(x, x))
    assert (result.shape, operations) == (x.shape, expected)
