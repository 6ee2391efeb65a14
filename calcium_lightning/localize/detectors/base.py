"""What a detector must be, and the check of one before any data are read.

For: detectors of the package and of one's own (config group ``detector``).
Must not know: sessions, or how localisations become cells.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.parts import describe
from calcium_lightning.localize.detect import Detector
from calcium_lightning.nn.coordinates import Coordinates
from calcium_lightning.nn.windows import WindowSettings

if TYPE_CHECKING:
    from calcium_lightning.core.cells import Cells
    from calcium_lightning.io.session import Session

#: what a detector is tried on: a size that is no multiple of anything
TRIAL = (27, 35)
#: what each field of :class:`Coordinates` has behind (B, N)
TAILS = {"positions": (2,), "sigma": (2,), "position_std": (2,)}
SIGNATURE = "localize(windows, extent=None, threshold=0.3, count=512)"


@dataclass(frozen=True)
class WindowDetector:
    """A detector that localises in windows of frames, and which windows it wants."""

    detector: Detector
    window: WindowSettings


@runtime_checkable
class SessionDetector(Protocol):
    """A model that makes cells of a whole session by a way of its own."""

    def find_cells(
        self, session: Session, *, fps: float | None, pixel_size_um: float | None, config: str
    ) -> Cells:
        """The session's cells; ``fps`` and ``pixel_size_um`` in place of its own, ``config`` kept in them."""
        ...

    def to(self, device: torch.device) -> Any:
        """Move to a device."""
        ...

    def summary(self, cells: Cells) -> str:
        """What came out, in a line."""
        ...


def ready(detector: Any, device: torch.device) -> WindowDetector | SessionDetector:
    """Bring what the config group ``detector`` made to a device, and try it.

    Parameters
    ----------
    detector : object
        A :class:`WindowDetector`, a :class:`SessionDetector`, or a detector with its ``window``.
    device : torch.device

    Raises
    ------
    InputError
        If it is none, or doesn't give coordinates of windows.
    """
    kind = type(detector).__name__
    if isinstance(detector, SessionDetector):
        detector.to(device)
        return detector
    if not isinstance(detector, WindowDetector):
        if not callable(getattr(detector, "localize", None)):
            raise InputError(f"detector: {kind} has no {SIGNATURE}")
        if not isinstance(getattr(detector, "window", None), WindowSettings):
            raise InputError(
                f"detector: {kind} doesn't say what it looks at: an attribute window, a "
                "WindowSettings(taps=, seconds=)"
            )
        detector = WindowDetector(detector, detector.window)
    if isinstance(detector.detector, torch.nn.Module):
        detector.detector.to(device).eval()
    check_localize(detector.detector, detector.window, device)
    return detector


def check_localize(detector: Detector, window: WindowSettings, device: torch.device) -> None:
    """Try a detector on two windows of noise.

    Raises
    ------
    InputError
        If it fails, or gives something else than coordinates of the two.
    """
    name = f"detector: {type(detector).__name__}"
    parameters = inspect.signature(detector.localize).parameters
    try:
        inspect.signature(detector.localize).bind(None, None, 0.3)
    except TypeError as error:
        raise InputError(f"{name}.localize takes ({', '.join(parameters)}); {SIGNATURE} is wanted") from error
    generator = torch.Generator().manual_seed(0)
    windows = torch.randn(2, window.taps, *TRIAL, generator=generator).to(device)
    shape = f"windows of shape {tuple(windows.shape)}"
    try:
        found: Any = detector.localize(windows, None, 0.3)
    except InputError:
        raise
    except Exception as error:  # whatever a stranger's code raises
        raise InputError(f"{name}.localize fails on {shape} ({describe(error)})") from error
    if not isinstance(found, Coordinates):
        raise InputError(f"{name}.localize gives a {type(found).__name__}; Coordinates are wanted")
    count = found.valid.shape[-1] if isinstance(found.valid, Tensor) and found.valid.ndim == 2 else 0
    for field in fields(Coordinates):
        value, wanted = getattr(found, field.name), (2, count, *TAILS.get(field.name, ()))
        given = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if given != wanted:
            tail = "".join(f", {length}" for length in wanted[2:])
            raise InputError(f"{name}.localize on {shape}: {field.name} is {given}; (2, N{tail}) is wanted")
    if found.valid.dtype is not torch.bool:
        raise InputError(f"{name}.localize: valid is {found.valid.dtype}; bool is wanted")
