"""A movie on disk for as long as it is needed: written once in order, read in blocks.

Cells are found in several passes over the foreground. Computing it anew for each would cost more than reading
it, and holding it would cost memory that grows with the recording.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from torch import Tensor


class ScratchMovie:
    """Frames (T, h, w) in a temporary file, half precision.

    Parameters
    ----------
    size : (int, int)
        (h, w), pixels.
    folder : path-like, optional
        Where the file is made; default the system's temporary folder.
    block_frames : int, optional
        Frames per block that :meth:`blocks` yields; default about 16 MB of them.
    """

    def __init__(
        self, size: tuple[int, int], folder: Path | str | None = None, block_frames: int | None = None
    ) -> None:
        self.size = size
        self.n_frames = 0
        self._bytes = 2 * size[0] * size[1]
        self.block_frames = block_frames or max(16, (16 << 20) // self._bytes)
        # Unbuffered and not mapped: mapped pages would count as this process's memory.
        self._file = tempfile.TemporaryFile(dir=folder, prefix="calcium-lightning-", buffering=0)  # noqa: SIM115

    def __enter__(self) -> ScratchMovie:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, frames: Tensor) -> None:
        """Append frames (n, h, w)."""
        # Half precision holds up to 65504; noise units stay far below, and what doesn't is saturated anyway.
        block = frames.detach().to("cpu").clamp(-6e4, 6e4).to(torch.float16).contiguous().numpy()
        self._file.seek(0, 2)
        view = block.reshape(-1).view(np.uint8).data
        while len(view):
            view = view[self._file.write(view) :]
        self.n_frames += len(frames)

    def read(self, start: int, stop: int) -> Tensor:
        """Frames [start, stop) as float32 (n, h, w)."""
        stop = min(stop, self.n_frames)
        block = np.empty((stop - start, *self.size), np.float16)
        self._file.seek(start * self._bytes)
        view = block.reshape(-1).view(np.uint8).data
        while len(view):
            count = self._file.readinto(view)
            if not count:
                raise OSError("the scratch file is shorter than what was written to it")
            view = view[count:]
        return torch.from_numpy(block).float()

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Yield (start, frames) in order."""
        for start in range(0, self.n_frames, self.block_frames):
            yield start, self.read(start, start + self.block_frames)
