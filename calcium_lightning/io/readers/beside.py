"""Times that are stored as an array beside the frames, in the same file.

Knows names, units and numbers; how an array is read from its format is its reader's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.clock import rate_of
from calcium_lightning.io.readers.stamps import FEW, stored_times
from calcium_lightning.io.readers.tiff_metadata import SECONDS

_NAME = re.compile(
    r"(frame_?)?(time_?stamps?|times?|t|ts)(_?(s|secs?|seconds?|ms|msecs?|milliseconds?|us|ns))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Times:
    """An array that may hold the time of each frame.

    Attributes
    ----------
    name : str
        Of the array, for people; its last part may say the unit.
    size : int
        How many values it has.
    read : callable
        Gives them.
    unit : str
        As the file says, in xarray's way (``milliseconds since 2026-03-04``), or empty.
    """

    name: str
    size: int
    read: Callable[[], Any]
    unit: str = ""


def names_times(name: str) -> bool:
    """Whether an array of this name may hold times.

    Examples
    --------
    >>> [names_times(name) for name in ("timestamps", "frame_times", "time_ms", "licks", "frame")]
    [True, True, True, False, False]
    """
    return _NAME.fullmatch(name.rpartition("/")[2]) is not None


def take_times(recording: Recording, arrays: Iterable[Times]) -> None:
    """Give a recording the times of the first array that holds one for each frame.

    What falls, or counts the frames, is no time; what can't be read, or is a few too many, is said.
    """
    count = recording.promised
    for times in sorted(arrays, key=lambda one: "stamp" not in one.name.lower()):
        seconds = SECONDS.get(times.unit.partition(" ")[0].lower()) if times.unit else None
        if (
            abs(times.size - count) > FEW
            or min(times.size, count) < 2
            or not (seconds or names_times(times.name))
        ):
            continue
        if times.size != count:
            recording.note(f"no times from {times.name} ({times.size} for {count} frames)")
            continue
        try:
            stamps = _numbers(times.read())
            clock = stored_times(stamps, times.name, seconds, recording.fps)
        except (InputError, OSError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split()).removeprefix(f"{times.name}: ")
            recording.note(f"no times from {times.name} ({reason})")
            continue
        if clock is None:
            continue
        recording.note(f"times from {times.name}")
        recording.use_clock(clock.at(np.arange(recording.n_frames)), times.name)
        recording.use_rate(rate_of(clock.times))
        return


def _numbers(values: Any) -> np.ndarray:
    """Values as numbers; dates as Unix seconds, spans as seconds."""
    values = np.asarray(values).ravel()
    if values.dtype.kind in "mM":
        values = np.where(
            np.isnat(values), np.nan, values.astype(f"{values.dtype.kind}8[ns]").astype(np.int64) / 1e9
        )
    return values.astype(np.float64)
