"""Files of time stamps beside recordings, however they are laid out: to seconds for each frame.

UCLA's DAQ writes ``timeStamps.csv`` (milliseconds) and, in its older form, ``timestamp.dat`` with the rows of
all cameras; wireless scopes (mio) a row for each buffer of a frame; Bonsai what its user has put together.
People lose headers, export with semicolons, and crash in mid-line. What the numbers mean is told from the
numbers, the header only helps.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.clock import Clock, clock, rate_of
from calcium_lightning.io.readers.table import Table, read_table

#: seconds per unit, in the order of likelihood
UNITS = (1e-3, 1.0, 1e-6, 1e-9)
_UNIT_NAMES = (
    (r"\(?(ms|msec|millis\w*)\)?$", 1e-3),
    (r"(\(|_|\b)(us|µs|usec|micros\w*)\)?$", 1e-6),
    (r"(\(|_|\b)(ns|nanos\w*)\)?$", 1e-9),
    (r"(\(|_|\b)(s|sec|seconds?)\)?$", 1.0),
)
_NUMBER = re.compile(r"frame|index|\bnum|^#$|^item$", re.IGNORECASE)
_TIME = re.compile(r"time|clock|stamp|second|^t$|\bms\b", re.IGNORECASE)
#: rates that a recording of calcium may have, Hz
PLAUSIBLE = (0.5, 500.0)
#: how far (factor) the rate may lie from the nominal one, where the unit is sure and where it isn't
WIDE, CLOSE = 10.0, 1.6
#: rows too many, or frames without one, that are mended and said: so many, or this share
FEW, FEW_SHARE = 5, 0.005
#: by what factor the rates of two cameras may differ that run alike
ALIKE = 1.02


def read_stamps(path: Path, n_frames: int, nominal: float | None = None) -> Clock:
    """Read the time of each frame.

    Parameters
    ----------
    path : Path
        The file.
    n_frames : int
        Of the recording.
    nominal : float, optional
        Its frame rate, Hz, as far as it is known otherwise: it helps to tell units.

    Raises
    ------
    InputError
        If the file holds no times for these frames.
    """
    table = read_table(path)
    rows = _one_camera(path, table, n_frames)
    number, time, notes = _columns(path, table, rows)
    stamps = rows[:, time]
    numbers = None if number is None else rows[:, number]
    if numbers is not None and "reconstructed_frame_index" in table.names:
        numbers, stamps = _last_of_each(numbers, stamps)
    name = table.names[time] if table.names else ""
    scale, unit_note = _scale(path, stamps, name, nominal)
    places, place_note = _places(path, numbers, stamps, n_frames)
    times = np.full(n_frames, np.nan)
    kept = places >= 0
    times[places[kept]] = stamps[kept] * scale
    if np.isfinite(times).sum() < max(2, n_frames / 2) and n_frames > 1:
        raise InputError(f"{path}: times for {int(np.isfinite(times).sum())} of {n_frames} frames")
    result = clock(times)
    said = (*notes, unit_note, place_note, *result.notes)
    return Clock(result.times, tuple(note for note in said if note), result.after_gap, result.start)


def stored_times(stamps: np.ndarray, name: str, seconds: float | None, nominal: float | None) -> Clock | None:
    """The times of an array with one for each frame.

    Parameters
    ----------
    stamps : ndarray
        Any unit, (T,).
    name : str
        Of the array.
    seconds : float, optional
        Its unit, where that is known.
    nominal : float, optional
        The frame rate, Hz, as far as it is known otherwise.

    Returns
    -------
    Clock or None
        None where the values are no times, but fall, or count the frames.

    Raises
    ------
    InputError
        If they are in no unit that gives a frame rate.
    """
    named = any(re.search(pattern, name.lower()) for pattern, _ in _UNIT_NAMES)
    if not _rises(stamps) or (seconds is None and not named and _counts(stamps)):
        return None
    note = ""
    if seconds is None:
        seconds, note = _scale(name, stamps, name.lower(), nominal)
    result = clock(stamps * seconds)
    return replace(result, notes=(*(note,) * bool(note), *result.notes))


def read_rows(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The rows of any table of times: seconds (N,), the other columns (N, C), and their names.

    Rows without a time are left out. The unit is that of the header, or the one in which the times of a
    camera have a rate.

    Raises
    ------
    InputError
        If no column rises, the rows are of several cameras, or the unit isn't known.
    """
    table = read_table(path)
    if "camnum" in table.names:
        raise InputError(f"{path}: rows of several cameras; keep those of one")
    _, time, _ = _columns(path, table, table.values)
    rows = table.values[np.isfinite(table.values[:, time])]
    name = table.names[time] if table.names else ""
    said = next((scale for pattern, scale in _UNIT_NAMES if re.search(pattern, name)), None)
    scale = said if said is not None else _scale(path, rows[:, time], name, None)[0]
    others = [index for index in range(rows.shape[1]) if index != time]
    return (
        rows[:, time] * scale,
        rows[:, others],
        tuple(table.names[index] for index in others if table.names),
    )


