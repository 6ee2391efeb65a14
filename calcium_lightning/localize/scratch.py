"""What is too large to hold, on disk for as long as it is needed.

Cells are found in several passes over the foreground. Computing it anew for each would cost more than reading
it, and holding it, or the traces, would cost memory that grows with the recording. Files are read and written
through a buffer and never mapped: mapped pages would count as this process's memory.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from calcium_lightning.core import system
from calcium_lightning.core.pieces import in_order


class ScratchFile:
    """A temporary file without a name; a context manager, and closed when it is forgotten.

    Threads may read and write it at the same time: each says where.

    Parameters
    ----------
    folder : path-like, optional
        Where the file is made; default the system's temporary folder.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self._folder = Path(folder or tempfile.gettempdir())
        self._file = tempfile.TemporaryFile(dir=folder, prefix="calcium-lightning-", buffering=0)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the disk space back."""
        if hasattr(self, "_file"):  # a full disk may have refused it
            self._file.close()

    def _write(self, position: int, values: np.ndarray) -> None:
        """Write an array's bytes at a position in the file."""
        view = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        try:
            while len(view):
                count = system.write_at(self._file.fileno(), view, position)
                view, position = view[count:], position + count
        except OSError as error:  # full: it isn't the output's folder that is
            error.filename = str(self._folder)
            raise

    def _read(self, position: int, values: np.ndarray) -> np.ndarray:
        """Fill a contiguous array from a position in the file."""
        view = values.reshape(-1).view(np.uint8).data
        while len(view):
            count = system.read_at(self._file.fileno(), view, position)
            if not count:
                raise OSError("the scratch file is shorter than what was written to it")
            view, position = view[count:], position + count
        return values


class Foreground(Protocol):
    """A movie (T, h, w) in units of its noise, read in pieces: on disk, a twin, or what cells leave."""

    size: tuple[int, int]
    n_frames: int
    block_frames: int

    def read(self, start: int, stop: int) -> Tensor:
        """Frames [start, stop), float32 (n, h, w)."""
        ...

    def read_rows(self, start: int, stop: int, top: int, bottom: int) -> Tensor:
        """Rows [top, bottom) of frames [start, stop), float32 (n, bottom - top, w)."""
        ...

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Yield (start, frames) in order."""
        for start in range(0, self.n_frames, self.block_frames):
            yield start, self.read(start, start + self.block_frames)

    def summed(self, count: int) -> Foreground:
        """Sums of so many neighbouring frames, the last of what is left, in units of white noise's sums."""
        return sums_of(self, count)


