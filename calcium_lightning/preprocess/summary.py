"""Mean and maximum of a recording whose motion is undone by whole pixels, gathered frame by frame.

Motion that differs over the field is undone tile by tile. Knows arrays and shifts, not where they come from.
"""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np

#: frames that are summed together
FEW = 64


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
        shifts : ndarray (n, 2) or (n, rows, columns, 2)
            How far the tissue is displaced in each, pixels; or in each of the tiles into which so many rows
            and columns of them cut the field.
        gain, offset : ndarray (n,)
        """
        if (gain != 1).any() or (offset != 0).any():
            frames = (frames - offset[:, None, None]) / gain[:, None, None]
        tiles = shifts.reshape(len(shifts), *(shifts.shape[1:3] if shifts.ndim == 4 else (1, 1)), 2)
        rows, columns = (
            list(pairwise(np.round(np.linspace(0, length, count + 1)).astype(int)))
            for length, count in zip(frames.shape[1:], tiles.shape[1:3], strict=True)
        )
        # Integers are summed as the integers they are, and never by more than a few frames at a time; one by
        # one, since gathering those that moved alike would copy them, which takes three times as long.
        exact = np.dtype(np.float64 if frames.dtype.kind == "f" else np.uint32)
        for few in range(0, len(frames), FEW):
            part = slice(few, few + FEW)
            total, count = np.zeros(self._total.shape, exact), np.zeros(self._total.shape, np.uint16)
            peak = np.full(self._total.shape, _least(frames.dtype))
            for (i, row), (j, column) in product(enumerate(rows), enumerate(columns)):
                for frame, shift in zip(frames[part], np.round(tiles[part, i, j]).astype(int), strict=True):
                    line = zip(shift, (row, column), frame.shape, strict=True)
                    source, target = zip(*(_overlap(*along) for along in line), strict=True)
                    total[target] += frame[source]
                    count[target] += 1
                    np.maximum(peak[target], frame[source], out=peak[target])
            self._total += total
            self._count += count
            np.maximum(self._peak, np.where(count > 0, peak, np.float32(-np.inf)), out=self._peak)

    @property
    def mean(self) -> np.ndarray:
        """float32 (H, W), 0 where nothing was ever seen."""
        return (self._total / np.maximum(self._count, 1)).astype(np.float32)

    @property
    def max(self) -> np.ndarray:
        """float32 (H, W), 0 where nothing was ever seen."""
        return np.where(self._count > 0, self._peak, np.float32(0))


def _least(kind: np.dtype) -> np.generic:
    """What no value of a type is below."""
    return kind.type(-np.inf) if kind.kind == "f" else kind.type(np.iinfo(kind).min)


def _overlap(shift: int, part: tuple[int, int], length: int) -> tuple[slice, slice]:
    """Pixels of a moved line that lie in a part [begin, end) of the field, and where they belong."""
    begin, end = max(part[0], -shift), min(part[1], length - shift)
    end = max(begin, end)
    return (slice(begin + shift, end + shift), slice(begin, end)) if begin < end else (slice(0), slice(0))
