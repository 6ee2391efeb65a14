"""The protocol that every foreign recording is read through.

A recording is a stream of grey frames with what its file says about itself. It doesn't know what will be done
with the frames (crops, bins and number types are :mod:`calcium_lightning.io.convert`'s business), nor which
formats there are (:mod:`calcium_lightning.io.readers.formats`).
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.plain import readable
from calcium_lightning.core.reading import reading
from calcium_lightning.core.unix_time import UNIX
from calcium_lightning.io.readers.clock import Clock, since_beginning
from calcium_lightning.io.stored import MOST_FRAMES

#: how far the nominal frame rate may lie from the measured one without a word, and without being replaced
SAID, SAME = 0.01, 0.0005
#: characters of a text about a recording
LONGEST = 4096


@dataclass(frozen=True)
class Break:
    """A place where frames are missing that should be there.

    Attributes
    ----------
    frame : int
        The frames before this one are whole; what lies behind it (another file) is whole again.
    reason : str
        What is missing, and in which file.
    lost : int
        How many frames are missing, as far as that is known.
    """

    frame: int
    reason: str
    lost: int = 0


class FrameError(InputError):
    """A frame that can't be read.

    Parameters
    ----------
    path : Path
        The recording.
    frame : int
        Of the recording, from 0.
    reason : str
        What is wrong with it.
    skips : bool
        Whether the frames behind it can be read without it.
    """

    def __init__(self, path: Path, frame: int, reason: str, skips: bool = True) -> None:
        self.path, self.frame, self.reason, self.skips = path, frame, reason, skips
        if frame >= 2:
            advice = f"stop={frame} takes the frames before it"
        else:
            advice = f"start={frame + 1} takes those behind it" if skips else "copy the file again"
        super().__init__(f"{path}: frame {frame} {reason}; {advice}")

    def within(self, path: Path, offset: int) -> FrameError:
        """The same error, counted in the frames of the recording that this file is a part of."""
        return FrameError(path, offset + self.frame, f"({self.path.name}) {self.reason}", self.skips)


class Recording(abc.ABC):
    """A foreign recording: what its file says of itself, and its frames in order.

    Attributes
    ----------
    path : Path
        The file or folder.
    shape : tuple of int
        (T, H, W): the frames that are there, whatever the headers promise.
    dtype : numpy.dtype
        Type of the frames as stored.
    fps : float or None
        Frame rate, Hz, where the file says.
    pixel_size_um : float or None
        Micrometres per pixel, where the file says.
    timestamps : ndarray or None
        Seconds, float64 (T,), where the file has them.
    kind : {"raw", "dff"} or None
        Where the file says.
    motion_corrected : bool or None
        Where the file says.
    bad_frames : ndarray or None
        Frames that the file itself says hold no picture, bool (T,).
    breaks : tuple of Break
        Where frames are missing. A recording isn't read across a break unless it is asked for.
    rate_hint : str
        What to say where the file has a rate that is none.
    clock_problem : str or None
        Why the time stamps that lie beside it can't be used.
    notes : tuple of str
        What its user should know: what was chosen, left out, mended.
    about : mapping
        Who, what and when: ``session_start_time`` (ISO 8601), ``subject_id``, ``experiment``,
        ``experimenter``, ``device``, where the files say.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    fps: float | None = None
    pixel_size_um: float | None = None
    timestamps: np.ndarray | None = None
    kind: str | None = None
    motion_corrected: bool | None = None
    bad_frames: np.ndarray | None = None
    breaks: tuple[Break, ...] = ()
    rate_hint: str = ""
    clock_problem: str | None = None
    notes: tuple[str, ...] = ()
    about: Mapping[str, str] = MappingProxyType({})

    @abc.abstractmethod
    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop) in order, stored type, as (n, H, W) blocks of about ``size`` frames.

        Raises
        ------
        InputError
            Naming the frame that can't be read.
        """

    def stream(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield :meth:`blocks`; what a library makes of a damaged file is told as the file's fault.

        Raises
        ------
        InputError
            Naming the frame from which on the file can't be read.
        """
        blocks, index = self.blocks(start, stop, size), start
        while True:
            with reading(self.path, f"from frame {index} on it", parsing=True):
                block = next(blocks, None)
            if block is None:
                return
            yield block
            index += len(block)

    def close(self) -> None:  # noqa: B027  (most readers hold nothing open)
        """Release whatever is open."""

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return self.shape[0]

    @property
    def promised(self) -> int:
        """How many frames it had before some were lost, as far as that is known: what time stamps count."""
        return self.n_frames + sum(gap.lost for gap in self.breaks)

    def note(self, text: str) -> None:
        """Add to what the user should know."""
        self.notes = (*self.notes, text)

    def use_clock(self, clock: Clock, name: str = "") -> None:
        """Take the time of each frame, and say what was mended in it."""
        self.timestamps = clock.times
        if clock.after_gap.any():
            self.bad_frames = clock.after_gap
        for text in clock.notes:
            self.note(f"{name}: {text}" if name else text)
        if clock.start is not None:
            self.began(clock.start)

    def began(self, moment: float) -> None:
        """Take a Unix time for second 0, unless the file says when that was."""
        with suppress(ValueError, OverflowError, OSError):  # ticks of some clock, and no date
            text = datetime.fromtimestamp(moment, tz=UTC).isoformat(timespec="milliseconds")
            self.about = {"session_start_time": text, **self.about}

    def use_rate(self, measured: float | None) -> None:
        """Take the frame rate, Hz, that time stamps have, and say where it isn't the nominal one."""
        said = self.fps
        if measured is None:
            return
        if said is not None and abs(said / measured - 1) > SAID:
            self.note(f"{measured:.4g} Hz by the time stamps (nominal: {said:g} Hz)")
        if said is None or abs(said / measured - 1) > SAME:
            self.fps = round(measured, 6)

    def wrong_size(self, frame: int, found: tuple[int, ...]) -> InputError:
        """Give the error for a frame whose size is not the first one's."""
        return InputError(
            f"{self.path}: frame {frame} has the size {found}, the first has {self.shape[1:]}; all must agree"
        )

    def short(self, promised: int, found: int) -> None:
        """Note that frames are missing at the end; more of them than promised are good."""
        if found < promised:
            reason = f"cut off, its header promises {promised} frames and {found} are there"
            self.breaks = (*self.breaks, Break(found, reason, promised - found))
        elif found > promised:
            self.note(f"its header promises {promised} frames, {found} are there and taken")

    def check_whole(self, start: int, stop: int | None) -> None:
        """Refuse a range of frames that reaches across a break.

        Raises
        ------
        InputError
            Saying which range can be read.
        """
        for number, gap in enumerate(self.breaks):
            # what is missing before the first frame is only left out where a start is asked for
            if start < max(gap.frame, 1) and (stop is None or stop > gap.frame):
                raise InputError(f"{self.path}: {gap.reason}; copy it again{self._around(number)}")

    def _around(self, number: int) -> str:
        """The ranges before and behind a break, as advice that works."""
        edges = [0, *(gap.frame for gap in self.breaks), self.n_frames]
        first, at, last = edges[number : number + 3]
        ways = []
        if at - first >= 2:
            since = f"start={first} " if first else ""
            ways.append(f"{since}stop={at} takes the {at - first} frames before it")
        begin = max(at, 1)
        if last - begin >= 2:
            until = f" stop={last}" if last < self.n_frames else ""
            ways.append(f"start={begin}{until} {'the' if ways else 'takes the'} {last - begin} behind it")
        return f", or {' and '.join(ways)}" if ways else ""


