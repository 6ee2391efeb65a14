"""Any three-dimensional dataset of an HDF5 file, our own session files, and MATLAB v7.3's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.hdf5 import open_any, text
from calcium_lightning.io.readers.array import ArrayRecording, guess_axes
from calcium_lightning.io.readers.base import FrameError, Recording
from calcium_lightning.io.readers.beside import Times, names_times, take_times
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.stored import frames_stored, whole

#: names under which frame rates are found beside datasets in the wild (CaImAn's is "fr")
RATE_NAMES = ("fps", "frame_rate", "framerate", "frameRate", "fr", "Fs", "sampling_rate")
#: names of axes in the wild, by what they are
AXIS_NAMES = {
    "t": ("t", "time", "frame", "frames"),
    "y": ("y", "height", "row", "rows"),
    "x": ("x", "width", "column", "columns"),
    "c": ("c", "channel", "channels"),
    "z": ("z", "plane", "planes", "depth"),
}


def open_hdf5(path: Path, options: Options) -> Recording:
    """Open one of our sessions, an NWB file, CaImAn's results, a Doric file, or any HDF5 dataset."""
    key = options.key
    with open_any(path, _classic(path)) as file:
        identity = text(file.attrs.get("format", ""))
        is_nwb = "nwb_version" in file.attrs or path.suffix.lower() == ".nwb"
        is_caiman = key is None and isinstance(file.get("estimates/A"), h5py.Group)
        is_doric = path.suffix.lower() == ".doric" or isinstance(file.get("DataAcquisition"), h5py.Group)
    if identity == "calcium-lightning-session" and key in (None, "frames", "/frames"):
        from calcium_lightning.io.readers.session import SessionRecording

        return SessionRecording(path)
    if identity == "calcium-lightning-cells" and key is None:
        raise InputError(f"{path}: a cells file, not a recording")
    if is_caiman:
        from calcium_lightning.io.readers.caiman import open_results

        return open_results(path, options)
    if is_nwb:
        from calcium_lightning.io.readers.nwb import open_nwb

        return open_nwb(path, options)
    if is_doric:
        from calcium_lightning.io.readers.doric import DoricRecording

        return DoricRecording(path, options)
    if key is None and options.axes is None:
        from calcium_lightning.io.readers.hdf5_frames import FramesApart, frames_apart

        with open_any(path) as file:
            names = frames_apart(file)
        if names:
            return FramesApart(path, options, names)
    return Hdf5Recording(path, options)


def _classic(path: Path) -> str:
    """What to do with netCDF of version 3, which isn't HDF5; nothing of any other file."""
    with path.open("rb") as file:
        if file.read(3) != b"CDF":
            return ""
    return (
        " but netCDF of version 3; make it one of version 4, in Python: "
        f"xarray.open_dataset({str(path)!r}).to_netcdf('OUT.nc', engine='h5netcdf')"
    )


