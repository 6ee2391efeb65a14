"""Several files, one after the other, as one recording: numbered videos, a folder of TIFF stacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Break, FrameError, Recording, shifted

#: so many files tell how many frames a recorder puts into each
FULL = 3


class Sequenced(Recording):
    """The frames of several files of one size and type, in the order given.

    Only the headers are kept: each file is open while its own frames are read. A file that is cut off, or
    that can't be opened at all, is a break in the recording.

    Parameters
    ----------
    path : Path
        The folder they are in.
    files : sequence of Path
        In the order of time. Files without frames (a recorder stopped just after it opened the next) are
        skipped.
    reader : callable
        Path -> Recording.

    Attributes
    ----------
    places : ndarray
        For each frame its place in the recording as it was before anything was lost, int (T,): what time
        stamps count.
    """

    def __init__(self, path: Path, files: Sequence[Path], reader: Callable[[Path], Recording]) -> None:
        self.path = path
        self._reader = reader
        self._parts: list[tuple[Path, int]] = []
        self._first: Recording | None = None
        places: list[np.ndarray] = []
        self._promised = count = 0
        self._unreadable: list[int] = []  # frames before which a file of unknown length is lost
        for file in files:
            try:
                part = reader(file)
            except InputError as error:
                empty = file.is_file() and not file.stat().st_size
                reason = "is empty" if empty else str(error).removeprefix(f"{file}: ")
                self.breaks = (*self.breaks, Break(count, f"{file.name}: {reason}"))
                self._unreadable.append(count)
                continue
            with part:
                if part.n_frames == 0 and not part.breaks:
                    self.note(f"left out: {file.name} (no frames)")
                    continue
                self._check(part, file)
                self.breaks = (*self.breaks, *(shifted(gap, count, file.name) for gap in part.breaks))
                self.notes = (*self.notes, *(f"{file.name}: {note}" for note in part.notes))
                within = np.arange(part.n_frames)
                for gap in part.breaks:
                    within[gap.frame :] += gap.lost
                places.append(self._promised + within)
                self._promised += part.promised
                self._parts.append((file, part.n_frames))
                count += part.n_frames
        if self._first is None:
            problem = self.breaks[0].reason if self.breaks else f"no frames in {len(files)} files"
            raise InputError(f"{path}: {problem}")
        self.places: np.ndarray = np.concatenate(places)
        self.shape = (count, *self._first.shape[1:])
        self.dtype = self._first.dtype
        self.fps, self.pixel_size_um = self._first.fps, self._first.pixel_size_um
        self.about, self.kind = self._first.about, self._first.kind

    @property
    def promised(self) -> int:
        """How many frames it had; those of a file that can't be opened only as :meth:`expect` says."""
        return self._promised

    def expect(self, total: int) -> None:
        """Give what is missing of ``total`` frames its place: in the file that can't be opened, or is short.

        A recorder fills each file but the last with as many frames. Where some have fewer, and all of them
        together lack just what is missing, they lost it: where in them isn't known, so that it counts as
        lost at their ends.
        """
        missing = total - self._promised
        if missing <= 0:
            return
        if len(self._unreadable) == 1:
            self.places[self._unreadable[0] :] += missing
            self._promised = total
        elif (lacking := self._lacking(total)) is not None:
            counts = [count for _, count in self._parts]
            for index in np.flatnonzero(lacking):
                self.places[sum(counts[: index + 1]) :] += lacking[index]
                self.note(
                    f"{self._parts[index][0].name} has {counts[index]} frames, the others "
                    f"{counts[index] + lacking[index]}: by the time stamps {lacking[index]} of its are lost, "
                    "taken to be its last"
                )
            self._promised = total

    def expect_one_of(self, totals: Sequence[int]) -> None:
        """The same, where one of several cameras' totals is its own: the only one that fits."""
        if len(totals) == 1:
            self.expect(totals[0])
        elif self.n_frames not in totals:
            fitting = [total for total in totals if self._lacking(total) is not None]
            if len(fitting) == 1 and not self._unreadable:
                self.expect(fitting[0])

    def _lacking(self, total: int) -> np.ndarray | None:
        """How many frames each file but the last has too few, if that is just what ``total`` has more."""
        if self.breaks or len(self._parts) < FULL:
            return None
        counts = np.array([count for _, count in self._parts])[:-1]
        lacking = int(np.bincount(counts).argmax()) - counts
        missing = total - self._promised
        return lacking if missing > 0 and lacking.min() >= 0 and lacking.sum() == missing else None

    def _check(self, part: Recording, file: Path) -> None:
        if self._first is None:
            self._first = part
        first = self._first
        if part.shape[1:] != first.shape[1:] or part.dtype != first.dtype:
            raise InputError(
                f"{file}: frames of {part.shape[1:]} {part.dtype}, but {first.path.name} has "
                f"{first.shape[1:]} {first.dtype}; all must agree"
            )
        if part.fps and first.fps and not np.isclose(part.fps, first.fps, rtol=0.02):
            self.note(f"{file.name} says {part.fps:g} Hz, {first.path.name} {first.fps:g} Hz")

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop) file by file."""
        offset = 0
        for file, count in self._parts:
            begin, end = max(start - offset, 0), min(stop - offset, count)
            if begin < end:
                try:
                    with self._reader(file) as part:
                        yield from part.blocks(begin, end, size)
                except FrameError as error:
                    raise error.within(self.path, offset) from error
            offset += count
