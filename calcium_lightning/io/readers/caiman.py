"""CaImAn's memory-mapped movies, and the results that name one.

A memory map's name says all about it: ``Yr_d1_123_d2_108_d3_1_order_C_frames_63.mmap`` holds float32 pixels
in Fortran order (y fastest), time running fastest (order C) or slowest (order F).
"""

from __future__ import annotations

import math
import re
from pathlib import Path, PureWindowsPath

import h5py
import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.hdf5 import number
from calcium_lightning.io.readers.array import ArrayRecording
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.formats import Options, choose
from calcium_lightning.io.stored import open_stored, whole

_NAME = re.compile(r"d1_(\d+)_d2_(\d+)(?:_d3_(\d+))?_order_([CF])_frames_(\d+)")


def open_mmap(path: Path, options: Options) -> Recording:
    """Open a memory map.

    Raises
    ------
    InputError
        If its name doesn't say its shape, or it isn't whole.
    """
    match = _NAME.search(path.name)
    if match is None:
        raise InputError(
            f"{path}: a memory map's name says its shape (…_d1_123_d2_108_d3_1_order_C_frames_63.mmap)"
        )
    height, width, depth, frames = (int(match[index] or 1) for index in (1, 2, 3, 5))
    need = 4 * height * width * depth * frames
    found = path.stat().st_size
    by_time = match[4] == "C"
    whole = found // (4 * height * width * depth)
    if found != need and (by_time or found > need):
        raise InputError(f"{path}: {found} bytes, its name says {need}; copy it again")
    count = min(frames, whole)
    if not count:
        raise InputError(f"{path}: cut off, no frame is whole; copy it again")
    shape = (depth, width, height, frames) if by_time else (count, depth, width, height)
    array = np.memmap(path, np.float32, "r", shape=shape)
    recording = MmapRecording()
    recording.use(path, array, "zxyt" if by_time else "tzxy", options)
    recording.short(frames, count)
    recording.motion_corrected = True if re.search(r"_(els|rig|mc)_", path.name) else None
    return recording


class MmapRecording(ArrayRecording):
    """A memory map."""


def open_results(path: Path, options: Options) -> Recording:
    """Open the movie that CaImAn's results (``estimates``) were found in.

    Raises
    ------
    InputError
        If it isn't named, or isn't there.
    """
    with open_stored(path) as file:
        node = file.get("mmap_file", file.get("params/data/fnames"))
        value = whole(node) if isinstance(node, h5py.Dataset) else b""
        rate = file.get("params/data/fr")
        fps = number(whole(rate)) if isinstance(rate, h5py.Dataset) else math.nan
    value = value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size else value
    name = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    if not name or name == "NoneType":
        raise InputError(f"{path}: CaImAn's results, which name no movie; give the movie itself as input=")
    given = Path(name)
    beside = path.parent / PureWindowsPath(name).name  # its last part, whatever the system it was written on
    movie = next((file for file in (given, beside) if file.is_file()), None)
    if movie is None:
        raise InputError(
            f"{path}: CaImAn's results, not a recording; their movie {beside.name} isn't beside them"
        )
    recording = choose(movie, Options(plane=options.plane) if options.plane is not None else Options())
    recording.fps = recording.fps or (fps if 0 < fps < math.inf else None)
    recording.note(f"the movie of {path.name}: {movie.name}")
    return recording
