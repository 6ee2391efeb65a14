"""Time stamps of a behaviour camera, or of a TTL table: read from tables, and kept in our files.

Times are brought into the recording's clock: recorders stamp the scope and its cameras with one clock, and
Unix times are counted from the recording's start. Knows tables of time stamps and the group ``/behavior``;
nothing of poses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from calcium_lightning.core.behavior import Behavior, distinct
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.unix_time import UNIX
from calcium_lightning.io import hdf5
from calcium_lightning.io.readers.clock import unix_of
from calcium_lightning.io.readers.miniscope import STAMPS
from calcium_lightning.io.readers.stamps import read_rows

#: where our files keep it
GROUP = "behavior"


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
        return unix_of(began)
    except ValueError as error:
        raise InputError(
            f"{path}: Unix times, and when the recording began isn't known; nwb.session_start_time= says it"
        ) from error


def write_group(file: h5py.File, found: Iterable[Behavior]) -> None:
    """Keep behaviour in a session or cells file: a group of ``times`` and ``values`` for each."""
    for one in distinct(found):
        group = file.create_group(f"{GROUP}/{one.name}")
        group["times"] = np.asarray(one.times, np.float64)
        group["values"] = np.asarray(one.values, np.float64)
        group.attrs.create("columns", list(one.columns), dtype=h5py.string_dtype())


def read_group(file: h5py.File) -> tuple[Behavior, ...]:
    """What :func:`write_group` wrote; nothing where there is none.

    Raises
    ------
    InputError
        If what is there isn't that.
    """
    found = []
    for name in file.get(GROUP, ()):
        times = hdf5.read(file, f"{GROUP}/{name}/times", (None,), np.float64, True)
        values = hdf5.read(file, f"{GROUP}/{name}/values", (len(times), None), np.float64)
        columns = file[f"{GROUP}/{name}"].attrs.get("columns", ())
        found.append(Behavior(name, times, values, tuple(hdf5.text(column) for column in columns)))
    return tuple(found)