def count_stamps(path: Path) -> list[int]:
    """How many frames a file has times for, as far as its rows tell; of each of several cameras."""
    table = read_table(path)
    if "reconstructed_frame_index" in table.names:
        return [len(np.unique(table.values[:, table.names.index("reconstructed_frame_index")]))]
    return [len(rows) for rows in _cameras(table).values()]


def measured_rate(path: Path, nominal: float | None = None) -> float | None:
    """The frame rate, Hz, of a file of time stamps of any recording.

    Raises
    ------
    InputError
        If the file holds no times.
    """
    table = read_table(path)
    rates = [_rate(path, table, rows, nominal) for rows in _cameras(table).values()]
    known = [rate for rate in rates if rate]
    # which camera's it is isn't known without the number of frames
    return known[0] if len(known) == len(rates) and max(known) < ALIKE * min(known) else None


def _rate(path: Path, table: Table, rows: np.ndarray, nominal: float | None) -> float | None:
    number, time, _ = _columns(path, table, rows)
    stamps = rows[:, time]
    if number is not None and "reconstructed_frame_index" in table.names:
        _, stamps = _last_of_each(rows[:, number], stamps)
    rate = rate_of(stamps)
    return rate and rate / _scale(path, stamps, table.names[time] if table.names else "", nominal)[0]


def _cameras(table: Table) -> dict[int, np.ndarray]:
    """Rows by the camera that they are of; all rows as one's where none is named."""
    names = [re.sub(r"\W|_", "", name) for name in table.names]
    cameras = table.values[:, names.index("camnum")] if "camnum" in names else np.array([])
    numbers = np.unique(cameras[np.isfinite(cameras)])
    return {int(number): table.values[cameras == number] for number in numbers} or {0: table.values}


def _one_camera(path: Path, table: Table, n_frames: int) -> np.ndarray:
    """Of all cameras' rows the scope's, told by their number: which camera is which isn't written down."""
    cameras = _cameras(table)
    counts = {camera: len(rows) for camera, rows in cameras.items()}
    fitting = [camera for camera, count in counts.items() if count == n_frames]
    if len(counts) > 1 and len(fitting) != 1:
        near = [camera for camera, count in counts.items() if abs(count - n_frames) <= FEW]
        if len(near) != 1 or fitting:
            found = ", ".join(f"camera {camera} has {count}" for camera, count in sorted(counts.items()))
            raise InputError(f"{path}: whose times are the scope's {n_frames} frames? {found}")
        fitting = near
    return cameras[fitting[0] if fitting else next(iter(cameras))]


def _steps(values: np.ndarray) -> np.ndarray:
    return np.diff(values[np.isfinite(values)])


def _counts(values: np.ndarray) -> bool:
    """Whether a column counts frames: whole numbers, nearly all one more than the one before."""
    steps = _steps(values)
    return bool(len(steps)) and bool((np.abs(steps - 1) < 1e-9).mean() > 0.8)


def _rises(values: np.ndarray) -> bool:
    """Whether a column may be a clock."""
    steps = _steps(values)
    return bool(len(steps)) and bool((steps > 0).mean() > 0.8)


def _columns(path: Path, table: Table, rows: np.ndarray) -> tuple[int | None, int, list[str]]:
    """Which column numbers the frames (None without one), and which is the time."""
    names = table.names
    notes: list[str] = []
    if "reconstructed_frame_index" in names:  # mio: a row for each buffer
        for name in ("buffer_recv_unix_time", "timestamp"):
            if name in names:
                return names.index("reconstructed_frame_index"), names.index(name), notes
    numbering = [index for index in range(rows.shape[1]) if _counts(rows[:, index])]
    clocks = [index for index in range(rows.shape[1]) if _rises(rows[:, index]) and index not in numbering]
    named_time = [index for index, name in enumerate(names) if _TIME.search(name) and name != "camnum"]
    named_number = [
        index for index, name in enumerate(names) if _NUMBER.search(name) and index not in named_time
    ]
    if len(rows) < 3:  # too few to tell by their numbers
        numbering, clocks = named_number or [0], named_time
    times = [index for index in named_time if index in clocks] or clocks
    if not times:
        wanted = ", ".join(name for name in names if name) or f"{rows.shape[1]} columns"
        raise InputError(f"{path}: no column of rising times (there are: {wanted})")
    number = next((index for index in numbering if index in named_number), None)
    number = numbering[0] if number is None and numbering else number
    if named_time and times[0] not in named_time:
        notes.append(f"the column {names[times[0]]!r} holds the times, {names[named_time[0]]!r} doesn't")
    return number, times[0], notes


