"""Which device computes, and what has to be computed on the CPU."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from calcium_lightning.core.errors import InputError


def choose_device(name: str | torch.device) -> torch.device:
    """``auto`` is the best that is there; a device that was chosen already stays.

    Raises
    ------
    InputError
        If the device isn't there.
    """
    if isinstance(name, torch.device):
        return name
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(device for device in ("cuda", "mps", "cpu") if found[device]))
    if name.split(":")[0] not in found:
        raise InputError(f"device={name}: auto, {', '.join(found)}")
    if not found[name.split(":")[0]]:
        raise InputError(f"device={name}: not on this machine; device=auto takes what is there")
    return torch.device(name)


def exact(tensor: Tensor) -> Tensor:
    """The same numbers in float64: where they are on CUDA, else on the CPU (Apple's devices have none)."""
    return (tensor.detach() if tensor.device.type == "cuda" else tensor.detach().cpu()).double()


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Within it, nothing is computed in half precision by itself, on a device that would do so."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def upload(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A tensor on a device; to CUDA from page-locked memory, so that nobody waits for the copy."""
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def has_bfloat16(kind: str) -> bool:
    """Whether a kind of device computes in bfloat16, and fast."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return (
        kind == "cpu"
        and torch.backends.mkldnn.is_available()
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
