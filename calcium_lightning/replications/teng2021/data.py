"""Frames as the published system sees them: min-max normalised, 100×100, eight at a time, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.progress import progress
from calcium_lightning.data.resumable import ResumableData
from calcium_lightning.data.splits import split_in_time
from calcium_lightning.io.session import Session
from calcium_lightning.nn.windows import WindowBatch

#: frames that are read at a time
CHUNK = 64
#: least mean brightness of a raw recording that its frames are divided by, share of the field's mean
FLOOR = 0.01


def load_frames(session: Session, size: int = 100) -> Tensor:
    """All frames of a session, each stretched to [0, 1] and then resized.

    Raw frames become ΔF/F = (F − F̄) / F̄ first, with F̄ the mean image.

    Parameters
    ----------
    session : Session
        Motion corrected; ΔF/F as published, or raw.
    size : int
        Side of the result, pixels.

    Returns
    -------
    Tensor, float16 (T, size, size)
        Half precision: the published frames have 8 bits.
    """
    mean = _mean_image(session) if session.kind == "raw" else None
    parts = []
    with progress("reading", session.n_frames) as advance:
        for _, block in session.chunks(CHUNK):
            frames = torch.from_numpy(block.astype(np.float32))
            if mean is not None:
                frames = (frames - mean) / mean
            low, high = frames.amin((1, 2), keepdim=True), frames.amax((1, 2), keepdim=True)
            frames = (frames - low) / (high - low).clamp_min(1e-9)
            small = F.interpolate(
                frames[:, None], size=(size, size), mode="bilinear", align_corners=False, antialias=True
            )
            parts.append(small[:, 0].clamp(0, 1).half())
            advance(len(block))
    return torch.cat(parts)


def _mean_image(session: Session) -> Tensor:
    total = np.zeros(session.shape[1:], np.float64)
    for _, block in session.chunks(CHUNK):
        total += block.sum(0, dtype=np.float64)
    mean = total / session.n_frames
    return torch.from_numpy(np.maximum(mean, FLOOR * max(float(mean.mean()), 1e-9)).astype(np.float32))


class InOrder(Sampler[int]):
    """Batches 0, 1, 2 …, from the middle of an epoch where a run goes on."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.position = 0

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch, unless the stream stands in the middle of it already (Lightning calls it)."""
        if self.position // self.count != epoch:
            self.position = epoch * self.count

    def seek(self, position: int) -> None:
        """Go on after ``position`` batches of the whole run."""
        self.position = position

    def __iter__(self) -> Iterator[int]:
        yield from range(self.position % self.count, self.count)


class FrameBatches(Dataset[WindowBatch]):
    """Batches of consecutive frames.

    Every batch is full (the last of a session begins earlier where it has to), unless the session is shorter.

    Parameters
    ----------
    frames : sequence of Tensor (T, h, w)
        Sessions.
    ranges : sequence of range
        Frames of each session that are used.
    batch : int
        Frames in a batch, over all ranks.
    rank, world_size : int
        This process, which gets its share of each batch, and how many there are.
    """

    def __init__(
        self,
        frames: Sequence[Tensor],
        ranges: Sequence[range],
        batch: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.frames = frames
        self.batches: list[tuple[int, int, int]] = []
        for session, used in enumerate(ranges):
            count = min(batch, len(used))
            share = max(1, count // world_size)
            for start in range(used.start, used.stop, batch):
                first = min(start, used.stop - count) + rank * share
                self.batches.append((session, min(first, used.stop - share), share))

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> WindowBatch:
        session, start, count = self.batches[index]
        target = self.frames[session][start : start + count].float()
        return WindowBatch(
            windows=target[:, None],
            target=target,
            extent=torch.tensor([-1.0, 1.0, -1.0, 1.0]).expand(count, 4),
            session=torch.full((count,), session),
            frame=torch.arange(start, start + count),
        )


class PublishedData(ResumableData):
    """Whole frames of sessions, one session after the other, in order of time.

    Parameters
    ----------
    sessions : sequence of path-like
        Session files, in the order of training.
    size : int
        Side of the frames, pixels.
    batch_size : int
        Frames in a step, over all processes.
    validation : float
        Share of each session's frames that is held out, the last ones.

    Attributes
    ----------
    mean_frames : Tensor, float32 (sessions, size, size)
        Means of the training frames, for whoever asks what a still picture explains.

    Raises
    ------
    InputError
        In ``setup``: for a session that is missing, damaged or too short.
    """

    #: its samplers give each process its share
    knows_ranks = True

    def __init__(
        self,
        sessions: Path | str | Sequence[Path | str],
        size: int = 100,
        batch_size: int = 8,
        validation: float = 0.1,
    ) -> None:
        super().__init__()
        self.paths = [Path(path) for path in ([sessions] if isinstance(sessions, str | Path) else sessions)]
        if not self.paths:
            raise InputError("data.sessions=[]: no session to learn from; data.sessions=[A.h5,B.h5]")
        if batch_size < 1:
            raise InputError(f"data.batch_size={batch_size}: 1 or more")
        self.size = size
        self.batch_size = batch_size
        self.validation = validation
        self.frames: list[Tensor] = []
        self.mean_frames = torch.zeros(0)
        self._ranges: list[tuple[range, range]] = []

    def setup(self, stage: str | None = None) -> None:
        """Read all frames: a session of the published length takes 13 MB."""
        if self.frames:
            return
        if self.batch_size % self.ranks[1]:
            raise InputError(
                f"data.batch_size={self.batch_size}: not a multiple of {self.ranks[1]} processes"
            )
        means = []
        for path in self.paths:
            with Session(path) as session:
                parts = split_in_time(session.n_frames, 1, self.validation, where=str(path))
                frames = load_frames(session, self.size)
            self.frames.append(frames)
            self._ranges.append((parts.train, parts.validation))
            means.append(frames[parts.train.start : parts.train.stop].float().mean(0))
        self.mean_frames = torch.stack(means)
        if self.trainer is not None:
            self.mean_frames = self.mean_frames.to(self.trainer.strategy.root_device)

    def train_dataloader(self) -> DataLoader[WindowBatch]:
        """The training frames in order."""
        return self._loader(0, self.position)

    def val_dataloader(self) -> DataLoader[WindowBatch]:
        """The held-out frames in order, all of them on every rank."""
        return self._loader(1)

    def _loader(self, part: int, position: int = 0) -> DataLoader[WindowBatch]:
        share = self.ranks if part == 0 else (0, 1)
        dataset = FrameBatches(
            self.frames, [ranges[part] for ranges in self._ranges], self.batch_size, *share
        )
        sampler = InOrder(len(dataset))
        sampler.seek(position)
        return DataLoader(
            dataset, batch_size=None, sampler=sampler, generator=torch.Generator().manual_seed(0)
        )
