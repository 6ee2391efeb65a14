"""MATLAB ``.mat`` files: arrays (y, x, time) of version 5 (SciPy) and 7.3 (HDF5: sees the axes reversed)."""

from __future__ import annotations

import math
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.io.readers.array import ArrayRecording
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.beside import Times, names_times, take_times
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.readers.hdf5 import RATE_NAMES, Hdf5Recording, _positive, datasets
from calcium_lightning.io.sparse import checked
from calcium_lightning.io.stored import whole

#: the order of axes, as MATLAB counts them
USUAL = "yxt"
#: sizes (y, x, time) that stand beside frames whose pixels are one column (CNMF, NoRMCorre)
SIZE_NAMES = ("Ysiz", "sizY", "siz")


def open_matlab(path: Path, options: Options) -> Recording:
    """Open a three-dimensional array of a ``.mat`` file, or a field of a structure.

    ``axes`` is the order as MATLAB shows it (``size(Y)``), by default ``yxt`` unless the frames look like
    ``tyx``. An array (pixels, time) with its three sizes beside it in ``Ysiz`` is unfolded.
    """
    if h5py.is_hdf5(path):
        return Matlab73Recording(path, options, reverse=True)
    return MatlabRecording(path, options)


class MatlabRecording(ArrayRecording):
    """An array of a version 4 to 7 file, held in memory: the format ends at 2 GB, compressed as a whole.

    Parameters
    ----------
    path : Path
        The file.
    options : Options
        ``key``: the variable, or ``variable.field``, default the only one of three dimensions; ``axes``: the
        order of its axes.

    Raises
    ------
    InputError
        If the file can't be read, or has no such variable.
    """

    def __init__(self, path: Path, options: Options) -> None:
        key, axes = options.key, options.axes or USUAL
        sizes = variables(path)
        stacks = [name for name, shape in sizes.items() if len(shape) == 3]
        flat = {} if stacks else self._flat(path, sizes)
        stacks = stacks or list(flat)
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
        if key in flat and array.ndim == 2:
            array = array.reshape(flat[key], order="F")
        if array.ndim != len(axes):
            raise InputError(f"{path}: {key} has shape {array.shape}, expected three dimensions ({axes})")
        if not options.axes and key not in flat:
            axes = self.by_look(array, axes)
        self.use(path, array, axes, options, key)
        beside = key.rpartition(".")[0]
        rates = [
            name for rate in RATE_NAMES for name in (f"{beside}.{rate}", rate) if sizes.get(name) == (1, 1)
        ]
        self.fps = _positive(load_variable(path, rates[0])) if rates else None
        take_times(
            self,
            [
                Times(name, math.prod(shape), partial(load_variable, path, name))
                for name, shape in sizes.items()
                if name.rpartition(".")[0] in (beside, "") and names_times(name.rpartition(".")[2])
            ],
        )

    @staticmethod
    def _flat(path: Path, sizes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, int, int]]:
        """Arrays (pixels, time) that have their sizes beside them: name -> (y, x, time)."""
        found = {}
        for name, shape in sizes.items():
            beside = name.rpartition(".")[0]
            for size in (f"{beside}.{word}".lstrip(".") for word in SIZE_NAMES):
                if size in sizes and sizes[size] in ((1, 3), (3, 1)):
                    wanted = _sizes(load_variable(path, size), shape)
                    if wanted is not None:
                        found[name] = wanted
        return found


