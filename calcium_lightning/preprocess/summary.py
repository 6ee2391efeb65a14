"""Mean and maximum of a recording whose motion is undone by whole pixels, gathered frame by frame.

Knows arrays and shifts, not where they come from.
"""

from __future__ import annotations

import numpy as np


class RegisteredSummary:
    """Mean and maximum over all frames in which a pixel was seen.

    Parameters
    ----------
    size : (int, int)
        (H, W).
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._total = np.zeros(size, np.float64)
        self._count = np.zeros(size, np.int64)
        self._peak = np.full(size, -np.inf, np.float32)

    def add(self, frames: np.ndarray, shifts: np.ndarray, gain: np.ndarray, offset: np.ndarray) -> None:
        """Look at frames.

        Parameters
        ----------
        frames : ndarray (n, H, W)
            Stored as ``true * gain + offset``.
        shifts : ndarray (n, 2)
            How far the tissue is displaced in each, pixels.
        gain, offset : ndarray (n,)
        """
        if (gain != 1).any() or (offset != 0).any():
            frames = (frames - offset[:, None, None]) / gain[:, None, None]
        whole, group = np.unique(np.round(shifts).astype(int), axis=0, return_inverse=True)
        exact = np.dtype(np.float64 if frames.dtype.kind == "f" else np.uint64)
        for index, shift in enumerate(whole):
            # Frames that moved alike are summed before they are moved back, as the integers they are.
            alike = frames[group.ravel() == index]
            source, target = zip(*map(_overlap, shift, frames.shape[1:]), strict=True)
            self._total[target] += alike.sum(0, dtype=exact)[source]
            self._count[target] += len(alike)
            np.maximum(self._peak[target], alike.max(0)[source], out=self._peak[target])

    @property
    def mean(self) -> np.ndarray:
        """float32 (H, W), 0 where nothing was ever seen."""
        return (self._total / np.maximum(self._count, 1)).astype(np.float32)

    @property
    def max(self) -> np.ndarray:
        """float32 (H, W), 0 where nothing was ever seen."""
        return np.where(self._count > 0, self._peak, np.float32(0))


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Pixels of a moved line that lie in the field, and where they belong."""
    begin, end = max(0, -shift), max(0, min(length, length - shift))
    begin = min(begin, end)
    return slice(begin + shift, end + shift) if begin < end else slice(0, 0), slice(begin, end)