class Hdf5Recording(ArrayRecording):
    """A dataset of three dimensions, or of more where they are named or chosen from.

    Parameters
    ----------
    path : Path
        The file.
    options : Options
        ``key``: the dataset, default the only one that fits; ``axes``: the order of its axes.
    reverse : bool
        Whether ``axes`` is as MATLAB counts them, the other way round.

    Raises
    ------
    InputError
        If there is no such dataset (the nearest names are listed), or it has another rank or type.
    """

    def __init__(self, path: Path, options: Options, reverse: bool = False) -> None:
        self.path = path
        self._file = open_any(path)
        try:
            self.key = self._choose(options.key)
            dataset = self._file[self.key]
            axes = options.axes[::-1] if options.axes and reverse else options.axes
            self._use(dataset, axes or self._named(dataset), options)
            self._take_times()
        except BaseException:
            self._file.close()
            raise

    def _use(self, dataset: h5py.Dataset, axes: str | None, options: Options) -> None:
        """Take a dataset after checking its rank and type."""
        axes = axes or self._guess(dataset)
        if dataset.ndim < 3 or (axes and len(axes) != dataset.ndim):
            wanted = f"the dimensions {axes}" if len(axes or "tyx") > 3 else "three dimensions (time, y, x)"
            raise InputError(
                f"{self.path}: {self.key} has shape {dataset.shape}, expected {wanted}{self._others()}"
            )
        if axes is None:
            raise InputError(
                f"{self.path}: {self.key} has shape {dataset.shape}; say which axis is which, of t, y, x, c "
                "(channels) and z (planes), as in axes=tcyx"
            )
        self._dataset = dataset
        self.use(self.path, dataset, axes, options, self.key)
        self.fps = self._number(RATE_NAMES)
        self.pixel_size_um = self._number(("pixel_size_um",))
        self._check_written()

    def _take_times(self) -> None:
        """Times that are stored with the dataset: as its coordinates (netCDF), or beside it."""
        found = {} if self._dataset.ndim <= self._time else dict(self._dataset.dims[self._time].items())
        for group in (self._dataset.parent, self._file):
            found |= {
                name: node for name in group if names_times(name) and (node := group.get(name)) is not None
            }
        arrays = {node.name: node for node in found.values() if isinstance(node, h5py.Dataset)}
        take_times(
            self,
            [
                Times(
                    str(name).strip("/"), node.size, partial(whole, node), text(node.attrs.get("units", ""))
                )
                for name, node in arrays.items()
                if node.dtype.kind in "fiu"
            ],
        )

    def _guess(self, dataset: h5py.Dataset) -> str | None:
        """Axes that nothing names."""
        axes = guess_axes(dataset.shape, dataset.dtype)
        return self.by_look(dataset, axes) if axes == "tyx" else axes

    def _named(self, dataset: h5py.Dataset) -> str | None:
        """Axes as the file labels them (netCDF, xarray), where it does."""
        labels = [dataset.dims[axis].label or _scale_name(dataset, axis) for axis in range(dataset.ndim)]
        return axes_of_names(labels)

    def _check_written(self) -> None:
        """Frames that were promised and never written would be read as black."""
        there, why = frames_stored(self._dataset, self._time)
        if not why:
            return
        promised = self.n_frames
        if not there:
            raise InputError(
                f"{self.path}: {self.key} was made for {promised} frames, none are there ({why})"
            )
        self.shape = (there, *self.shape[1:])
        self.short(promised, there)

    def _choose(self, key: str | None) -> str:
        stacks = self._stacks()
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
            pictures = [
                node.shape for _, node in datasets(self._file) if node.ndim == 2 and min(node.shape) > 1
            ]
            advice = ""
            if len(pictures) > 1 and len(set(pictures)) == 1:
                height, width = pictures[0]
                advice = f"; write frames into one dataset ({len(pictures)}, {height}, {width})"
            elif len(pictures) == 1:
                advice = "; if its columns are pixels, write it as (time, y, x)"
            elif not found and (linked := _links(self._file)):
                advice = (
                    f", but links to other files: {', '.join(linked[:3])}; give one of these, or its key="
                )
            raise InputError(
                f"{self.path}: no dataset of three dimensions (time, y, x); there are: "
                f"{found or 'none at all'}{advice}"
            )
        raise InputError(f"{self.path}: several recordings; choose with key=: {', '.join(stacks[:8])}")

    def _stacks(self) -> list[str]:
        """Datasets that may be recordings: of three dimensions, or else of more."""
        every = datasets(self._file)
        stacks = [(name, node) for name, node in every if node.ndim == 3]
        stacks = stacks or [(name, node) for name, node in every if node.ndim > 3]
        # a mask or a mean image that has kept its axis of length 1
        return [name for name, node in stacks if node.ndim > 3 or 1 not in node.shape] or [
            name for name, _ in stacks
        ]

    def _others(self) -> str:
        stacks = self._stacks()
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
                and (value := _positive(whole(node))) is not None
            ):
                return value
        return None

    def read(self, begin: int, end: int) -> np.ndarray:
        """Read frames [begin, end); a damaged one is named."""
        try:
            return super().read(begin, end)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            if "filter" in reason and "register" in reason:
                raise InputError(
                    f"{self.path}: {self.key} is compressed with a filter that isn't installed: pip install "
                    "hdf5plugin"
                ) from error
            if end - begin > 1:
                for index in range(begin, end):
                    self.read(index, index + 1)
            reason = f"of {self.key} can't be read ({reason}): the file is damaged"
            raise FrameError(self.path, begin, reason, skips=not self._dataset.chunks) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def axes_of_names(names: Sequence[str]) -> str | None:
    """Axes by their names, where each is known and none is missing.

    Examples
    --------
    >>> axes_of_names(["frame", "height", "width"])
    'tyx'
    """
    letters = {name: letter for letter, known in AXIS_NAMES.items() for name in known}
    axes = "".join(letters.get(str(name).lower(), "?") for name in names)
    return axes if {"t", "y", "x"} <= set(axes) and "?" not in axes else None


def _scale_name(dataset: h5py.Dataset, axis: int) -> str:
    """The name of the coordinates that are attached to an axis, as netCDF does."""
    scales = list(dataset.dims[axis].values())
    return str(scales[0].name).rpartition("/")[2] if scales else ""


def datasets(file: h5py.File) -> list[tuple[str, h5py.Dataset]]:
    """All numeric datasets of a file by name; MATLAB's and HDF5's own book-keeping left out."""
    found: list[tuple[str, h5py.Dataset]] = []

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and not name.startswith("#") and node.dtype.kind in "fiub":
            found.append((name, node))

    file.visititems(visit)
    return found


def _links(file: h5py.File) -> list[str]:
    """Links of a file's root that lead into other files, each with the file."""
    links = {name: file.get(name, getlink=True) for name in file}
    return [
        f"{name} ({link.filename})" for name, link in links.items() if isinstance(link, h5py.ExternalLink)
    ]


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