class ScratchMovie(ScratchFile, Foreground):
    """Frames (T, h, w) in half precision: written in order, read in blocks.

    Parameters
    ----------
    size : (int, int)
        (h, w), pixels.
    folder : path-like, optional
        Where the file is made; default the system's temporary folder.
    block_frames : int, optional
        Frames per block that :meth:`blocks` yields; default about 8 MB of them.
    """

    def __init__(
        self, size: tuple[int, int], folder: Path | str | None = None, block_frames: int | None = None
    ) -> None:
        super().__init__(folder)
        self.size = size
        self.n_frames = 0
        self._bytes = 2 * size[0] * size[1]
        self.block_frames = block_frames or max(16, (8 << 20) // self._bytes)
        self._sums: dict[int, ScratchMovie] = {}
        self._summing = threading.Lock()

    @classmethod
    def of(cls, frames: Tensor | np.ndarray) -> ScratchMovie:
        """A movie (T, h, w) that is in memory."""
        held = torch.as_tensor(frames)
        movie = cls((held.shape[1], held.shape[2]))
        movie.append(held)
        return movie

    def append(self, frames: Tensor) -> None:
        """Append frames (n, h, w)."""
        self.rewrite(self.n_frames, frames)
        self.n_frames += len(frames)

    def rewrite(self, start: int, frames: Tensor) -> None:
        """Put frames (n, h, w) in the place of those from ``start`` on."""
        # Half precision holds up to 65504; noise units stay far below, and what doesn't is saturated anyway.
        block = frames.detach().to("cpu").clamp(-6e4, 6e4).to(torch.float16).contiguous().numpy()
        self._write(start * self._bytes, block)
        self._forget_sums()

    def read(self, start: int, stop: int) -> Tensor:
        """Frames [start, stop) as float32 (n, h, w)."""
        stop = min(stop, self.n_frames)
        block = self._read(start * self._bytes, np.empty((stop - start, *self.size), np.float16))
        return torch.from_numpy(block).float()

    def read_rows(self, start: int, stop: int, top: int, bottom: int) -> Tensor:
        """Rows [top, bottom) of frames [start, stop) as float32 (n, bottom - top, w)."""
        width = self.size[1]
        frames = np.arange(start, min(stop, self.n_frames))
        rows = self.read_pixels(frames, top * width, bottom * width)
        return torch.from_numpy(rows).float().view(len(frames), bottom - top, width)

    def read_pixels(self, frames: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Flattened pixels [start, stop) of some frames (n,), float16 (n, stop - start)."""
        values = np.empty((len(frames), stop - start), np.float16)
        for row, frame in zip(values, frames.tolist(), strict=True):
            self._read(frame * self._bytes + 2 * start, row)
        return values

    def summed(self, count: int) -> ScratchMovie:
        """As any foreground's; made when first asked for, and kept while the movie stays as it is."""
        with self._summing:
            if count not in self._sums:
                self._sums[count] = sums_of(self, count, self._folder)
            return self._sums[count]

    def _forget_sums(self) -> None:
        for sums in self._sums.values():
            sums.close()
        self._sums.clear()

    def close(self) -> None:
        """Give the disk space back."""
        if hasattr(self, "_sums"):
            self._forget_sums()
        super().close()


def sums_of(movie: Foreground, count: int, folder: Path | str | None = None) -> ScratchMovie:
    """Sums of so many neighbouring frames, the last of what is left, in units of white noise's sums.

    Parameters
    ----------
    movie : Foreground
        (T, h, w) in units of its noise.
    count : int
        How many.
    folder : path-like, optional
        Where the sums are written; default the system's temporary folder.
    """
    sums = ScratchMovie(movie.size, folder, movie.block_frames)
    step = max(1, movie.block_frames // count) * count

    def added(start: int) -> Tensor:
        parts = movie.read(start, start + step).split(count)
        return torch.stack([part.sum(0) / len(part) ** 0.5 for part in parts])

    for part in in_order(added, range(0, movie.n_frames, step)):
        sums.append(part)
    return sums


class ScratchTraces(ScratchFile):
    """Values of K cells in T frames, float32: written and read by blocks of frames, or by rows.

    Kept in tiles of (K, block_frames), so that a block is one piece of the file, and neighbouring rows are
    one piece of each tile.

    Parameters
    ----------
    count, n_frames : int
        K and T.
    block_frames : int
        Frames per block.
    """

    #: values that a group of rows holds, about: what deconvolution works on at a time
    GROUP = 1 << 20

    def __init__(self, count: int, n_frames: int, block_frames: int) -> None:
        super().__init__()
        self.count, self.n_frames, self.block_frames = count, n_frames, block_frames

    @classmethod
    def of(cls, values: np.ndarray, block_frames: int | None = None) -> ScratchTraces:
        """Values (K, T) that are in memory; a block is all of them unless ``block_frames`` says."""
        count, length = values.shape
        traces = cls(count, length, block_frames or max(1, length))
        traces.write_rows(0, values)
        return traces

    @property
    def shape(self) -> tuple[int, int]:
        """(K, T)."""
        return self.count, self.n_frames

    def __len__(self) -> int:
        return self.count

    def _tile(self, start: int) -> tuple[int, int]:
        """Position in the file of the tile that begins with a frame, and its frames."""
        return 4 * self.count * start, min(self.block_frames, self.n_frames - start)

    def write_block(self, start: int, values: np.ndarray) -> None:
        """Write the block (K, n) that begins with frame ``start``."""
        position, length = self._tile(start)
        if start % self.block_frames or values.shape != (self.count, length):
            raise ValueError(f"{values.shape} at frame {start} is no block of {self.shape}")
        self._write(position, np.asarray(values, np.float32))

    def block(self, start: int) -> np.ndarray:
        """The block (K, n) that begins with frame ``start``."""
        position, length = self._tile(start)
        return self._read(position, np.empty((self.count, length), np.float32))

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (start, values (K, n)) in order."""
        for start in range(0, self.n_frames, self.block_frames):
            yield start, self.block(start)

    def frames(self, start: int, stop: int) -> np.ndarray:
        """Values (K, stop - start) of any span of frames."""
        first = start // self.block_frames * self.block_frames
        parts = [self.block(begin) for begin in range(first, stop, self.block_frames)]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts, 1)
        return whole[:, start - first : stop - first]

    def rows(self, index: slice | np.ndarray) -> np.ndarray:
        """Values (n, T) of some rows."""
        rows = np.arange(self.count)[index]
        values = np.empty((len(rows), self.n_frames), np.float32)
        runs = np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1) if len(rows) else []
        for start in range(0, self.n_frames, self.block_frames):
            position, length = self._tile(start)
            for run in runs:
                part = np.empty((len(run), length), np.float32)
                self._read(position + 4 * length * int(rows[run[0]]), part)
                values[run[0] : run[-1] + 1, start : start + length] = part
        return values

    def write_rows(self, first: int, values: np.ndarray) -> None:
        """Write rows (n, T) from row ``first`` on."""
        for start in range(0, self.n_frames, self.block_frames):
            position, length = self._tile(start)
            self._write(position + 4 * length * first, values[:, start : start + length].astype(np.float32))

    def groups(self) -> Iterator[slice]:
        """Yield slices of rows that are worked on together."""
        step = max(1, self.GROUP // max(1, self.n_frames))
        for start in range(0, self.count, step):
            yield slice(start, min(start + step, self.count))
