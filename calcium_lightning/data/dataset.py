"""Blocks of training windows over many sessions: one read, one pass of preprocessing, many samples.

A block is a few consecutive middle frames with the margin of their windows. Frames are read by whole segments
and brought to the network's scale once for all blocks of a segment, or once per crop where crops are so small
that this is less work. Everything random comes from the key that the sampler hands over, so a sample doesn't
depend on which worker or rank makes it. Knows no network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from calcium_lightning.data.augment import Augmentation
from calcium_lightning.data.frame_cache import FrameCache
from calcium_lightning.data.labels import LabelTable
from calcium_lightning.data.sources import FileFrames, Foreground
from calcium_lightning.data.splits import Block
from calcium_lightning.data.workers import end_when_full
from calcium_lightning.nn.coordconv import crop_extent
from calcium_lightning.nn.windows import (
    Labels,
    WindowBatch,
    WindowSettings,
    edge_pad,
    take_windows,
    window_weights,
)
from calcium_lightning.preprocess.prepared import Crop, Prepared

#: what a sampler asks for: the index of a block, and the key of its randomness
Draw = tuple[int, tuple[int, ...]]
#: frames that are read and prepared at once, at least
SEGMENT = 32


@dataclass(frozen=True)
class Labelled:
    """The labels of all sessions, and how bright a cell must be to count, segments of the noise."""

    tables: Sequence[LabelTable]
    threshold: float


class BlockDataset(Dataset[WindowBatch]):
    """Batches of windows, each several blocks flattened.

    An index is a list of :data:`Draw`; ``dataset[draws]`` is one batch (so a DataLoader of
    ``batch_size=None``).

    Parameters
    ----------
    prepared : sequence of Prepared
        The sessions.
    blocks : sequence of Block
        What may be drawn.
    window : WindowSettings
        The window in time.
    crop : int, optional
        Side of the square crops, network pixels; without it, whole fields.
    crops : int
        Crops of each block.
    augmentation : Augmentation, optional
        For training.
    labels : Labelled, optional
        For simulated sessions.
    capacity : int
        Segments of frames that are kept.
    """

    def __init__(
        self,
        prepared: Sequence[Prepared],
        blocks: Sequence[Block],
        window: WindowSettings,
        crop: int | None = None,
        crops: int = 1,
        augmentation: Augmentation | None = None,
        labels: Labelled | None = None,
        capacity: int = 1,
    ) -> None:
        self.prepared = list(prepared)
        self.blocks = list(blocks)
        self.window = window
        self.crop = crop
        self.crops = crops
        self.augmentation = augmentation
        self.labels = labels
        self.weights = [window_weights(session.fps, window) for session in self.prepared]
        self.whole = [self._whole_is_less_work(number) for number in range(len(self.prepared))]
        self.segments = FrameCache(
            [
                Foreground(part) if whole else FileFrames(part.session)
                for part, whole in zip(self.prepared, self.whole, strict=True)
            ],
            self.blocks,
            [weights.shape[1] // 2 for weights in self.weights],
            SEGMENT,
            capacity,
        )

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, draws: Sequence[Draw]) -> WindowBatch:
        """One batch: ``crops`` times the blocks' frames, in order."""
        return concatenate([part for draw in draws for part in self._block(*draw)])

    def _block(self, index: int, key: tuple[int, ...]) -> list[WindowBatch]:
        block = self.blocks[index]
        prepared, weights = self.prepared[block.session], self.weights[block.session]
        margin = weights.shape[1] // 2
        first, last = block.start - margin, block.start + block.count + margin
        start, stop = max(0, first), min(prepared.shape[0], last)
        read = self._reader(block.session, start, stop)
        random = np.random.default_rng(key)
        parts = []
        for _ in range(self.crops):
            crop = self._crop(prepared, random)
            foreground = edge_pad(read(crop), start - first, last - stop)
            part = WindowBatch(
                windows=take_windows(foreground, weights),
                target=foreground[margin : margin + block.count],
                extent=crop_extent(
                    crop[0], crop[2], (crop[1] - crop[0], crop[3] - crop[2]), prepared.scale.size
                ).expand(block.count, 4),
                session=torch.full((block.count,), block.session),
                frame=torch.arange(block.start, block.start + block.count),
            )
            if self.labels is not None:
                lit = self.labels.tables[block.session].lit(
                    block.start, block.count, crop, self.labels.threshold
                )
                part = replace(part, labels=lit)
            parts.append(self.augmentation.draw(random)(part) if self.augmentation else part)
        return parts

    def _crop(self, prepared: Prepared, random: np.random.Generator) -> Crop:
        height, width = prepared.scale.size
        if self.crop is None:
            return (0, height, 0, width)
        corner = []
        for length in (height, width):
            room = length - self.crop
            # Drawn beyond the border and moved back: or pixels there would hardly ever be seen.
            beyond = min(self.crop // 4, room)
            corner.append(int(np.clip(random.integers(-beyond, room + beyond + 1), 0, room)))
        top, left = corner
        return (top, top + self.crop, left, left + self.crop)

    def _reader(self, session: int, start: int, stop: int) -> Callable[[Crop], torch.Tensor]:
        """The foreground of any crop of frames [start, stop)."""
        prepared = self.prepared[session]
        if prepared.held is not None:
            block = prepared.held[start:stop]
        else:
            block = self.segments.frames(session, start, stop)
            if not self.whole[session]:
                return lambda crop: prepared.foreground_of(block, start, crop)
        return lambda crop: block[:, crop[0] : crop[1], crop[2] : crop[3]].float()

    def _whole_is_less_work(self, session: int) -> bool:
        """Whether a frame's whole foreground costs less than that of the crops that are taken of it."""
        prepared, margin = self.prepared[session], self.weights[session].shape[1] // 2
        if self.crop is None:
            return True
        height, width = prepared.scale.size
        top, left = (height - self.crop) // 2, (width - self.crop) // 2
        y0, y1, x0, x1 = prepared.margin((top, top + self.crop, left, left + self.crop))
        count = max((block.count for block in self.blocks if block.session == session), default=1)
        return count * height * width <= self.crops * (count + 2 * margin) * (y1 - y0) * (x1 - x0)


def detach_worker(_: int) -> None:
    """Initialise a DataLoader worker: own files, one thread, an end where nobody gets its batches."""
    end_when_full()
    information: Any = torch.utils.data.get_worker_info()
    information.dataset.segments.detach()
    torch.set_num_threads(1)


def concatenate(parts: Sequence[WindowBatch]) -> WindowBatch:
    """Join batches of the same crop size; labels are padded to the most."""
    labels = None
    known = [part.labels for part in parts if part.labels is not None]
    if known:
        most = max(part.valid.shape[1] for part in known)
        labels = Labels(
            positions=torch.cat([_pad(part.positions, most) for part in known]),
            amplitude=torch.cat([_pad(part.amplitude, most) for part in known]),
            valid=torch.cat([_pad(part.valid, most) for part in known]),
        )
    return WindowBatch(
        windows=torch.cat([part.windows for part in parts]),
        target=torch.cat([part.target for part in parts]),
        extent=torch.cat([part.extent for part in parts]),
        session=torch.cat([part.session for part in parts]),
        frame=torch.cat([part.frame for part in parts]),
        labels=labels,
    )


def _pad(values: torch.Tensor, most: int) -> torch.Tensor:
    missing = values.new_zeros(values.shape[0], most - values.shape[1], *values.shape[2:])
    return torch.cat([values, missing], 1)
