"""NumPy's ``.npy`` and ``.npz``: arrays (time, y, x), or with their axes told."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.io.npy import read_header
from calcium_lightning.io.readers.array import ArrayRecording, guess_axes
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.beside import Times, names_times, take_times
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.readers.hdf5 import RATE_NAMES, _positive

OBJECTS = (
    "Python objects, which may hold code and are never loaded; save the frames as one array of numbers, such "
    "as numpy.stack makes"
)


def open_numpy(path: Path, options: Options) -> Recording:
    """Open an array of a file.

    Raises
    ------
    InputError
        If it can't be read, or which of several arrays isn't said.
    """
    recording = NumpyRecording()
    try:
        if path.suffix.lower() == ".npz":
            array, name, beside = _of_archive(path, options.key)
            promised = len(array)
        else:
            if options.key:
                raise InputError(f"{path}: key= means nothing to a file of one array; leave out")
            array, promised = _mapped(path)
            name, beside = "", {}
    except (OSError, ValueError, EOFError, BadZipFile, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: not a NumPy file that can be read, or one that was cut off ({reason}); copy it again"
        ) from error
    axes = options.axes or guess_axes(array.shape, array.dtype)
    if axes == "tyx" and not options.axes:
        axes = recording.by_look(array, axes)
    if axes is None or len(axes) != array.ndim:
        raise InputError(
            f"{path}: {f'{name} ' if name else ''}has shape {array.shape}, expected three dimensions (time, "
            "y, x), or axes= for more, such as axes=tcyx"
        )
    recording.use(path, array, axes, options, name)
    if axes[0] == "t":
        recording.short(promised, recording.n_frames)
    recording.fps = next((_positive(beside[rate]) for rate in RATE_NAMES if rate in beside), None)
    take_times(
        recording, [Times(other, array.size, partial(np.asarray, array)) for other, array in beside.items()]
    )
    return recording


class NumpyRecording(ArrayRecording):
    """An array that is mapped (``.npy``) or held (``.npz``) in memory."""


def _mapped(path: Path) -> tuple[np.ndarray, int]:
    """An array in its file, and how long its header says it is: of one that was cut off what is there."""
    with path.open("rb") as stream:
        shape, fortran, dtype, start = read_header(stream)
    if dtype.hasobject:
        raise InputError(f"{path}: {OBJECTS}")
    each = math.prod(shape[1:]) * dtype.itemsize
    there = (path.stat().st_size - start) // each if shape and each else 0
    if fortran or not shape or there >= shape[0]:
        return np.load(path, mmap_mode="r", allow_pickle=False), shape[0] if shape else 0
    if not there:
        raise ValueError("nothing behind its header")
    return np.memmap(path, dtype, "r", start, (there, *shape[1:])), shape[0]


def _is_plain(archive: ZipFile, name: str) -> bool:
    """Whether a member is no objects; one that promises more than its archive holds is refused unread."""
    if name not in archive.namelist():
        return True
    with archive.open(name) as stream:
        start = stream.read(8)
        if not start.startswith(b"\x93NUMPY"):
            return True
        stream.seek(0)
        shape, _, dtype, _ = read_header(stream)
    if dtype.hasobject:
        return False
    if math.prod(shape) * dtype.itemsize > archive.getinfo(name).file_size:
        raise ValueError(f"{name} promises {shape} values of {dtype}, and they aren't there")
    return True


def _of_archive(path: Path, key: str | None) -> tuple[Any, str, dict[str, np.ndarray]]:
    """An array, its name, and the small ones beside it that say its rate or times."""
    with np.load(path, allow_pickle=False) as archive:
        names = archive.files
        arrays = {}
        for name in names:
            if key in (None, name) or name in RATE_NAMES or names_times(name):
                if not _is_plain(archive.zip, f"{name}.npy"):
                    if name == key:
                        raise InputError(f"{path}: {name}: {OBJECTS}")
                    continue
                if isinstance(array := archive[name], np.ndarray):  # others are no arrays at all
                    arrays[name] = array
    if key is not None and key not in arrays:
        raise InputError(f"{path}: no array {key}{nearest(key, names)}; there are: {', '.join(names)}")
    stacks = [name for name, array in arrays.items() if array.ndim >= 3] if key is None else [key]
    if len(stacks) != 1:
        found = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:8])
        which = "several arrays; choose with key=" if stacks else "no array of three dimensions"
        raise InputError(f"{path}: {which}; there are: {found or 'none'}")
    beside = {name: array for name, array in arrays.items() if name in RATE_NAMES or names_times(name)}
    return arrays[stacks[0]], stacks[0], beside
