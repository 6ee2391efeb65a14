"""Time stamps as recorders leave them, to the time of each frame.

Knows numbers: rows in, seconds out. Which file they come from and how it is laid out is
:mod:`calcium_lightning.io.readers.stamps`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from calcium_lightning.core.unix_time import UNIX

#: an interval longer than this many usual ones is a pause or a loss
LONG = 1.75
#: frames beside a gap whose stamps must agree that time was lost, not that one frame came late
NEIGHBOURS = 5
#: a recording begins so many seconds at most behind what its file says of when
DAY = 86400.0
#: usual intervals that a single stamp may lie off
WILD = 10
#: clocks that count in 32 bits of milliseconds begin again
WRAP = 2.0**32


@dataclass(frozen=True)
class Clock:
    """The time of each frame.

    Attributes
    ----------
    times : ndarray
        Seconds, float64 (T,), rising.
    notes : tuple of str
        What was mended, and what is missing.
    after_gap : ndarray
        Frames before which time was lost, bool (T,).
    start : float or None
        Unix time of second 0, where the stamps say.
    """

    times: np.ndarray
    notes: tuple[str, ...]
    after_gap: np.ndarray
    start: float | None = None

    def at(self, places: np.ndarray) -> Clock:
        """The clock of some of the frames."""
        return replace(self, times=self.times[places], after_gap=self.after_gap[places])


def rate_of(times: np.ndarray) -> float | None:
    """Frame rate, Hz, of time stamps: the mean over all intervals that aren't pauses or restarts.

    Examples
    --------
    >>> round(rate_of(np.array([0.0, 0.033, 0.067, 0.1, 0.133, 5.0, 5.033])), 2)
    30.12
    """
    steps = np.diff(times)
    steps = steps[np.isfinite(steps) & (steps > 0)]
    if not len(steps):
        return None
    usual = float(np.median(steps))
    usual = float(np.mean(steps[(steps < LONG * usual)]))
    return 1 / usual if usual > 0 else None


def repair_first(times: np.ndarray) -> np.ndarray:
    """Replace a first time that can't belong to the recording by one interval before the second.

    Examples
    --------
    >>> repair_first(np.array([4294967.264, 0.05, 0.1, 0.15])).round(6)
    array([0.  , 0.05, 0.1 , 0.15])
    """
    times = np.array(times, dtype=np.float64)
    if len(times) < 3:
        return times
    interval = float(np.median(np.diff(times[1:])))
    step = times[1] - times[0]
    if interval > 0 and (step <= 0 or times[0] < 0 or step > max(1.0, 10 * interval)):
        times[0] = times[1] - interval
    return times


def run_on(times: np.ndarray) -> tuple[np.ndarray, int]:
    """Let a clock that began again go on from where it was; how often it did."""
    steps = np.diff(times)
    back = np.flatnonzero(steps < 0)
    if not len(back):
        return times, 0
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    times = times.copy()
    restarts = 0
    for index in back:
        step = times[index + 1] - times[index]
        if step >= 0:  # a late stamp, mended together with the one before
            continue
        wraps = step + WRAP / 1e3
        if 0 < wraps < 10 * usual:  # milliseconds in 32 bits
            times[index + 1 :] += WRAP / 1e3
        elif index + 2 < len(times) and times[index + 2] > times[index] and step > -LONG * usual:
            times[index + 1] = (times[index] + times[index + 2]) / 2  # two stamps changed places
        else:
            times[index + 1 :] += usual - step
            restarts += 1
    return times, restarts


def wild(times: np.ndarray) -> np.ndarray:
    """Stamps far away from both neighbours, between which time goes on, bool (T,): glitches of a clock.

    Examples
    --------
    >>> wild(np.array([0.0, 0.1, 0.2, 9e6, 0.4, 0.5])).nonzero()[0]
    array([3])
    """
    found = np.zeros(len(times), bool)
    steps = np.diff(times)
    if len(times) < 5 or not (steps > 0).any():
        return found
    far = WILD * float(np.median(steps[steps > 0]))
    before, at, behind = times[:-2], times[1:-1], times[2:]
    goes_on = (behind > before) & (behind - before < far)
    found[1:-1] = goes_on & ((at > behind + far) | (at < before - far))
    return found


def gaps(times: np.ndarray) -> np.ndarray:
    """Frames before which time was lost, bool (T,).

    A single frame that came late is none: the stamps behind it are where they would have been anyway.
    """
    lost = np.zeros(len(times), bool)
    rate = rate_of(times)
    if rate is None or len(times) < 3:
        return lost
    steps = np.diff(times) * rate
    ahead = np.cumsum(steps - 1)  # how far each stamp is ahead of an even clock, in frames
    for index in np.flatnonzero(steps > LONG):
        before = ahead[max(0, index - NEIGHBOURS) : index]
        behind = ahead[index : index + NEIGHBOURS]
        lost[index + 1] = behind.min() - (before.max() if len(before) else 0.0) > LONG - 1
    return lost


def fill(times: np.ndarray) -> np.ndarray:
    """Give frames without a stamp (NaN) the time between their neighbours', or on from the nearest.

    Examples
    --------
    >>> fill(np.array([np.nan, 0.1, np.nan, 0.3, np.nan])).round(6)
    array([0. , 0.1, 0.2, 0.3, 0.4])
    """
    known = np.flatnonzero(np.isfinite(times))
    index = np.arange(len(times))
    filled = np.interp(index, known, times[known])
    steps = np.diff(times[known]) / np.diff(known)
    usual = float(np.median(steps)) if len(steps) else 0.0
    filled[: known[0]] = times[known[0]] - usual * (known[0] - index[: known[0]])
    filled[known[-1] + 1 :] = times[known[-1]] + usual * (index[known[-1] + 1 :] - known[-1])
    return filled


def unix_of(moment: str) -> float:
    """Unix time of an ISO 8601 date and time, which is UTC where it doesn't say.

    Raises
    ------
    ValueError
        If it is none.
    """
    found = datetime.fromisoformat(moment)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def since_beginning(times: np.ndarray, began: str) -> tuple[np.ndarray, float]:
    """Unix times as seconds from when the recording began, and that moment's Unix time.

    Parameters
    ----------
    times : ndarray
        Unix times, float64 (T,).
    began : str
        When the file says that it began, ISO 8601; where that can't be, the first frame is second 0.
    """
    zero = float(times[0])
    try:
        said = unix_of(began)
    except (ValueError, OverflowError):
        said = zero
    if 0 <= zero - said < DAY:
        zero = said
    return times - zero, zero


def clock(times: np.ndarray, missing: str = "") -> Clock:
    """The time of each frame from its stamp.

    Parameters
    ----------
    times : ndarray
        Seconds, (T,); NaN where a frame has no stamp.
    missing : str
        What to call frames without one, in the notes.
    """
    notes = []
    lacking = int(np.isnan(times).sum())
    if lacking:
        notes.append(
            f"{lacking} of {len(times)} time stamps {'is' if lacking == 1 else 'are'} missing{missing}, "
            "estimated from the others"
        )
    known = np.isfinite(times)
    times = np.array(times, np.float64)
    times[known] = np.where(off := wild(times[known]), np.nan, times[known])
    if off.any():
        number = int(off.sum())
        notes.append(
            f"{number} time stamp{'s' * (number > 1)} far off the others {'are' if number > 1 else 'is'} "
            "estimated from them"
        )
        known = np.isfinite(times)
    mended, restarts = run_on(repair_first(times[known]))
    if restarts:
        notes.append(f"the clock began again {restarts} time{'s' * (restarts > 1)}, joined there")
    whole = np.full(len(times), np.nan)
    whole[known] = mended
    whole = fill(whole)
    start = None
    if whole[0] > UNIX:  # which a session's seconds can't hold as finely
        start = float(whole[0])
        whole = whole - start
    after = gaps(whole)
    if after.any():
        rate = rate_of(whole) or 0.0
        lost = int(np.round((whole[after] - whole[np.flatnonzero(after) - 1]) * rate - 1).sum())
        count = int(after.sum())
        notes.append(
            f"{count} gap{'s' * (count > 1)} in the time stamps, about {lost} frames' time is missing; the "
            f"first frame{'s' * (count > 1)} behind {'them are' if count > 1 else 'it is'} in /bad_frames"
        )
    return Clock(whole, tuple(notes), after, start)
