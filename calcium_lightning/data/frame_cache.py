"""Frames of sessions, segment by segment: each is read and prepared once, and kept while it is wanted.

A segment is a few whole chunks of a file. In memory it follows the last frames of the segment before it, so
that a window across the border is a view like any other. Knows frames, and blocks of windows by their numbers
only.
"""

from __future__ import annotations

import math
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calcium_lightning.data.sources import Source
from calcium_lightning.data.splits import Block


def frames_per_segment(chunk: int, least: int) -> int:
    """Frames in a segment: as many whole chunks of ``chunk`` frames as make ``least``."""
    return chunk * -(-least // chunk)


@dataclass(frozen=True)
class Layout:
    """How the frames of one session are cut into segments.

    Attributes
    ----------
    n_frames : int
        Length of the session.
    margin : int
        Frames that a window looks at before and after its middle.
    frames : int
        Frames in a segment; the last may be shorter.
    lead : int
        Frames of the segment before that are kept in front, at most ``frames``.
    """

    n_frames: int
    margin: int
    frames: int
    lead: int = 0

    @classmethod
    def around(cls, blocks: Sequence[Block], source: Source, margin: int, least: int) -> Layout:
        """The layout in which all that a block's windows look at lies in one segment of ``least`` or more."""
        frames = frames_per_segment(source.chunk_frames, least)
        while True:
            plain = cls(source.n_frames, margin, frames)
            lead = max([0, *(plain.segment(b) * frames - max(0, b.start - margin) for b in blocks)])
            if lead <= frames:
                return cls(source.n_frames, margin, frames, lead)
            frames += source.chunk_frames

    @property
    def count(self) -> int:
        """Number of segments."""
        return -(-self.n_frames // self.frames)

    def segment(self, block: Block) -> int:
        """The segment that holds the last frame that a block's windows look at, and so all of them."""
        return (min(self.n_frames, block.start + block.count + self.margin) - 1) // self.frames


@dataclass
class Segment:
    """Frames that were read together.

    Attributes
    ----------
    data : Tensor (lead + n, h, w)
        The frames, after the last ones of the segment before.
    led : bool
        Whether the lead was filled.
    views : object
        What the cache's ``derive`` made of ``data``.
    """

    data: Tensor
    views: Any
    led: bool = False


class FrameCache:
    """The segments that were used last; each process has its own.

    Parameters
    ----------
    sources : sequence of Source
        The sessions' frames.
    blocks : sequence of Block
        The blocks of windows that will be asked for.
    margins : sequence of int
        For each source, frames that a window looks at before and after its middle.
    least : int
        Frames in a segment, at least.
    capacity : int
        Segments that are kept.
    derive : callable, optional
        Makes views of a segment's frames, once for all who want them.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        blocks: Sequence[Block],
        margins: Sequence[int],
        least: int,
        capacity: int = 1,
        derive: Callable[[Tensor], Any] | None = None,
    ) -> None:
        self.sources = list(sources)
        self.capacity = capacity
        self.derive = derive
        self.layouts = [
            Layout.around([block for block in blocks if block.session == number], source, margin, least)
            for number, (source, margin) in enumerate(zip(sources, margins, strict=True))
        ]
        self._spare: list[np.ndarray] = []
        self.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._spare = []
        self.clear()

    def clear(self) -> None:
        """Forget all segments, but not their memory."""
        self._segments: OrderedDict[tuple[int, int], Segment] = OrderedDict()

    def detach(self) -> None:
        """Forget open files and segments, at the beginning of a process."""
        self.sources = [source.detached() for source in self.sources]
        self.clear()
        self._spare = []

    def numbers(self, blocks: Sequence[Block]) -> list[int]:
        """For each block the number of its segment, counted through all sessions."""
        before = [0, *accumulate(layout.count for layout in self.layouts)]
        return [before[block.session] + self.layouts[block.session].segment(block) for block in blocks]

    @property
    def segment_bytes(self) -> int:
        """Size of the largest segment."""
        return max(
            (layout.lead + min(layout.frames, layout.n_frames))
            * math.prod(source.size)
            * source.dtype.itemsize
            for layout, source in zip(self.layouts, self.sources, strict=True)
        )

    def frames(self, session: int, start: int, stop: int) -> Tensor:
        """Frames [start, stop) of a session, what one block looks at: a view (n, h, w); don't write to it."""
        layout = self.layouts[session]
        number = (stop - 1) // layout.frames
        own = number * layout.frames
        offset = start - own + layout.lead
        return self.segment(session, number, start < own).data[offset : offset + stop - start]

    def segment(self, session: int, number: int, lead: bool) -> Segment:
        """A segment of a session, its lead filled where that is asked for."""
        key = (session, number)
        segment = self._segments.get(key)
        if segment is None or (lead and not segment.led):
            segment = self._load(session, number, lead)
        self._segments.move_to_end(key)
        while len(self._segments) > self.capacity:
            self._segments.popitem(last=False)
        return segment

    def _load(self, session: int, number: int, lead: bool) -> Segment:
        """Read a segment unless it is there, and fill its lead if that is asked for."""
        layout, key = self.layouts[session], (session, number)
        segment = self._segments.get(key)
        if segment is None:
            start = number * layout.frames
            count = min(layout.frames, layout.n_frames - start)
            data = self._memory(session, layout.lead + count)
            self.sources[session].read_into(start, data[layout.lead :])
            segment = self._segments[key] = Segment(data, self.derive(data) if self.derive else None)
        if lead and not segment.led:
            before = self._load(session, number - 1, lead=False)
            # NumPy's copy of bytes is faster than Torch's.
            segment.data.numpy()[: layout.lead] = before.data.numpy()[len(before.data) - layout.lead :]
            segment.led = True
        return segment

    def _memory(self, session: int, count: int) -> Tensor:
        """Memory for a segment: that of a forgotten one which nobody looks at any more, if there is any.

        To get new pages takes longer than to fill them.
        """
        source, spare = self.sources[session], self._spare
        size = count * math.prod(source.size) * source.dtype.itemsize
        place = next((i for i, block in enumerate(spare) if block.nbytes >= size), None)
        owner = np.empty(size, np.uint8) if place is None else spare.pop(place)
        lent = owner[:size].view(source.dtype).reshape(count, *source.size)
        # All tensors made of ``lent`` hold it; when the last of them is gone, the memory comes back.
        weakref.finalize(lent, _give_back, owner, spare, self.capacity + 2).atexit = False
        return torch.from_numpy(lent)


def _give_back(block: np.ndarray, spare: list[np.ndarray], most: int) -> None:
    if len(spare) < most:
        spare.append(block)
