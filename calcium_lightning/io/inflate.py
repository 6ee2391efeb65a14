"""Frames of a compressed session, inflated faster than HDF5 does it.

HDF5 inflates with zlib; libdeflate takes less than half the time, and it is most of the time that reading a
compressed recording takes. Chunks of whole frames that were shuffled and deflated, and nothing else, are read
here; whatever else a file holds, or whatever is wrong with it, is HDF5's to read and to complain of. Knows
data sets, not what is in them.
"""

from __future__ import annotations

from typing import Any

import h5py
import imagecodecs
import numpy as np

#: HDF5's filters in the order in which session files have them
SHUFFLED, PLAIN = (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE), (h5py.h5z.FILTER_DEFLATE,)


class Inflater:
    """Reads consecutive frames (T, H, W) of a data set that :meth:`can` be read.

    Parameters
    ----------
    dataset : h5py.Dataset
        Open for as long as this is used.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.id, self.shape, self.dtype = dataset.id, tuple(dataset.chunks), dataset.dtype
        self.shuffled = dataset.shuffle and self.dtype.itemsize > 1
        #: the chunk of which a part was read last, and its first frame
        self._last: tuple[int, np.ndarray] = (-1, np.empty(0, self.dtype))

    @staticmethod
    def can(dataset: h5py.Dataset) -> bool:
        """Whether a data set holds chunks of whole frames, deflated, in this machine's order of bytes."""
        if dataset.chunks is None or dataset.chunks[1:] != dataset.shape[1:] or not dataset.dtype.isnative:
            return False
        settings = dataset.id.get_create_plist()
        filters = tuple(settings.get_filter(number)[0] for number in range(settings.get_nfilters()))
        return bool(imagecodecs.DEFLATE.available) and filters in (SHUFFLED, PLAIN)

    def read_into(self, start: int, out: np.ndarray) -> bool:
        """Fill ``out`` (n, H, W), contiguous, with the frames from ``start`` on.

        Returns
        -------
        bool
            Whether that succeeded; where not, HDF5 says why.
        """
        frames, stop = self.shape[0], start + len(out)
        for first in range(start // frames * frames, stop, frames):
            low, high = max(start, first), min(stop, first + frames)
            part = out[low - start : high - start]
            if len(part) == frames:  # a whole chunk, straight to where it is wanted
                if not self._inflate(first, part):
                    return False
                continue
            number, chunk = self._last
            if number != first:
                chunk = np.empty(self.shape, self.dtype)
                if not self._inflate(first, chunk):
                    return False
                self._last = first, chunk
            part[:] = chunk[low - first : high - first]
        return True

    def _inflate(self, first: int, out: np.ndarray) -> bool:
        """Inflate the chunk that begins with a frame."""
        try:
            skipped, stored = self.id.read_direct_chunk((first, 0, 0))
            if skipped:
                return False
            flat: Any = out.reshape(-1).view(np.uint8)
            target: Any = np.empty_like(flat) if self.shuffled else flat
            if len(imagecodecs.deflate_decode(stored, out=target)) != len(target):
                return False
        except (OSError, RuntimeError, ValueError):
            return False
        if self.shuffled:  # the first bytes of all values stand first, then the second ones
            flat.reshape(-1, self.dtype.itemsize)[:] = target.reshape(self.dtype.itemsize, -1).T
        return True