def check_facts(recording: Recording) -> None:
    """Refuse, or leave out, what a reader took from its file and no recording can have.

    Raises
    ------
    InputError
        For frames without pixels, and for more frames than anybody records.
    """
    if recording.n_frames > MOST_FRAMES:
        raise InputError(
            f"{recording.path}: {recording.n_frames} frames; more than {MOST_FRAMES} are taken for damage"
        )
    if min(recording.shape[1:]) < 1:
        raise InputError(f"{recording.path}: frames of the size {recording.shape[1:]} hold nothing")
    if recording.fps is not None and not 0 < recording.fps < math.inf:
        recording.fps = None
    if recording.pixel_size_um is not None and not 0 < recording.pixel_size_um < math.inf:
        recording.pixel_size_um = None
    times = recording.timestamps
    if times is not None and not np.isfinite(times).all():
        recording.timestamps, recording.clock_problem = (
            None,
            f"{recording.path}: its time stamps are no numbers",
        )
    elif times is not None and len(times) and times[0] > UNIX:
        said = recording.about.get("session_start_time", "")
        recording.timestamps, zero = since_beginning(times, said)
        recording.began(zero)
    recording.about = {name: plain(text) for name, text in recording.about.items()}


def plain(text: str) -> str:
    """Text that an attribute of HDF5 can hold."""
    return readable(text).replace("\0", "")[:LONGEST]


def shifted(gap: Break, offset: int, name: str) -> Break:
    """A file's break as one of the recording that the file is a part of."""
    return replace(gap, frame=gap.frame + offset, reason=f"{name}: {gap.reason}")
