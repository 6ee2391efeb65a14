"""HDF5 files with a dataset for each frame: ``frame_0``, ``images/00012``, Fiji's ``t0/channel0``."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.hdf5 import open_any
from calcium_lightning.io.readers.array import chosen
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.readers.hdf5 import RATE_NAMES, Hdf5Recording, datasets

#: fewer pictures than this are no recording
LEAST = 8


def frames_apart(file: h5py.File) -> list[str]:
    """Names of the pictures of a file that holds no stack: all of one size, and enough to be a recording."""
    every = datasets(file)
    if any(node.ndim >= 3 and 1 not in node.shape for _, node in every):
        return []
    pictures = [(name, node) for name, node in every if _size(node) is not None]
    kinds = [(_size(node), node.dtype, _pattern(name)) for name, node in pictures]
    most, count = next(iter(Counter(kinds).most_common(1)), (None, 0))
    if count < LEAST:
        return []
    return [name for (name, _), kind in zip(pictures, kinds, strict=True) if kind == most]


class FramesApart(Hdf5Recording):
    """Pictures in the order of the number that their names differ in.

    Parameters
    ----------
    path : Path
        The file.
    options : Options
        ``channel``: where names differ in a second number, of fewer values.
    names : list of str
        As :func:`frames_apart` gives them.

    Raises
    ------
    InputError
        If names differ in more numbers, or some of a channel's frames are missing.
    """

    def __init__(self, path: Path, options: Options, names: list[str]) -> None:
        self.path = path
        self._file = open_any(path)
        try:
            self.key = _pattern(names[0])
            ordered = self._ordered(names, options)
            self._dataset = self._file[ordered[0]]
            self.use(path, _Frames(self._file, ordered), "tyx", None, self.key)
            self.fps = self._number(RATE_NAMES)
            self.pixel_size_um = self._number(("pixel_size_um",))
            self._take_times()
            self.note(
                f"{len(ordered):,} frames, each in a dataset of its own ({ordered[0]} to {ordered[-1]})"
            )
        except BaseException:
            self._file.close()
            raise

    def _ordered(self, names: list[str], options: Options) -> list[str]:
        numbers = np.array([[int(run) for run in re.findall(r"\d+", name)] for name in names])
        counts = [len(np.unique(column)) for column in numbers.T]
        varying = [place for place in np.argsort(counts, kind="stable")[::-1] if counts[place] > 1]
        if len(varying) > 2 or not varying or np.prod([counts[place] for place in varying]) != len(names):
            size = ", ".join(str(length) for length in self._file[names[0]].shape)
            raise InputError(
                f"{self.path}: {self.key} are single frames, and their numbers tell no order; write them "
                f"into one dataset of ({len(names)}, {size})"
            )
        kept = np.ones(len(names), bool)
        if len(varying) == 2:
            values = np.unique(numbers[:, varying[1]])
            which = chosen(self.path, "channel", options.channel, len(values), self.key)
            kept = numbers[:, varying[1]] == values[which]
        order = np.flatnonzero(kept)[np.argsort(numbers[kept, varying[0]], kind="stable")]
        return [names[index] for index in order]


class _Frames:
    """Datasets as one array (T, H, W)."""

    def __init__(self, file: h5py.File, names: list[str]) -> None:
        self._file, self._names = file, names
        size = _size(file[names[0]])
        assert size is not None
        self._size, self.shape, self.dtype = size, (len(names), *size), file[names[0]].dtype

    def __getitem__(self, where: Any) -> np.ndarray:
        time, rows, columns = where
        frames = [np.asarray(self._file[name][...]).reshape(self._size) for name in self._names[time]]
        return np.stack(frames)[:, rows, columns]


def _pattern(name: str) -> str:
    """What names that differ in their numbers have in common."""
    return re.sub(r"\d+", "#", name)


def _size(node: h5py.Dataset) -> tuple[int, int] | None:
    """Height and width of a picture, which may have kept an axis of length 1."""
    shape = node.shape[1:] if node.ndim == 3 and node.shape[0] == 1 else node.shape
    return (int(shape[0]), int(shape[1])) if len(shape) == 2 and min(shape) > 1 else None
