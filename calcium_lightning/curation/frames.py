"""Frames of a session as 8-bit numbers of one range for the whole movie: a page shows them as they come.

Knows sessions; must not know cells, and needs no tensors: it is what the server itself does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from calcium_lightning.io.base_session import BaseSession

#: bytes of one answer at most
MOST_BYTES = 16 << 20
#: bytes of frames in single precision that are worked on at a time
BLOCK_BYTES = 6 << 20
#: frames that are looked at for the range of grey values
SAMPLE = 24
#: share of the pixels that may be darker than black, and brighter than white, per cent
OUTSIDE = 0.05
#: frames (n,) of a movie, float32 (n, h, w)
Read = Callable[[np.ndarray], np.ndarray]
Frames = tuple[dict[str, Any], np.ndarray]


def in_range(index: np.ndarray, count: int, size: tuple[int, int]) -> np.ndarray:
    """The frames that there are of those asked for, as many as fit into one answer."""
    index = index[(index >= 0) & (index < count)]
    return index[: max(1, MOST_BYTES // (size[0] * size[1]))]


def in_bytes(
    read: Read, index: np.ndarray, size: tuple[int, int], shown: tuple[float, float], unit: str
) -> Frames:
    """Frames as 8-bit numbers, a few at a time.

    Returns
    -------
    about : dict
        ``height``, ``width``, ``low``, ``high`` (what 0 and 255 stand for), ``unit``, ``frames``.
    values : ndarray, uint8 (n, h, w)
    """
    low, high = shown
    values = np.empty((len(index), *size), np.uint8)
    step = max(1, BLOCK_BYTES // (4 * size[0] * size[1]))
    for start in range(0, len(index), step):
        part = read(index[start : start + step])
        part -= low
        part *= 255 / (high - low)
        values[start : start + step] = np.clip(part, 0, 255, out=part)
    about = {"height": size[0], "width": size[1], "low": low, "high": high, "unit": unit}
    return {**about, "frames": index.tolist()}, values


def range_of(read: Read, count: int) -> tuple[float, float]:
    """What black and white stand for in a whole movie of ``count`` frames."""
    index = np.unique(np.linspace(0, count - 1, SAMPLE).astype(int))
    edges = [np.percentile(read(index[[at]]), [OUTSIDE, 100 - OUTSIDE]) for at in range(len(index))]
    low, high = float(np.min(edges)), float(np.max(edges))
    room = 0.1 * (high - low)
    return low - room, max(high + room, low + 1e-6)


def stored(session: BaseSession, index: np.ndarray) -> np.ndarray:
    """Frames (n,), ascending, of a session, in its type."""
    first, last = int(index[0]), int(index[-1]) + 1
    if last - first <= 4 * len(index):  # to read what lies between is cheaper than to seek
        return session.frames(first, last)[index - first]
    return np.concatenate([session.frames(int(frame), int(frame) + 1) for frame in index])


class RawMovie:
    """The frames as they were recorded.

    Parameters
    ----------
    session : BaseSession
        Opened; whoever made it closes it.
    """

    def __init__(self, session: BaseSession) -> None:
        self.session = session
        self.unit = "ΔF/F" if session.kind == "dff" else "grey values"
        self._shown: tuple[float, float] | None = None
        self._lock = threading.Lock()

    @property
    def shown(self) -> tuple[float, float]:
        """What black and white stand for."""
        if self._shown is None:
            self._shown = range_of(self._read, self.session.n_frames)
        return self._shown

    def _read(self, index: np.ndarray) -> np.ndarray:
        return stored(self.session, index).astype(np.float32)

    def frames(self, index: np.ndarray) -> Frames:
        """Frames (n,), ascending, as :func:`in_bytes` gives them."""
        size = self.session.shape[1:]
        with self._lock:  # one answer at a time: memory doesn't grow with impatience
            return in_bytes(
                self._read, in_range(index, self.session.n_frames, size), size, self.shown, self.unit
            )
