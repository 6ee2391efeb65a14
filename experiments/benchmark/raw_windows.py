"""Windows of a file's own frames: neither motion-corrected nor converted, as fast as the file can be read.

For models that look at raw recordings, and for measuring what reading costs; what the package trains on is
:mod:`calcium_lightning.data.dataset`. Knows sessions and blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from calcium_lightning.core.errors import InputError
from calcium_lightning.data.dataset import Draw, detach_worker
from calcium_lightning.data.frame_cache import FrameCache, frames_per_segment
from calcium_lightning.data.sampler import BlockSampler
from calcium_lightning.data.sources import FileFrames
from calcium_lightning.data.splits import Block, segment_blocks
from calcium_lightning.io.session import Session
from calcium_lightning.nn.windows import edge_pad

#: frames that are read at once, at least
UNIT = 128


@dataclass
class RawBatch:
    """Windows of file frames, in the file's type, as views of the frames that were read.

    Attributes
    ----------
    windows : list of Tensor (n, taps, H, W)
        For each block of neighbouring middle frames its windows, which overlap; don't write to them.
    session, start : list of int
        For each block its session, and the middle frame of its first window.
    step : int
        Distance from one tap to the next, frames.
    """

    windows: list[Tensor]
    session: list[int]
    start: list[int]
    step: int

    def __len__(self) -> int:
        """Number of windows."""
        return sum(map(len, self.windows))

    def frames(self) -> list[Tensor]:
        """For each block all frames that its windows look at, (n + (taps - 1) * step, H, W), views."""
        return [
            part.as_strided(
                (part.shape[0] + (part.shape[1] - 1) * self.step, *part.shape[2:]),
                (part.stride(1) // self.step, *part.stride()[2:]),
            )
            for part in self.windows
        ]

    def stacked(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
        """All windows (B, taps, H, W), copied and converted on ``device``: only frames are sent there."""
        _, *shape = self.windows[0].shape
        out, start = torch.empty((len(self), *shape), dtype=dtype, device=device), 0
        for part in self.frames():
            windows = windows_of(part.to(device), shape[0], self.step)
            out[start : start + len(windows)] = windows
            start += len(windows)
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        """On the way from a worker: the frames of the windows alone, in one piece, not whole units."""
        frames = self.frames()
        lengths, taps = [len(part) for part in frames], self.windows[0].shape[1]
        return _unpack, (torch.cat(frames), lengths, self.session, self.start, taps, self.step)


def _unpack(
    frames: Tensor, lengths: list[int], session: list[int], start: list[int], taps: int, step: int
) -> RawBatch:
    return RawBatch([windows_of(part, taps, step) for part in frames.split(lengths)], session, start, step)


def windows_of(frames: Tensor, taps: int, step: int) -> Tensor:
    """All windows in consecutive frames (n, H, W), as views (n - (taps - 1) * step, taps, H, W)."""
    frame, row, column = frames.stride()
    shape = (len(frames) - (taps - 1) * step, taps, *frames.shape[1:])
    return frames.as_strided(shape, (frame, step * frame, row, column))


@dataclass(frozen=True)
class _Views:
    """All windows of a unit's frames, and each of them where they are drawn one by one."""

    taps: int
    step: int
    each: bool

    def __call__(self, frames: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        if len(frames) <= (self.taps - 1) * self.step:
            return frames[:0], ()
        windows = windows_of(frames, self.taps, self.step)
        return windows, windows.split(1) if self.each else ()


class _Place(NamedTuple):
    """Where a block's windows are: in which unit, from which of its frames on, or beyond an end."""

    session: int
    start: int
    windows: int
    unit: int
    offset: int
    lead: bool
    beyond: bool


class RawWindows(Dataset[RawBatch]):
    """Windows of ``taps`` file frames around every frame of the sessions; a session's ends repeat.

    An index is a list of :data:`~calcium_lightning.data.dataset.Draw`; ``dataset[draws]`` is one batch.

    Parameters
    ----------
    sessions : sequence of path-like
        Session files, all with frames of one size and type.
    taps : int
        Frames in a window; odd.
    step : int
        Distance from one tap to the next, frames.
    block : int
        Consecutive middle frames that are drawn together.
    capacity : int
        Units of frames that are kept.

    Raises
    ------
    InputError
        If a session can't be read, or frames or windows differ from what they must be.
    """

    def __init__(
        self,
        sessions: Sequence[Path | str],
        taps: int = 11,
        step: int = 1,
        *,
        block: int = 1,
        capacity: int = 1,
    ) -> None:
        if taps < 1 or taps % 2 == 0 or step < 1 or block < 1:
            raise InputError(f"taps={taps} step={step} block={block}: an odd number of taps, and 1 or more")
        self.taps, self.step, self.margin = taps, step, taps // 2 * step
        self.sources = [FileFrames(Session(path)) for path in sessions]
        first = self.sources[0]
        for source in self.sources:
            if (source.size, source.dtype) != (first.size, first.dtype):
                raise InputError(
                    f"{source.session.path}: frames of {source.size} and type {source.dtype}, those of "
                    f"{first.session.path} are {first.size} and {first.dtype}; take them one by one"
                )
            source.session.close()
        least = max(UNIT, block, 2 * self.margin)
        self.blocks = [
            part
            for number, source in enumerate(self.sources)
            for part in segment_blocks(
                number, source.n_frames, block, frames_per_segment(source.chunk_frames, least), self.margin
            )
        ]
        self.segments = FrameCache(
            self.sources,
            self.blocks,
            [self.margin] * len(self.sources),
            least,
            capacity,
            _Views(taps, step, block == 1),
        )
        self.places = [self._place(block) for block in self.blocks]

    def _place(self, block: Block) -> _Place:
        layout = self.segments.layouts[block.session]
        unit, first = layout.segment(block), block.start - self.margin
        beyond = first < 0 or block.start + block.count + self.margin > layout.n_frames
        own = unit * layout.frames
        return _Place(
            block.session, block.start, block.count, unit, first - own + layout.lead, first < own, beyond
        )

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, draws: Sequence[Draw]) -> RawBatch:
        """One batch, views of the units."""
        windows, sessions, starts = [], [], []
        for index, _ in draws:
            session, start, count, number, offset, lead, beyond = self.places[index]
            if beyond:
                windows.append(self._at_the_end(session, start, count))
            else:
                every, each = self.segments.segment(session, number, lead).views
                windows.append(each[offset] if each else every[offset : offset + count])
            sessions.append(session)
            starts.append(start)
        return RawBatch(windows, sessions, starts, self.step)

    def _at_the_end(self, session: int, start: int, count: int) -> Tensor:
        first, last = start - self.margin, start + count + self.margin
        length = self.sources[session].n_frames
        frames = self.segments.frames(session, max(0, first), min(length, last))
        return windows_of(edge_pad(frames, max(0, -first), max(0, last - length)), self.taps, self.step)


