"""MATLAB ``.mat`` files: arrays (y, x, time) of version 5 (SciPy) and 7.3 (HDF5: sees the axes reversed)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.io.readers.array import ArrayRecording
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.readers.hdf5 import RATE_NAMES, Hdf5Recording, _positive


def open_matlab(path: Path, options: Options) -> Recording:
    """Open a three-dimensional array of a ``.mat`` file.

    ``axes`` is the order as MATLAB shows it (``size(Y)``), by default ``yxt``.
    """
    import h5py

    options = replace(options, axes=options.axes or "yxt")
    if h5py.is_hdf5(path):
        return Hdf5Recording(path, options, reverse=True)
    return MatlabRecording(path, options)


class MatlabRecording(ArrayRecording):
    """An array of a version 4 to 7 file, held in memory: the format ends at 2 GB, compressed as a whole.

    Parameters
    ----------
    path : Path
        The file.
    options : Options
        ``key``: the variable, default the only one of three dimensions; ``axes``: the order of its axes.

    Raises
    ------
    InputError
        If the file can't be read, or has no such variable.
    """

    def __init__(self, path: Path, options: Options) -> None:
        key, axes = options.key, options.axes or "yxt"
        sizes = variables(path)
        stacks = [name for name, shape in sizes.items() if len(shape) == 3]
        if key is None:
            if len(stacks) != 1:
                found = ", ".join(f"{name} {shape}" for name, shape in list(sizes.items())[:8])
                which = (
                    "several arrays of three dimensions; choose with key="
                    if stacks
                    else "no array of three dimensions"
                )
                raise InputError(f"{path}: {which}; there are: {found or 'none'}")
            key = stacks[0]
        elif key not in sizes:
            raise InputError(
                f"{path}: no variable {key}{nearest(key, sizes)}; of three dimensions: "
                f"{', '.join(stacks) or 'none'}"
            )
        self.key = key
        array = load_variable(path, key)
        if array.ndim != len(axes):
            raise InputError(f"{path}: {key} has shape {array.shape}, expected three dimensions ({axes})")
        self.use(path, array, axes, options, key)
        rates = [name for name in RATE_NAMES if sizes.get(name) == (1, 1)]
        self.fps = _positive(load_variable(path, rates[0])) if rates else None


def variables(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the variables of a ``.mat`` file before version 7.3."""
    from scipy import io

    try:
        return {name: tuple(shape) for name, shape, _ in io.whosmat(path)}
    except Exception as error:  # SciPy raises what its struct and zlib calls raise
        raise _damaged(path, error) from error


def load_variable(path: Path, name: str) -> Any:
    """Read one variable of a ``.mat`` file before version 7.3."""
    from scipy import io

    try:
        return io.loadmat(path, variable_names=[name])[name]
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: not a MATLAB file that can be read, or one that was cut off "
        f"({' '.join(str(error).split())})"
    )