def _last_of_each(numbers: np.ndarray, stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One row for each frame of several: the last, when the frame was complete."""
    good = np.isfinite(numbers) & np.isfinite(stamps) & (numbers >= 0)
    frames, where = np.unique(numbers[good], return_inverse=True)
    latest = np.full(len(frames), -np.inf)
    np.maximum.at(latest, where, stamps[good])
    return frames, latest


def _scale(source: Path | str, stamps: np.ndarray, name: str, nominal: float | None) -> tuple[float, str]:
    """Seconds per unit of the stamps: as the header says, where that is a rate that a recording may have."""
    rate = rate_of(stamps)
    said = next((scale for pattern, scale in _UNIT_NAMES if re.search(pattern, name)), None)
    if rate is None:
        return said or 1e-3, ""

    def fits(scale: float) -> bool:
        per_second = rate / scale
        if nominal:  # counts of some oscillator come near a rate by chance only
            off = CLOSE if said is None and scale < UNITS[0] else WIDE
            return 1 / off < per_second / nominal < off
        return PLAUSIBLE[0] <= per_second <= PLAUSIBLE[1]

    if said is not None and (fits(said) or not any(fits(scale) for scale in UNITS)):
        return said, ""
    scale = next((scale for scale in UNITS if fits(scale)), said)
    if scale is None:
        raise InputError(f"{source}: its times are in no unit that gives a frame rate")
    return scale, f"its times are in units of {scale:g} s, not as its header says" if said else ""


def _places(
    path: Path, numbers: np.ndarray | None, stamps: np.ndarray, n_frames: int
) -> tuple[np.ndarray, str]:
    """For each row the frame it belongs to, -1 for none, and what there is to say."""
    count = len(stamps)
    if numbers is None or not np.isfinite(numbers).any():
        return _by_order(path, np.ones(count, bool), n_frames)
    whole = np.where(np.isfinite(numbers), numbers, -1).astype(np.int64)
    before = whole < 0  # a row before the first frame
    kept = whole[~before]
    if len(kept) == n_frames:  # numbers that jump count frames that never came to the video, either
        return np.where(before, -1, np.cumsum(~before) - 1), ""
    again = np.flatnonzero(np.diff(kept) < 0)
    if len(again):  # the numbers begin anew
        since = np.flatnonzero(~before)[again[-1] + 1]
        if count - since == n_frames:
            note = f"{since} rows of an earlier recording are left out"
            return np.where(np.arange(count) >= since, np.arange(count) - since, -1), note
        return _by_order(path, ~(numbers < 0), n_frames)
    first, last = int(kept.min()), int(kept.max())
    span = last - first + 1
    if span == n_frames:
        base = first
    elif last in (n_frames - 1, n_frames):
        base = last - (n_frames - 1)
    elif span > n_frames and abs(len(kept) - n_frames) < span - n_frames:
        return _by_order(path, ~(numbers < 0), n_frames)
    else:
        base = first if first in (0, 1) else 0
    places = np.where(before, -1, whole - base)
    excess = int((places >= n_frames).sum())
    _few(path, excess, int((~before).sum()), n_frames)
    places[places >= n_frames] = -1
    return places, _too_many(excess)


def _by_order(path: Path, rows: np.ndarray, n_frames: int) -> tuple[np.ndarray, str]:
    """Of a mask of rows, whatever their numbers, the frames in order."""
    count = int(rows.sum())
    _few(path, abs(count - n_frames), count, n_frames)
    places = np.where(rows, np.cumsum(rows) - 1, -1)
    places[places >= n_frames] = -1
    return places, _too_many(count - n_frames)


def _few(path: Path, wrong: int, count: int, n_frames: int) -> None:
    if wrong > max(FEW, FEW_SHARE * n_frames):
        raise InputError(f"{path}: {count} time stamps for {n_frames} frames")


def _too_many(excess: int) -> str:
    return f"the last {excess} time stamps have no frame" if excess > 0 else ""
