"""Which device computes, and what has to be computed on the CPU."""

from __future__ import annotations

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
    """The same numbers in float64, on the CPU: not every device has float64 (Apple's has not)."""
    return tensor.detach().cpu().double()