class Matlab73Recording(Hdf5Recording):
    """An array of a version 7.3 file, which is HDF5 with the axes reversed."""

    def _stacks(self) -> list[str]:
        return super()._stacks() or list(self._flat())

    def _flat(self) -> dict[str, tuple[int, int, int]]:
        """Arrays (pixels, time), here (time, pixels), that have their sizes beside them."""
        found = {}
        for name, node in datasets(self._file):
            for word in SIZE_NAMES:
                size = node.parent.get(word)
                if node.ndim == 2 and isinstance(size, h5py.Dataset) and size.size == 3:
                    wanted = _sizes(whole(size), node.shape[::-1])
                    if wanted is not None:
                        found[name] = wanted
        return found

    def _guess(self, dataset: h5py.Dataset) -> str | None:
        usual = USUAL[::-1]
        return usual if dataset.ndim != len(usual) else self.by_look(dataset, usual, reverse=True)

    def _use(self, dataset: h5py.Dataset, axes: str | None, options: Options) -> None:
        unfolded = axes in (None, USUAL[::-1]) and dataset.ndim == 2
        if not unfolded or self.key not in (flat := self._flat()):
            super()._use(dataset, axes, options)
            return
        self._dataset = dataset
        self.use(self.path, _Unfolded(dataset, flat[self.key]), USUAL[::-1], options, self.key)
        self.fps = self._number(RATE_NAMES)
        self._check_written()


class _Unfolded:
    """A dataset (time, pixels) as (time, x, y); MATLAB counts pixels down the columns."""

    def __init__(self, dataset: h5py.Dataset, sizes: tuple[int, int, int]) -> None:
        height, width, count = sizes
        self._dataset, self.shape, self.dtype = dataset, (count, width, height), dataset.dtype
        self.chunks = (int(dataset.chunks[0]), width, height) if dataset.chunks else None

    def __getitem__(self, where: tuple[Any, ...]) -> np.ndarray:
        return np.asarray(self._dataset[where[0]]).reshape(-1, *self.shape[1:])[(slice(None), *where[1:])]


def _sizes(value: Any, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Sizes (y, x, time) as a file gives them, where an array (pixels, time) fits them."""
    numbers = np.asarray(value).ravel()
    if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        return None
    height, width, count = (int(number) for number in numbers)
    return (height, width, count) if tuple(shape) == (height * width, count) else None


def variables(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the variables of a ``.mat`` file before version 7.3; ``a.b`` is a field."""
    from scipy import io

    try:
        listed = io.whosmat(path)
    except TypeError:  # SciPy can't list an object (a string, a table, a date), and reads around it
        listed = _loaded(path)
    except Exception as error:  # SciPy raises what its struct and zlib calls raise
        raise _damaged(path, error) from error
    sizes = {}
    for name, shape, kind in listed:
        if kind == "struct" and tuple(shape) == (1, 1):
            record = load_variable(path, name)[0, 0]
            for field in record.dtype.names or ():
                sizes[f"{name}.{field}"] = np.shape(record[field])
        else:
            sizes[name] = tuple(shape)
    return sizes


def _loaded(path: Path) -> list[tuple[str, tuple[int, ...], str]]:
    """Names, shapes and kinds of all variables, read to tell them."""
    from scipy import io
    from scipy.io.matlab import MatlabFunction, MatlabObject, MatlabOpaque

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls every object "None", and says so
            content = io.loadmat(path)
    except Exception as error:
        raise _damaged(path, error) from error
    found = []
    for name, value in content.items():
        if not name.startswith("__"):
            opaque = isinstance(value, MatlabFunction | MatlabObject | MatlabOpaque)
            struct = not opaque and getattr(value, "dtype", np.dtype(float)).names
            found.append((name, np.shape(value), "struct" if struct else "array"))
    return found


def load_variable(path: Path, name: str) -> Any:
    """Read one variable of a ``.mat`` file before version 7.3, or ``a.b``, a field of a structure."""
    from scipy import io
    from scipy.sparse import issparse

    variable, _, field = name.partition(".")
    try:
        value = io.loadmat(path, variable_names=[variable])[variable]
        value = value[0, 0][field] if field else value
        return checked(value, f"{path}: {name}") if issparse(value) else value
    except InputError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: not a MATLAB file that can be read, or one that was cut off "
        f"({' '.join(str(error).split())}); copy it again"
    )
