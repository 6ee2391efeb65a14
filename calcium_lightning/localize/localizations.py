"""Localisations of all frames: on disk one by one, in memory only how many lie where.

Their number grows with the recording. What gathers them asks where they are dense, and that is answered by a
fine grid of constant size; the single ones are read again, block by block, when cells claim them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from calcium_lightning.localize.scratch import ScratchFile
from calcium_lightning.nn.coordinates import LocalizationBatch

#: one localisation; positions in network pixels
RECORD = np.dtype(
    [("frame", "<i4")] + [(name, "<f4") for name in ("y", "x", "amplitude", "probability", "y_std", "x_std")]
)
#: bins per network pixel; a bin knows the mean position of what lies in it
BINS = 4
#: records that are read at a time
BLOCK = 1 << 17


class StoredLocalizations(ScratchFile):
    """Localisations (N,) of a movie.

    Parameters
    ----------
    size : (int, int)
        (h, w) of the movie, network pixels.
    every : int
        Only every so-many-th frame is looked at: each localisation counts so many times.
    keep : bool
        Keep single localisations, not only where they are dense.
    """

    def __init__(self, size: tuple[int, int], every: int = 1, keep: bool = True) -> None:
        super().__init__()
        self.size, self.every, self.keep = size, every, keep
        self._grid = (size[0] * BINS, size[1] * BINS)
        # Of weight, weight * y and weight * x, the places from their bin's middle: single precision will do.
        self._sums = np.zeros((3, self._grid[0] * self._grid[1]), np.float32)
        self._count = 0

    def __len__(self) -> int:
        """Return how many there are, N."""
        return self._count

    def extend(self, found: Iterable[LocalizationBatch]) -> StoredLocalizations:
        """Add localisations."""
        for part in found:
            self.add(part)
        return self

    def add(self, found: LocalizationBatch) -> None:
        """Add some localisations."""
        records = np.empty(len(found.frame), RECORD)
        for name in RECORD.names or ():
            records[name] = getattr(found, name).float().numpy() if name != "frame" else found.frame.numpy()
        y, x = records["y"].astype(np.float64), records["x"].astype(np.float64)
        weights = self.every * records["probability"].astype(np.float64)
        rows, columns = (
            np.clip(np.floor((place + 0.5) * BINS).astype(int), 0, length - 1)
            for place, length in zip((y, x), self._grid, strict=True)
        )
        index = rows * self._grid[1] + columns
        y, x = y - _middle(rows), x - _middle(columns)
        for sums, values in zip(self._sums, (weights, weights * y, weights * x), strict=True):
            np.add.at(sums, index, values)
        if self.keep:
            self._write(self._count * RECORD.itemsize, records)
        self._count += len(records)

    def forget_density(self) -> None:
        """Free what only :meth:`binned` needs."""
        self._sums = np.zeros((3, 0), np.float32)

    def binned(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean positions (M, 2) of the bins that hold some, network pixels, and their weights (M,)."""
        if not self._sums.size:
            raise ValueError("the density was forgotten")
        used = np.flatnonzero(self._sums[0])
        weights, *moments = self._sums[:, used].astype(np.float64)
        middle = _middle(np.stack(np.divmod(used, self._grid[1]), 1))
        return middle + np.stack(moments, 1) / weights[:, None], weights

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield them as arrays of :data:`RECORD`, in the order in which they were added."""
        if not self.keep:
            raise ValueError("only the density was kept")
        for start in range(0, self._count, BLOCK):
            records = np.empty(min(BLOCK, self._count - start), RECORD)
            yield self._read(start * RECORD.itemsize, records)

    def table(self) -> np.ndarray:
        """All of them in memory, as one structured array (N,) of :data:`RECORD`."""
        return np.concatenate([np.empty(0, RECORD), *self.blocks()])


def _middle(bins: np.ndarray) -> np.ndarray:
    """Where the middles of bins lie along an axis, network pixels."""
    return (bins + 0.5) / BINS - 0.5
