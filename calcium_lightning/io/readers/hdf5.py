"""Any three-dimensional dataset of an HDF5 file, our own session files, and MATLAB v7.3's arrays."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.hdf5 import load_plugins
from calcium_lightning.io.readers.base import Recording

#: names under which frame rates are found beside datasets in the wild (CaImAn's is "fr")
RATE_NAMES = ("fps", "frame_rate", "framerate", "frameRate", "fr", "Fs", "sampling_rate")
#: at most so many bytes of one storage chunk's depth are read at once
DEEP_CHUNK_BYTES = 256 << 20


def open_hdf5(path: Path, key: str | None, axes: str | None) -> Recording:
    """Open one of our sessions, an NWB file, or any HDF5 dataset."""
    with open_file(path) as file:
        identity = file.attrs.get("format")
        is_nwb = "nwb_version" in file.attrs or path.suffix.lower() == ".nwb"
    if identity == "calcium-lightning-session" and key in (None, "frames", "/frames"):
        from calcium_lightning.io.readers.session import SessionRecording

        return SessionRecording(path)
    if identity == "calcium-lightning-cells" and key is None:
        raise InputError(f"{path}: a cells file, not a recording")
    if is_nwb:
        from calcium_lightning.io.readers.nwb import NwbRecording

        return NwbRecording(path, key, axes)
    return Hdf5Recording(path, key, axes or "tyx")


def open_file(path: Path) -> h5py.File:
    """Open an HDF5 file of anybody's for reading.

    Raises
    ------
    InputError
        If it was cut off or isn't HDF5.
    """
    load_plugins()
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "truncated" in str(error):
            raise InputError(f"{path}: a truncated HDF5 file; copy it again") from error
        raise InputError(
            f"{path}: not an HDF5 file that can be read ({' '.join(str(error).split())})"
        ) from error


class Hdf5Recording(Recording):
    """A dataset of three dimensions.

    Parameters
    ----------
    path : Path
        The file.
    key : str or None
        The dataset; ``None`` takes the only one of three dimensions.
    axes : str
        The order of its axes, a permutation of ``tyx``.

    Raises
    ------
    InputError
        If there is no such dataset (the nearest names are listed), or it has another rank or type.
    """

    takes_key = True

    def __init__(self, path: Path, key: str | None, axes: str) -> None:
        self.path = path
        self._file = open_file(path)
        try:
            self.key = self._choose(key)
            self._use(self._file[self.key], axes)
        except BaseException:
            self._file.close()
            raise

    def _use(self, dataset: h5py.Dataset, axes: str) -> None:
        """Take a dataset after checking its rank and type."""
        if dataset.ndim != 3:
            raise InputError(
                f"{self.path}: {self.key} has shape {dataset.shape}, expected three dimensions (time, y, "
                f"x){self._others()}"
            )
        if dataset.dtype.kind not in "fiub":
            raise InputError(f"{self.path}: {self.key} is of type {dataset.dtype}, expected numbers")
        self._dataset = dataset
        self._time = axes.index("t")
        self._order = tuple(axes.index(axis) for axis in "tyx")
        self.shape = tuple(int(dataset.shape[axis]) for axis in self._order)  # type: ignore[assignment]
        self.dtype = dataset.dtype.newbyteorder("=")
        self.fps = self._number(RATE_NAMES)
        self.pixel_size_um = self._number(("pixel_size_um",))

    def _choose(self, key: str | None) -> str:
        stacks = [name for name, node in datasets(self._file) if node.ndim == 3]
        if key is not None:
            if isinstance(self._file.get(key), h5py.Dataset):
                return key
            close = nearest_name(key, [name for name, _ in datasets(self._file)])
            there = f"; of three dimensions: {', '.join(stacks[:5])}" if stacks else ""
            raise InputError(f"{self.path}: no dataset {key}{close}{there}")
        if len(stacks) == 1:
            return stacks[0]
        if not stacks:
            found = ", ".join(f"{name} {node.shape}" for name, node in datasets(self._file)[:5])
            raise InputError(
                f"{self.path}: no dataset of three dimensions (time, y, x); there are: "
                f"{found or 'none at all'}"
            )
        raise InputError(f"{self.path}: several recordings; choose with key=: {', '.join(stacks[:8])}")

    def _others(self) -> str:
        stacks = [name for name, node in datasets(self._file) if node.ndim == 3]
        return f"; such as key={stacks[0]}" if stacks else ""

    def _number(self, names: tuple[str, ...]) -> float | None:
        """Find a positive number in the attributes around the dataset, or in a dataset beside it."""
        group = self._dataset.parent
        for holder in (self._dataset.attrs, group.attrs, self._file.attrs):
            for name in names:
                if name in holder and (value := _positive(holder[name])) is not None:
                    return value
        for name in names:
            node = group.get(name)
            if (
                isinstance(node, h5py.Dataset)
                and node.size == 1
                and (value := _positive(node[()])) is not None
            ):
                return value
        return None

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop), aligned to the dataset's own chunks where those are deep in time."""
        deep = self._dataset.chunks[self._time] if self._dataset.chunks else 1
        frame_bytes = self.shape[1] * self.shape[2] * self.dtype.itemsize
        step = size
        if deep > 1 and deep * frame_bytes <= DEEP_CHUNK_BYTES:
            step = max(1, size // deep) * deep
        begin = start
        while begin < stop:
            end = min((begin // step + 1) * step, stop)
            yield self._read(begin, end)
            begin = end

    def _read(self, begin: int, end: int) -> np.ndarray:
        where: list[Any] = [slice(None)] * 3
        where[self._time] = slice(begin, end)
        try:
            return self._dataset[tuple(where)].transpose(self._order).astype(self.dtype, copy=False)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            if "filter" in reason and "register" in reason:
                raise InputError(
                    f"{self.path}: {self.key} is compressed with a filter that isn't installed: pip install "
                    "hdf5plugin"
                ) from error
            if end - begin > 1:
                for index in range(begin, end):
                    self._read(index, index + 1)
            raise InputError(
                f"{self.path}: frame {begin} of {self.key} can't be read ({reason}); the file is damaged"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def datasets(file: h5py.File) -> list[tuple[str, h5py.Dataset]]:
    """All numeric datasets of a file by name; MATLAB's and HDF5's own book-keeping left out."""
    found: list[tuple[str, h5py.Dataset]] = []

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and not name.startswith("#") and node.dtype.kind in "fiub":
            found.append((name, node))

    file.visititems(visit)
    return found


def nearest_name(key: str, names: list[str]) -> str:
    """Give ``"; nearest: a/b, c"`` for the paths that resemble ``key`` as a whole or in their last part."""
    tails: dict[str, str] = {}
    for name in names:
        tails.setdefault(name.rpartition("/")[2], name)
    close = get_close_matches(key.strip("/"), names, cutoff=0.5)
    close += [tails[tail] for tail in get_close_matches(key.rpartition("/")[2], list(tails), cutoff=0.5)]
    return f"; nearest: {', '.join(list(dict.fromkeys(close))[:3])}" if close else ""


def _positive(value: Any) -> float | None:
    try:
        number = float(np.asarray(value).reshape(-1)[0])
    except (TypeError, ValueError, IndexError):
        return None
    return number if np.isfinite(number) and number > 0 else None
