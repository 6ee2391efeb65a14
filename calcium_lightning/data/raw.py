"""Windows of a file's own frames: neither motion-corrected nor converted, as fast as the file can be read.

For models that look at raw recordings, and for measuring what reading costs; what the package trains on is
:mod:`calcium_lightning.data.dataset`. Knows sessions and blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from calcium_lightning.data.dataset import Draw, detach_worker
from calcium_lightning.data.sampler import BlockSampler
from calcium_lightning.data.sources import FileFrames
from calcium_lightning.data.splits import Block, unit_blocks
from calcium_lightning.data.units import UnitCache, unit_frames
from calcium_lightning.data.windows import edge_pad
from calcium_lightning.errors import InputError
from calcium_lightning.session import Session

#: frames that are read at once, at least
UNIT = 128


@dataclass
class RawBlock:
    """Windows with neighbouring middles.

    Attributes
    ----------
    session, start, count : int
        The session, the middle frame of the first window, and how many windows there are.
    unit : Tensor (n, H, W)
        Frames that were read together.
    offset : int
        Where in ``unit`` the frames of the first window begin.
    """

    session: int
    start: int
    count: int
    unit: Tensor
    offset: int


@dataclass
class RawBatch:
    """Windows of file frames, in the file's type, as views of the frames that were read.

    Attributes
    ----------
    blocks : list of RawBlock
        Where the windows are.
    taps, step : int
        Frames in a window, and the distance from one to the next.
    """

    blocks: list[RawBlock]
    taps: int
    step: int

    def __len__(self) -> int:
        """Number of windows."""
        return sum(block.count for block in self.blocks)

    def windows(self) -> list[Tensor]:
        """Each block's windows (n, taps, H, W), views that overlap; don't write to them."""
        frame, row, column = self.blocks[0].unit.stride()
        strides, shape = (frame, self.step * frame, row, column), (self.taps, *self.blocks[0].unit.shape[1:])
        return [
            block.unit.as_strided(
                (block.count, *shape), strides, block.unit.storage_offset() + block.offset * frame
            )
            for block in self.blocks
        ]

    def frames(self) -> list[Tensor]:
        """For each block all frames that its windows look at, (n + (taps - 1) * step, H, W), views."""
        reach = (self.taps - 1) * self.step
        return [block.unit[block.offset : block.offset + block.count + reach] for block in self.blocks]

    def stacked(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
        """All windows (B, taps, H, W), copied and converted on ``device``: only frames are sent there."""
        blocks = [
            replace(block, unit=part.to(device), offset=0)
            for block, part in zip(self.blocks, self.frames(), strict=True)
        ]
        moved = RawBatch(blocks, self.taps, self.step)
        return torch.cat([windows.to(dtype) for windows in moved.windows()])

    def __reduce__(self) -> tuple[Any, ...]:
        """On the way from a worker: the frames of the windows alone, in one piece, not whole units."""
        frames = self.frames()
        places = [(block.session, block.start, block.count) for block in self.blocks]
        return _unpack, (torch.cat(frames), [len(part) for part in frames], places, self.taps, self.step)


def _unpack(
    frames: Tensor, lengths: list[int], places: list[tuple[int, int, int]], taps: int, step: int
) -> RawBatch:
    parts = frames.split(lengths)
    return RawBatch(
        [RawBlock(*place, part, 0) for place, part in zip(places, parts, strict=True)], taps, step
    )


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
        self.lengths = [source.n_frames for source in self.sources]
        least = max(UNIT, block, 2 * self.margin)
        self.blocks = [
            part
            for number, source in enumerate(self.sources)
            for part in unit_blocks(
                number, source.n_frames, block, unit_frames(source.chunk_frames, least), self.margin
            )
        ]
        self.units = UnitCache(self.sources, self.blocks, [self.margin] * len(self.sources), least, capacity)

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, draws: Sequence[Draw]) -> RawBatch:
        """One batch, views of the units."""
        return RawBatch([self._block(self.blocks[index]) for index, _ in draws], self.taps, self.step)

    def _block(self, block: Block) -> RawBlock:
        session, start, count = block.session, block.start, block.count
        first, last, length = start - self.margin, start + count + self.margin, self.lengths[session]
        if first >= 0 and last <= length:
            unit, offset = self.units.locate(session, first, last)
            return RawBlock(session, start, count, unit, offset)
        frames = self.units.frames(session, max(0, first), min(length, last))
        return RawBlock(session, start, count, edge_pad(frames, max(0, -first), max(0, last - length)), 0)


def raw_loader(
    dataset: RawWindows,
    batch: int = 32,
    *,
    shuffle: bool = True,
    seed: int = 0,
    workers: int = 0,
    buffer_mb: int = 512,
    rank: int = 0,
    world: int = 1,
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
    rank, world : int
        This process, and how many there are.
    """
    units = dataset.units
    sampler: Any
    if shuffle:
        sampler = BlockSampler(
            len(dataset),
            batch,
            seed=seed,
            rank=rank,
            world=world,
            units=units.numbers(dataset.blocks),
            capacity=buffer_mb * 2**20 // units.unit_bytes,
        )
        units.capacity = sampler.held
    else:
        numbers = range(len(dataset))[rank::world]
        share = batch // world
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
