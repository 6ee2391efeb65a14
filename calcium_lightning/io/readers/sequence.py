"""Several recordings, one after the other, as one: numbered videos, a folder of TIFF stacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Recording


class Sequenced(Recording):
    """The frames of several files of one size and type, in the order given.

    Only the headers are kept: each file is open while its own frames are read.

    Parameters
    ----------
    path : Path
        The folder they are in.
    files : sequence of Path
        In the order of time. Files without frames (a recorder stopped just after it opened the next) are
        skipped.
    reader : callable
        Path -> Recording.
    """

    def __init__(self, path: Path, files: Sequence[Path], reader: Callable[[Path], Recording]) -> None:
        self.path = path
        self._reader = reader
        self._parts: list[tuple[Path, int]] = []
        first: Recording | None = None
        for file in files:
            with reader(file) as part:
                if part.n_frames == 0:
                    continue
                if first is None:
                    first = part
                elif part.shape[1:] != first.shape[1:] or part.dtype != first.dtype:
                    raise InputError(
                        f"{file}: frames of {part.shape[1:]} {part.dtype}, but {first.path.name} has "
                        f"{first.shape[1:]} "
                        f"{first.dtype}; all must agree"
                    )
                self._parts.append((file, part.n_frames))
        if first is None:
            raise InputError(f"{path}: no frames in {len(files)} files")
        self.shape = (sum(count for _, count in self._parts), *first.shape[1:])
        self.dtype = first.dtype
        self.fps, self.pixel_size_um = first.fps, first.pixel_size_um

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop) file by file."""
        offset = 0
        for file, count in self._parts:
            begin, end = max(start - offset, 0), min(stop - offset, count)
            if begin < end:
                with self._reader(file) as part:
                    yield from part.blocks(begin, end, size)
            offset += count