def raw_loader(
    dataset: RawWindows,
    batch: int = 32,
    *,
    shuffle: bool = True,
    seed: int = 0,
    workers: int = 0,
    buffer_mb: int = 512,
    rank: int = 0,
    world_size: int = 1,
) -> DataLoader[RawBatch]:
    """Batches of raw windows, in the file's order or shuffled within the units that are held.

    Parameters
    ----------
    dataset : RawWindows
        The windows.
    batch : int
        Blocks in a batch, over all processes.
    shuffle : bool
        Otherwise in order.
    seed : int
        Of the order.
    workers : int
        Processes that read ahead.
    buffer_mb : int
        Memory for the frames that batches are drawn from at a time, megabytes, at most, in each process.
    rank, world_size : int
        This process, and how many there are.
    """
    segments = dataset.segments
    sampler: Any
    if shuffle:
        sampler = BlockSampler(
            len(dataset),
            batch,
            seed=seed,
            rank=rank,
            world_size=world_size,
            segments=segments.numbers(dataset.blocks),
            capacity=buffer_mb * 2**20 // segments.segment_bytes,
        )
        segments.capacity = sampler.held
    else:
        numbers = range(len(dataset))[rank::world_size]
        share = batch // world_size
        sampler = [
            [(number, ()) for number in numbers[start : start + share]]
            for start in range(0, len(numbers), share)
        ]
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=sampler,
        num_workers=workers,
        worker_init_fn=detach_worker if workers else None,
        persistent_workers=workers > 0,
        generator=torch.Generator().manual_seed(seed),
    )
