"""Windows in time: a number of seconds around a frame, resampled to a fixed number of taps.

So a recording of 5 Hz and one of 30 Hz are one model's business. Knows tensors only; where the frames come
from is the dataset's affair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.scale import BACKGROUND_DIAMETERS

#: frames resampled in one matrix product; the product's cost grows with it, the number of products falls
STRIDE = 16


#: a background that is smoother is even over any field, and its filter would fill memory
WIDEST = 100


@dataclass(frozen=True)
class WindowSettings:
    """A window around a frame, and what was taken from its frames before.

    Attributes
    ----------
    taps : int
        Number of channels that the network sees; odd, the middle one is the frame itself.
    seconds : float
        Time from the first to the last tap.
    blind_spot : bool
        Hide the middle frame from every tap, so that its noise can't be copied.
    background_diameters : float, optional
        Standard deviation of the blur that preparation takes for background, in cell diameters; default
        :data:`~calcium_lightning.core.scale.BACKGROUND_DIAMETERS`.
    """

    taps: int = 11
    seconds: float = 1.0
    blind_spot: bool = False
    background_diameters: float | None = None

    def __post_init__(self) -> None:
        """Fill in the default, and refuse what is not a window.

        Raises
        ------
        InputError
            Naming the setting.
        """
        width = BACKGROUND_DIAMETERS if self.background_diameters is None else self.background_diameters
        object.__setattr__(self, "background_diameters", width)
        if not 0 < width <= WIDEST:
            raise InputError(f"background_diameters={width}: a width above 0 and up to {WIDEST}")
        if self.taps < 1 or self.taps % 2 == 0:
            raise InputError(f"window.taps={self.taps}: an odd number, 1 or more")
        if not self.seconds > 0:
            raise InputError(f"window.seconds={self.seconds}: a time above 0")
        if self.blind_spot and self.taps == 1:
            raise InputError("window.blind_spot=true hides the only tap; window.taps=3 or more")


@dataclass
class Labels:
    """True cells that are lit in each frame of a batch, padded to the most in any frame.

    Attributes
    ----------
    positions : Tensor, float32 (B, M, 2)
        (y, x) in network pixels within the crop.
    amplitude : Tensor, float32 (B, M)
        Brightness at the cell's peak in units of the foreground's noise.
    valid : Tensor, bool (B, M)
        False where there is no cell.
    """

    positions: Tensor
    amplitude: Tensor
    valid: Tensor

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Labels:
        """Move to a device."""
        return Labels(
            *(
                part.to(device, non_blocking=non_blocking)
                for part in (self.positions, self.amplitude, self.valid)
            )
        )

    def pin_memory(self) -> Labels:
        """Copy to page-locked memory."""
        return Labels(self.positions.pin_memory(), self.amplitude.pin_memory(), self.valid.pin_memory())


@dataclass
class WindowBatch:
    """Windows and the frames in their middle.

    Attributes
    ----------
    windows : Tensor, float32 (B, taps, h, w)
        Foreground in units of its noise.
    target : Tensor, float32 (B, h, w)
        Foreground of the middle frame.
    extent : Tensor, float32 (B, 4)
        (y0, y1, x0, x1): centres of the crop's first and last pixels in its field, which spans -1 to 1.
    session, frame : Tensor, int64 (B,)
        Which session, and which of its frames is in the middle.
    labels : Labels, optional
        True cells, where they are known and asked for.
    """

    windows: Tensor
    target: Tensor
    extent: Tensor
    session: Tensor
    frame: Tensor
    labels: Labels | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> WindowBatch:
        """Move to a device (Lightning calls it); to a GPU, from page-locked memory, without waiting."""
        non_blocking = non_blocking or torch.device(device).type == "cuda"
        return self._each(lambda part: part.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> WindowBatch:
        """Copy to page-locked memory (the DataLoader calls it)."""
        return self._each(lambda part: part.pin_memory())

    def _each(self, change: Callable[[Any], Any]) -> WindowBatch:
        """Apply ``change`` to every tensor; labels know how to be changed themselves."""
        names = (part.name for part in fields(self))
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        changed: dict[str, Any] = {
            name: value if value is None else change(value) for name, value in values.items()
        }
        return WindowBatch(**changed)


def window_weights(fps: float, settings: WindowSettings) -> Tensor:
    """How each tap of a window averages the frames around the middle one.

    Tap k lies ``(k - taps // 2) * seconds / (taps - 1)`` from the middle. Where taps lie further apart than
    frames, each averages all the frames of its span (a box: no photons are thrown away); where they lie
    closer, it interpolates linearly. Both are the overlap of a box, never narrower than a frame, with the
    frames. The middle tap is always frame t alone, even where its neighbours are boxes: it is what is to be
    explained.

    Parameters
    ----------
    fps : float
        Frame rate of the session, Hz.
    settings : WindowSettings
        The window.

    Returns
    -------
    Tensor, float32 (taps, S)
        S is odd; column S // 2 is the middle frame; every row sums to 1 (but a hidden middle one, which is
        0).

    Raises
    ------
    InputError
        If the window is so short that hiding the middle frame hides everything.

    Examples
    --------
    >>> window_weights(10.0, WindowSettings(taps=3, seconds=0.1))
    tensor([[0.5000, 0.5000, 0.0000],
            [0.0000, 1.0000, 0.0000],
            [0.0000, 0.5000, 0.5000]])
    """
    half = settings.taps // 2
    spacing = settings.seconds * fps / (settings.taps - 1) if half else 0.0
    width = max(spacing, 1.0)
    reach = (
        int(torch.ceil(torch.tensor(half * spacing + (width - 1) / 2 - 1e-6, dtype=torch.float64)))
        if half
        else 0
    )
    centers = spacing * torch.arange(-half, half + 1, dtype=torch.float64)[:, None]
    frames = torch.arange(-reach, reach + 1, dtype=torch.float64)[None]
    upper = torch.minimum(centers + width / 2, frames + 0.5)
    lower = torch.maximum(centers - width / 2, frames - 0.5)
    weights = (upper - lower).clamp(min=0)
    weights[half] = (frames[0] == 0).double()
    if settings.blind_spot:
        weights[:, reach] = 0
        empty = weights.sum(1) < 1e-6
        empty[half] = False
        if bool(empty.any()):
            raise InputError(
                f"window.seconds={settings.seconds}: at {fps:g} Hz nothing but the hidden middle "
                "frame is left; make it longer"
            )
    return (weights / weights.sum(1, keepdim=True).clamp(min=1e-9)).float()


def take_windows(frames: Tensor, weights: Tensor) -> Tensor:
    """Windows around n consecutive frames.

    Parameters
    ----------
    frames : Tensor, float32 (n + S - 1, h, w)
        The middle frames with a margin of S // 2 on both sides (frames repeated at the ends of a session).
    weights : Tensor, float32 (taps, S)
        From :func:`window_weights`.

    Returns
    -------
    Tensor, float32 (n, taps, h, w)
    """
    taps, span = weights.shape
    count = len(frames) - span + 1
    if count < 1:
        raise ValueError(f"{len(frames)} frames are fewer than the {span} of a window")
    flat = frames.reshape(len(frames), -1)
    windows = flat.new_empty(count, taps, flat.shape[1])
    for start in range(0, count, STRIDE):  # a banded matrix product per few frames: no copies of the frames
        n = min(STRIDE, count - start)
        band = weights.new_zeros(n, taps, n + span - 1)
        for shift in range(n):
            band[shift, :, shift : shift + span] = weights
        windows[start : start + n] = (band.to(flat).flatten(0, 1) @ flat[start : start + n + span - 1]).view(
            n, taps, -1
        )
    return windows.view(count, taps, *frames.shape[1:])


def edge_pad(frames: Tensor, before: int, after: int) -> Tensor:
    """Repeat the first and the last frame, where a window reaches beyond the session."""
    if not before and not after:
        return frames
    return torch.cat([frames[:1].expand(before, -1, -1), frames, frames[-1:].expand(after, -1, -1)])
