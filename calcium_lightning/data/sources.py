"""What units of frames are made of: the file's own frames, or the foreground at the network's scale.

Two ways to fill memory with consecutive frames. Knows sessions and preprocessing, and nothing of windows.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from torch import Tensor

from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.preprocess.prepared import Prepared


class Source(Protocol):
    """Frames that can be asked for by number; picklable."""

    @property
    def n_frames(self) -> int:
        """Their number."""

    @property
    def chunk_frames(self) -> int:
        """How many are best read at once, or multiples of it."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a frame."""

    @property
    def dtype(self) -> np.dtype:
        """Type of a pixel."""

    def read_into(self, start: int, out: Tensor) -> None:
        """Write the frames from ``start`` on into ``out`` (n, h, w)."""

    def detached(self) -> Source:
        """The same with a file of its own: HDF5 handles don't survive a fork."""


@dataclass(frozen=True)
class FileFrames:
    """The frames as they are in the file, of its type."""

    session: BaseSession

    @property
    def n_frames(self) -> int:
        """Frames in the session."""
        return self.session.n_frames

    @property
    def chunk_frames(self) -> int:
        """Frames in a chunk of the file."""
        return self.session.chunk_frames

    @property
    def size(self) -> tuple[int, int]:
        """(H, W), session pixels."""
        return (self.session.height, self.session.width)

    @property
    def dtype(self) -> np.dtype:
        """The file's type."""
        return self.session.dtype

    def read_into(self, start: int, out: Tensor) -> None:
        """Read from the file, without a copy between."""
        self.session.read_into(start, out.numpy())

    def detached(self) -> FileFrames:
        """With a file of its own."""
        return FileFrames(copy.copy(self.session))


@dataclass(frozen=True)
class Foreground:
    """The whole field's foreground: motion-corrected, at the network's scale, in units of noise."""

    prepared: Prepared

    @property
    def n_frames(self) -> int:
        """Frames in the session."""
        return self.prepared.shape[0]

    @property
    def chunk_frames(self) -> int:
        """Frames in a chunk of the file."""
        return self.prepared.session.chunk_frames

    @property
    def size(self) -> tuple[int, int]:
        """(h, w), network pixels."""
        return self.prepared.scale.size

    @property
    def dtype(self) -> np.dtype:
        """float32."""
        return np.dtype(np.float32)

    def read_into(self, start: int, out: Tensor) -> None:
        """Read and prepare."""
        out.copy_(self.prepared.foreground(start, start + len(out)))

    def detached(self) -> Foreground:
        """With a file of its own."""
        return Foreground(replace(self.prepared, session=copy.copy(self.prepared.session)))
