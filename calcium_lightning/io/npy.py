"""One array of a ``.npy`` file, read whole once its header was seen to promise no more than is there.

Knows NumPy's format; not what the numbers mean.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.reading import check_regular, reading

#: how such a file begins
MAGIC = b"\x93NUMPY"


def read_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order and type that a header of either version tells, and where the numbers begin.

    Raises
    ------
    ValueError
        If it is none.
    """
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if min(shape, default=0) < 0:
        raise ValueError(f"a shape of {shape}")
    return shape, fortran, dtype, stream.tell()


def dimensions(path: Path) -> int | None:
    """How many dimensions the array of a file has, by what its header says; None where it is none."""
    try:
        with path.open("rb") as stream:
            return len(read_header(stream)[0])
    except (OSError, ValueError):
        return None


def read_array(path: Path, name: str = "") -> np.ndarray:
    """Read the array of a file; Python's objects are none.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        What messages call it; default: the path.

    Raises
    ------
    InputError
        If it can't be read, holds several arrays, or promises more than it holds.
    """
    check_regular(path)
    with reading(name or path, parsing=True):
        with path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise ValueError("not a NumPy array")
            stream.seek(0)
            shape, _, dtype, start = read_header(stream)
        size, there = math.prod(shape) * dtype.itemsize, path.stat().st_size - start
        if size > there:
            raise ValueError(f"its header promises {size} bytes, {there} are there")
        array: np.ndarray = np.load(path, allow_pickle=False)
    return array
