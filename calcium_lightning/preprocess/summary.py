"""Mean and maximum of a recording whose motion is undone by whole pixels, gathered frame by frame.

Motion that differs over the field is undone tile by tile. Knows arrays and shifts, not where they come from.
"""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np

#: frames of 16 bits whose sum 32 bits hold
MOST_PENDING = 1 << 16


class RegisteredSummary:
    """Mean and maximum over all frames in which a pixel was seen.

    Parameters
    ----------
    size : (int, int)
        (H, W).
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._total = np.zeros(size, np.float64)
        #: sums of integers that are still to be added to the total, and how many frames they may be of
        self._pending, self._looked = np.zeros(size, np.uint32), 0
        #: in how many frames a pixel was seen: the difference to the pixels above and to the left
        self._count = np.zeros((size[0] + 1, size[1] + 1), np.int64)
        self._peak: np.ndarray | None = None

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
        whole = frames.dtype.kind != "f"
        if self._peak is None:
            kind, least = (frames.dtype, 0) if whole else (np.float32, -np.inf)
            self._peak = np.full(self._total.shape, least, kind)
        elif not whole and self._peak.dtype.kind != "f":
            self._peak = np.where(self._seen() > 0, self._peak, np.float32(-np.inf)).astype(np.float32)
        if self._looked + len(frames) > MOST_PENDING:
            self._settle()
        self._looked += len(frames)
        tiles = shifts.reshape(len(shifts), *(shifts.shape[1:3] if shifts.ndim == 4 else (1, 1)), 2)
        rows, columns = (
            list(pairwise(np.round(np.linspace(0, length, count + 1)).astype(int)))
            for length, count in zip(frames.shape[1:], tiles.shape[1:3], strict=True)
        )
        for (i, row), (j, column) in product(enumerate(rows), enumerate(columns)):
            self._add_tile(frames, tiles[:, i, j], (row, column), self._peak)

    def _add_tile(
        self,
        frames: np.ndarray,
        shifts: np.ndarray,
        tile: tuple[tuple[int, int], tuple[int, int]],
        peak: np.ndarray,
    ) -> None:
        whole, group = np.unique(np.round(shifts).astype(int), axis=0, return_inverse=True)
        total, kind = (self._total, np.float64) if frames.dtype.kind == "f" else (self._pending, np.uint32)
        for index, shift in enumerate(whole):
            # Frames that moved alike are summed before they are moved back, as the integers they are.
            source, (rows, columns) = zip(*map(_overlap, shift, tile, frames.shape[1:]), strict=True)
            alike = frames[:, *source][group.ravel() == index]
            if not alike.size:
                continue
            total[rows, columns] += alike.sum(0, dtype=kind)
            np.maximum(peak[rows, columns], alike.max(0), out=peak[rows, columns])
            for sign, row, column in (
                (1, rows.start, columns.start),
                (-1, rows.start, columns.stop),
                (-1, rows.stop, columns.start),
                (1, rows.stop, columns.stop),
            ):
                self._count[row, column] += sign * len(alike)

    def _settle(self) -> None:
        self._total += self._pending
        self._pending[:], self._looked = 0, 0

    def _seen(self) -> np.ndarray:
        """In how many frames each pixel was seen, int (H, W)."""
        return self._count.cumsum(0).cumsum(1)[:-1, :-1]

    @property
    def mean(self) -> np.ndarray:
        """float32 (H, W), 0 where nothing was ever seen."""
        return ((self._total + self._pending) / np.maximum(self._seen(), 1)).astype(np.float32)

    @property
    def max(self) -> np.ndarray:
        """float32 (H, W), 0 where nothing was ever seen."""
        peak = np.float32(0) if self._peak is None else self._peak.astype(np.float32)
        return np.where(self._seen() > 0, peak, np.float32(0))


def _overlap(shift: int, part: tuple[int, int], length: int) -> tuple[slice, slice]:
    """Pixels of a moved line that lie in a part [begin, end) of the field, and where they belong."""
    begin, end = max(part[0], -shift), min(part[1], length - shift)
    end = max(begin, end)
    return (slice(begin + shift, end + shift), slice(begin, end)) if begin < end else (slice(0), slice(0))
