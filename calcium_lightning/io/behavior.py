"""When an animal was filmed or did something: time stamps of a behaviour camera, or of a TTL table.

Times are brought into the recording's clock: recorders stamp the scope and its cameras with one clock, and
Unix times are counted from the recording's start. Knows tables of time stamps; nothing of poses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.miniscope import STAMPS
from calcium_lightning.io.readers.stamps import read_rows

#: seconds beyond this are counted from 1970
UNIX = 1e8


@dataclass(frozen=True)
class Behavior:
    """Times, and what was noted at them.

    Attributes
    ----------
    name : str
        Of the camera or the table.
    times : ndarray, float64 (N,)
        Seconds in the recording's clock, rising.
    values : ndarray, float64 (N, C)
        The table's other columns.
    columns : tuple of str
        Their names; empty where the table has no header.
    """

    name: str
    times: np.ndarray
    values: np.ndarray
    columns: tuple[str, ...]


def read_behavior(path: Path, began: str = "") -> Behavior:
    """Read a table of times, or the one in a camera's folder.

    Parameters
    ----------
    path : Path
        A table with a column of rising times, or a folder of Miniscope-DAQ's camera.
    began : str
        When the recording began, ISO 8601: Unix times are counted from it.

    Raises
    ------
    InputError
        If there are no times, or Unix times and no start.
    """
    file = path
    if path.is_dir():
        inside = [path / name for name in STAMPS if (path / name).is_file()]
        if not inside:
            raise InputError(f"{path}: no time stamps in this folder ({', '.join(STAMPS)})")
        file = inside[0]
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    times, values, columns = read_rows(file)
    if times[0] > UNIX:
        times = times - _start(file, began)
    named = file.parent.name if file.name in STAMPS else file.stem
    return Behavior(re.sub(r"\W+", "_", named).strip("_") or "behavior", times, values, columns)


def _start(path: Path, began: str) -> float:
    """Unix time of the recording's second 0."""
    try:
        moment = datetime.fromisoformat(began)
    except ValueError as error:
        raise InputError(
            f"{path}: Unix times, and when the recording began isn't known; nwb.session_start_time= says it"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
