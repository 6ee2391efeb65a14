"""A device that isn't there: its tensors are computed on the CPU, and refuse float64 as those of a Mac do.

As there, mixing them with tensors of the CPU fails too (single numbers aside), and so does ``numpy()``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_map_only
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "pretended"


class PretendedTensor(Tensor):
    """A tensor of the CPU that says it is elsewhere."""

    @staticmethod
    def __new__(cls, inner: Tensor) -> PretendedTensor:
        return Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            inner.stride(),
            inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"elsewhere: {self.inner}"

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class Pretending(TorchDispatchMode):
    """Makes tensors that are asked for on the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


#: what may have one side here and one there
COPIES = {torch.ops.aten.to, torch.ops.aten._to_copy, torch.ops.aten.copy_, torch.ops.aten.copy}
INDEXING = {torch.ops.aten.index, torch.ops.aten.index_put_, torch.ops.aten.index_put}


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the CPU, and wrap what would be on the device."""
    flat, _ = tree_flatten((args, kwargs))
    tensors = [item for item in flat if isinstance(item, Tensor)]
    there = [item for item in tensors if isinstance(item, PretendedTensor)]
    target = next((item for item in flat if isinstance(item, torch.device)), None)
    if not there and (target is None or target.type != NAME):
        return func(*args, **kwargs)
    kind = func.overloadpacket
    strangers = [item for item in tensors if not isinstance(item, PretendedTensor) and item.dim()]
    if there and strangers and kind not in COPIES | INDEXING:
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, found {NAME} and cpu")
    inner, named = tree_map(_on_cpu, (args, kwargs))
    result = func(*inner, **named)
    if kind is torch.ops.aten.copy_ and not isinstance(args[0], PretendedTensor):
        return args[0]
    if target is not None and target.type != NAME:
        return result.clone()  # not a view of what stays there
    # What was changed in place stays the tensor that it was.
    known = {id(item.inner): item for item in there}
    return tree_map_only(
        Tensor, lambda item: known[id(item)] if id(item) in known else wrap(func, item), result
    )


def _on_cpu(item: Any) -> Any:
    if isinstance(item, PretendedTensor):
        return item.inner
    return torch.device("cpu") if isinstance(item, torch.device) else item


def wrap(func: Any, tensor: Tensor) -> PretendedTensor:
    if tensor.dtype in (torch.float64, torch.complex128):
        raise TypeError(f"{func}: cannot make a float64 tensor here")
    return PretendedTensor(tensor)


@contextmanager
def pretended_device() -> Iterator[torch.device]:
    """Within, the device can be computed on."""
    _set_up()
    before = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=) then goes by way of the CPU
    try:
        with Pretending(), torch.autograd.set_multithreading_enabled(False):
            yield torch.device(NAME, 0)
    finally:
        torch._C._set_only_lift_cpu_tensors(before)


class _Module(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16]


@cache
def _set_up() -> None:
    _setup_privateuseone_for_python_backend(NAME, _Module())
