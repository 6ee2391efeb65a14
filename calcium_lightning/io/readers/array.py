"""Recordings that are an array with named axes: NumPy, HDF5, zarr, MATLAB and memory maps share this.

Knows what can be sliced and its axes; nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.readers.grey import to_grey
from calcium_lightning.io.readers.packed import Packed
from calcium_lightning.io.time_axis import LEAST, middle, time_axis

#: at most so many bytes of one storage chunk's depth are read at once
DEEP_CHUNK_BYTES = 256 << 20
#: the option that chooses along an axis
CHOOSES = {"c": "channel", "z": "plane"}


def guess_axes(shape: Sequence[int], dtype: np.dtype) -> str | None:
    """The axes of an array that doesn't name them; None where that would be a guess.

    Three dimensions are time, y, x. With four, one of length 1 that isn't the third is nothing, and a last
    one of 3 or 4 bytes is colour.

    Examples
    --------
    >>> guess_axes((100, 24, 38), np.dtype("uint16"))
    'tyx'
    >>> guess_axes((100, 1, 24, 38), np.dtype("uint16"))
    'tcyx'
    >>> guess_axes((100, 24, 38, 3), np.dtype("uint8"))
    'tyxs'
    """
    if len(shape) == 3:
        return "tyx"
    if len(shape) == 4:
        if shape[1] == 1:
            return "tcyx"
        if shape[3] == 1 or (shape[3] in (3, 4) and dtype == np.uint8):
            return "tyxs"
        if shape[0] == 1:
            return "ctyx"
    if len(shape) == 5 and sum(size > 1 for size in shape) <= 3 and shape[-1] > 1 < shape[-2]:
        return "tczyx"
    return None


def axes_by_look(array: Any, usual: str, reverse: bool = False) -> tuple[str, str]:
    """Which end of three axes that nobody named is time.

    Parameters
    ----------
    array : array-like
        Three dimensions.
    usual : str
        Its axes, if its frames don't look otherwise: t, and y and x in their order.
    reverse : bool
        Whether a person counts the axes of this kind of file the other way round.

    Returns
    -------
    axes, said : str
        What is to be said is empty where nothing is unusual.
    """
    other = usual[1:] + usual[0] if usual[0] == "t" else usual[-1] + usual[:-1]
    try:
        seen = time_axis(np.asarray(array[middle(array.shape)]))
    except (OSError, RuntimeError, ValueError):
        return usual, ""  # what can't be read is told when it is read
    told, instead = (axes[::-1] if reverse else axes for axes in (usual, other))
    shape = tuple(int(size) for size in (array.shape[::-1] if reverse else array.shape))
    if seen == ("first" if other[0] == "t" else "last"):
        end = "first" if instead[0] == "t" else "last"
        return other, (
            f"time is the {end} axis of {shape} by the look of its frames: read as axes={instead} "
            f"(axes={told} for the other way)"
        )
    lengths = dict(zip(other, array.shape, strict=True))
    uncertain = seen is None and min(shape) >= LEAST
    if uncertain and lengths["t"] > max(lengths["y"], lengths["x"]):
        return usual, (
            f"read as axes={told}, as usual; if the longest axis of {shape} is time, axes={instead}"
        )
    return usual, ""


class ArrayRecording(Recording):
    """An array of frames; a reader gives it to :meth:`use`."""

    _array: Any

    def use(self, path: Path, array: Any, axes: str, options: Options | None = None, name: str = "") -> None:
        """Take an array.

        Parameters
        ----------
        path : Path
            Of its file, for messages.
        array : array-like
            Whatever has a shape, a dtype and slices: h5py, zarr, NumPy.
        axes : str
            Its axes: t, y, x, and c (channels), z (planes), s (colour samples).
        options : Options, optional
            Which channel and plane.
        name : str
            Of the array in its file, for messages.

        Raises
        ------
        InputError
            If it isn't of numbers, or which channel or plane isn't said.
        """
        options = options or Options()
        packed = Packed.of(array, getattr(array, "attrs", {}))
        if packed is not None:
            self.note(packed.in_words)
            array = packed
        self.path, self._array, self._label = path, array, f" {name}" if name else ""
        if array.dtype.kind not in "fiub":
            raise InputError(f"{path}:{self._label} is of type {array.dtype}, expected numbers")
        self._where: list[Any] = [slice(None)] * len(axes)
        for axis in "cz":
            size = array.shape[axes.index(axis)] if axis in axes else 1
            number = chosen(path, CHOOSES[axis], getattr(options, CHOOSES[axis]), size, axes.upper())
            if axis in axes:
                self._where[axes.index(axis)] = number
        kept = [axis for axis in axes if axis not in "cz"]
        self._order = tuple(kept.index(axis) for axis in ("t", "y", "x", *("s" * ("s" in kept))))
        self._colour = "s" in kept
        self._time = axes.index("t")
        self.shape = tuple(int(array.shape[axes.index(axis)]) for axis in "tyx")  # type: ignore[assignment]
        self.dtype = np.dtype(array.dtype).newbyteorder("=")

    def by_look(self, array: Any, usual: str, reverse: bool = False) -> str:
        """:func:`axes_by_look`, with what is to be said of it noted."""
        axes, said = axes_by_look(array, usual, reverse)
        if said:
            self.note(said)
        return axes

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop), aligned to the array's own chunks where those are deep in time."""
        chunks = getattr(self._array, "chunks", None)
        deep = int(chunks[self._time]) if chunks else 1
        step = size
        if deep > 1 and deep * self.shape[1] * self.shape[2] * self.dtype.itemsize <= DEEP_CHUNK_BYTES:
            step = max(1, size // deep) * deep
        begin = start
        while begin < stop:
            end = min((begin // step + 1) * step, stop)
            yield self.read(begin, end)
            begin = end

    def read(self, begin: int, end: int) -> np.ndarray:
        """Read frames [begin, end) as grey (n, H, W)."""
        where = [*self._where]
        where[self._time] = slice(begin, end)
        block = np.asarray(self._array[tuple(where)]).transpose(self._order)
        block = to_grey(block) if self._colour else block
        return np.ascontiguousarray(block.astype(self.dtype, copy=False))


def chosen(path: Path, option: str, number: int | None, size: int, axes: str = "") -> int:
    """Which of several channels or planes, of an array of some ``axes``.

    Raises
    ------
    InputError
        If it isn't said though there are several, or there are none such.
    """
    if number is None:
        if size > 1:
            raise InputError(
                f"{path}: holds {size} {option}s of the same frames{axes and f' (axes {axes})'}; choose one "
                "of "
                f"{option}=0 to {option}={size - 1}"
            )
        return 0
    if not 0 <= number < size:
        raise InputError(f"{path}: {option}={number}: there {'is' if size == 1 else 'are'} {size}, from 0")
    return number
