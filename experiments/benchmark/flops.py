"""Floating-point operations of what Torch computes: matrix products and convolutions, fused ones too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

Result = TypeVar("Result")
Shape = list[int]


def counted(call: Callable[[], Result]) -> tuple[Result, int]:
    """What ``call`` gives, and how many operations it took in this thread.

    Torch's own counter doesn't know oneDNN's convolutions that add and rectify on their way out
    (:mod:`calcium_lightning.nn.streamed`).
    """
    with FlopCounterMode(display=False, custom_mapping=_fused()) as counter:
        result = call()
    return result, int(counter.get_total_flops())


def _fused() -> dict[Any, Callable[..., int]]:
    if not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return {}

    def operations(x: Shape, first: Shape, second: Shape | None, *_: Any, out_shape: Shape, **__: Any) -> int:
        # (x, weight, bias, ...), or what is added stands before them
        return conv_flop_count(x, second if second is not None and len(second) == 4 else first, out_shape)

    return {torch.ops.mkldnn._convolution_pointwise: operations}
