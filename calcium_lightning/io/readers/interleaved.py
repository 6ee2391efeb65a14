"""One of several channels or planes that take turns, frame by frame: two light sources, two focal planes.

Knows recordings; nothing of formats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Recording


class InterleavedRecording(Recording):
    """Every so manyth frame of a recording.

    Parameters
    ----------
    whole : Recording
        All frames; it stays the caller's to close.
    count : int
        How many take turns.
    which : int
        Which is meant, from 0, the first frame's.

    Raises
    ------
    InputError
        If there is no such one, or the recording knows its cells or its motion, which are of all frames.
    """

    def __init__(self, whole: Recording, count: int, which: int | None) -> None:
        if count < 2:
            raise InputError(f"interleaved={count}: two or more take turns; 1 is a recording like any other")
        if which is None or not 0 <= which < count:
            said = "" if which is None else f"channel={which}: "
            raise InputError(
                f"{said}interleaved={count} needs channel=0 to {count - 1}, the one that is meant"
            )
        if getattr(whole, "truth", None) is not None or getattr(whole, "shifts", None) is not None:
            raise InputError(f"{whole.path}: interleaved= is for recordings; this session is known already")
        self._whole, self._count, self._which = whole, count, which
        self.path, self.dtype = whole.path, whole.dtype
        self.shape = (self._before(whole.n_frames), *whole.shape[1:])
        self.fps = None if whole.fps is None else whole.fps / count
        self.pixel_size_um, self.kind = whole.pixel_size_um, whole.kind
        self.motion_corrected, self.about = whole.motion_corrected, whole.about
        self.timestamps, self.bad_frames = (
            None if values is None else values[which::count]
            for values in (whole.timestamps, whole.bad_frames)
        )
        self.breaks = tuple(replace(gap, frame=self._before(gap.frame)) for gap in whole.breaks)
        self.rate_hint, self.clock_problem, self.notes = whole.rate_hint, whole.clock_problem, whole.notes
        self.note(f"every {_ordinal(count)} frame, from frame {which} on")
        if whole.timestamps is not None and (slip := _slip(whole.timestamps, count)):
            self.note(
                f"by the time stamps frames are missing before frame {slip}: from there on it may be another "
                "channel; if it is, ingest what lies before and behind by themselves (start=, stop=)"
            )

    def _before(self, frame: int) -> int:
        """How many of the chosen frames come before one of the whole recording."""
        return len(range(self._which, frame, self._count))

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Frames [start, stop) of those that are chosen."""
        if stop <= start:
            return
        at = self._which + start * self._count
        end = self._which + (stop - 1) * self._count + 1
        for block in self._whole.blocks(at, end, size * self._count):
            offset = -(at - self._which) % self._count
            chosen = block[offset :: self._count]
            at += len(block)
            if len(chosen):
                yield chosen


def _ordinal(count: int) -> str:
    return {2: "second", 3: "third"}.get(count, f"{count}th")


def _slip(times: np.ndarray, count: int) -> int:
    """The first frame before which so many are missing that another channel follows; 0 if none."""
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 0.0
    if not usual > 0:
        return 0
    turned = np.flatnonzero((np.round(steps / usual) - 1) % count)
    return int(turned[0]) + 1 if len(turned) else 0
