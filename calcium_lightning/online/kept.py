"""All frames of a recording that goes on, on disk: what cells are sought in again, and in the end.

Knows frames and a scratch file.
"""

from __future__ import annotations

import numpy as np

from calcium_lightning.io.base_session import DTYPES
from calcium_lightning.localize.scratch import ScratchFile


class KeptFrames(ScratchFile):
    """An array (T, H, W) that grows: it can be sliced while frames are added.

    Parameters
    ----------
    first : ndarray (H, W)
        The first frame, which is not added: it says what frames are like.
    """

    ndim = 3

    def __init__(self, first: np.ndarray) -> None:
        super().__init__()
        self.size = first.shape
        self.dtype = first.dtype if first.dtype in DTYPES else np.dtype(np.float32)
        self.n_frames = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        return (self.n_frames, *self.size)

    def __len__(self) -> int:
        return self.n_frames

    def append(self, frame: np.ndarray) -> None:
        """Add a frame (H, W)."""
        self._write(self.n_frames * self._bytes, np.asarray(frame, self.dtype))
        self.n_frames += 1

    @property
    def _bytes(self) -> int:
        return self.size[0] * self.size[1] * self.dtype.itemsize

    def __getitem__(self, index: object) -> np.ndarray:
        span, *rest = index if isinstance(index, tuple) else (index,)
        if isinstance(span, slice) and span.step in (None, 1):
            start, stop, _ = span.indices(self.n_frames)
            block = np.empty((max(0, stop - start), *self.size), self.dtype)
            self._read(start * self._bytes, block)
        else:
            wanted = np.arange(self.n_frames)[span]
            single = np.ndim(wanted) == 0
            parts = [self[int(i) : int(i) + 1] for i in np.atleast_1d(wanted)]
            block = np.concatenate(parts) if parts else np.empty((0, *self.size), self.dtype)
            block = block[0] if single else block
            return block[tuple(rest) if single else (slice(None), *rest)]
        return block[(slice(None), *rest)] if rest else block

    def last(self, start: int, stop: int) -> KeptView:
        """Frames [start, stop) as an array of their own, which doesn't grow."""
        return KeptView(self, start, stop)


class KeptView:
    """A span of :class:`KeptFrames`, which stays as it is."""

    ndim = 3

    def __init__(self, kept: KeptFrames, start: int, stop: int) -> None:
        self._kept, self._start = kept, start
        self.shape, self.dtype = (stop - start, *kept.size), kept.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: object) -> np.ndarray:
        span, *rest = index if isinstance(index, tuple) else (index,)
        wanted = np.arange(self._start, self._start + len(self))[span]
        if isinstance(span, slice) and span.step in (None, 1):
            begin = int(wanted[0]) if len(wanted) else 0
            return self._kept[(slice(begin, begin + len(wanted)), *rest)]
        return self._kept[(wanted, *rest)]
