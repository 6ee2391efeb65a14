"""Several recordings of one field as one: the files or folders of a day, levels matched, pauses kept.

A recorder that is stopped and started again, or an LED that was set anew, leaves a step in brightness between
recordings, which would be taken for activity. Knows recordings; nothing of formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import FrameError, Recording, shifted

#: frames at either side of a seam that tell the levels there
SAMPLE = 32
#: percentiles over the field that are made to agree
PERCENTILES = np.arange(5, 96)
#: share of the frames at either end of each pixel's values that doesn't count (black frames, transients)
TRIMMED = 0.25
#: a gain nearer to 1 than this, and an offset below this share of the levels, are left alone
SAME = 0.02


@dataclass(frozen=True)
class Levels:
    """What makes a recording's levels go on from the one before: ``gain * value + offset``."""

    gain: float = 1.0
    offset: float = 0.0

    @property
    def same(self) -> bool:
        """Whether nothing is to be done."""
        return self.gain == 1 and self.offset == 0


class JoinedRecording(Recording):
    """Recordings one after the other.

    At each seam the percentiles of the field's usual picture are made to agree (a small motion between the
    recordings doesn't matter to them, and bleaching goes on from where it was): where they do already, values
    stay as they are stored; else the frames become float32.

    Parameters
    ----------
    parts : sequence of Recording
        In the order of time; they stay the caller's to close.
    fps : float, optional
        Frame rate, Hz, in place of theirs.

    Raises
    ------
    InputError
        If their fields, kinds or rates differ, or they aren't in the order of time.
    """

    def __init__(self, parts: Sequence[Recording], fps: float | None = None) -> None:
        first = parts[0]
        self._parts = list(parts)
        self.path = Path(first.path)
        for part in parts[1:]:
            self._check(first, part, fps)
        self._starts = np.cumsum([0, *(part.n_frames for part in parts)])
        self.shape = (int(self._starts[-1]), *first.shape[1:])
        self.fps = fps or first.fps
        self.pixel_size_um, self.kind = first.pixel_size_um, first.kind
        self.motion_corrected = first.motion_corrected
        self.about = first.about
        for part, start in zip(parts, self._starts, strict=False):
            name = part.path.name
            self.notes = (*self.notes, *(f"{name}: {note}" for note in part.notes))
            self.breaks = (*self.breaks, *(shifted(gap, int(start), name) for gap in part.breaks))
            self.clock_problem = self.clock_problem or part.clock_problem
        if any(part.bad_frames is not None for part in parts):
            self.bad_frames = np.concatenate(
                [np.zeros(p.n_frames, bool) if p.bad_frames is None else p.bad_frames for p in parts]
            )
        self._levels = self._match()
        alike = all(levels.same for levels in self._levels) and len({part.dtype for part in parts}) == 1
        self.dtype = first.dtype if alike else np.dtype(np.float32)
        if self.fps:
            self.timestamps = self._times(self.fps)
        self.note(f"{len(parts)} recordings joined, {self.n_frames:,} frames")

    @staticmethod
    def _check(first: Recording, part: Recording, fps: float | None) -> None:
        if part.shape[1:] != first.shape[1:]:
            raise InputError(
                f"{part.path}: a field of {part.shape[1:]}, but {first.path} has {first.shape[1:]}; only the "
                "same field can be joined"
            )
        if part.kind != first.kind:
            raise InputError(
                f"{part.path}: is {part.kind}, but {first.path} {first.kind}; they can't be joined"
            )
        if fps is None and part.fps and first.fps and not np.isclose(part.fps, first.fps, rtol=0.02):
            raise InputError(
                f"{part.path}: {part.fps:.4g} Hz, but {first.path} has {first.fps:.4g} Hz; fps= says which "
                "is right"
            )

    def _match(self) -> list[Levels]:
        """Each recording's levels, those of the first being right."""
        found = [Levels()]
        if self.kind == "dff":
            return found * len(self._parts)
        for before, part in zip(self._parts, self._parts[1:], strict=False):
            wanted = _percentiles(before, max(0, before.n_frames - SAMPLE), before.n_frames)
            wanted = found[-1].gain * wanted + found[-1].offset
            own = _percentiles(part, 0, min(SAMPLE, part.n_frames))
            around = own - own.mean()
            gain = float(around @ wanted / (around @ around)) if np.ptp(own) > 0 else 1.0
            gain = 1.0 if abs(gain - 1) < SAME else gain
            offset = float(wanted.mean() - gain * own.mean())
            offset = 0.0 if gain == 1 and abs(offset) < SAME * max(abs(wanted.mean()), 1e-9) else offset
            found.append(Levels(gain, offset))
            if not found[-1].same:
                self.note(
                    f"{part.path.name}: levels times {gain:.3g} and {offset:+.3g}, to go on from the one "
                    "before"
                )
        return found

    def _times(self, fps: float) -> np.ndarray:
        """Seconds on the first recording's clock, pauses kept where it is known when each began."""
        began = [_moment(part.about.get("session_start_time")) for part in self._parts]
        known = all(moment is not None for moment in began)
        times: list[np.ndarray] = []
        end = 0.0
        for number, part in enumerate(self._parts):
            own = np.arange(part.n_frames) / fps if part.timestamps is None else part.timestamps
            if number == 0:
                times.append(own)
            else:
                first, this = began[0], began[number]
                start = (this - first).total_seconds() if known and first and this else end + 1 / fps - own[0]
                if start + own[0] <= end:
                    raise InputError(
                        f"{part.path}: began before {self._parts[number - 1].path} ended; give them in the "
                        "order of time"
                    )
                times.append(start + own)
            end = float(times[-1][-1])
        if not known and len(self._parts) > 1:
            self.note("when each began isn't known: joined without pauses")
        return np.concatenate(times)

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop), levels matched."""
        for part, levels, offset in zip(self._parts, self._levels, self._starts, strict=False):
            begin, end = max(start - int(offset), 0), min(stop - int(offset), part.n_frames)
            if begin >= end:
                continue
            try:
                for block in part.blocks(begin, end, size):
                    if self.dtype == part.dtype and levels.same:
                        yield block
                    else:
                        yield block.astype(np.float32) * np.float32(levels.gain) + np.float32(levels.offset)
            except FrameError as error:
                raise error.within(self.path, int(offset)) from error


def _percentiles(part: Recording, start: int, stop: int) -> np.ndarray:
    """Levels of the usual picture of some frames."""
    from scipy.stats import trim_mean

    frames = np.concatenate([block.astype(np.float32) for block in part.blocks(start, stop, SAMPLE)])
    usual = trim_mean(frames, TRIMMED, axis=0)
    return np.nanpercentile(usual, PERCENTILES)


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
