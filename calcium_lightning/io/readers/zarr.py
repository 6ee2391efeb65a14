"""Zarr stores of versions 2 and 3: plain arrays, OME-Zarr, and what xarray writes (Minian)."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.array import ArrayRecording, guess_axes
from calcium_lightning.io.readers.base import FrameError, Recording
from calcium_lightning.io.readers.beside import Times, names_times, take_times
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.readers.hdf5 import RATE_NAMES, _positive, axes_of_names, nearest_name
from calcium_lightning.io.readers.tiff_metadata import MICRONS, SECONDS
from calcium_lightning.io.stored import LARGE, LEAST_SHARE

#: more pieces than this aren't listed to see whether they are there, unless there are about as many files
MOST_PIECES = 1_000_000


def open_zarr(path: Path, options: Options) -> Recording:
    """Open an array of a store (a folder, or a ``.zip`` of one).

    Raises
    ------
    InputError
        If it can't be read, or which of several arrays isn't said.
    """
    return ZarrRecording(path, options)


class ZarrRecording(ArrayRecording):
    """An array of a zarr store.

    Parameters
    ----------
    path : Path
        The store.
    options : Options
        ``key``: the array, default the only one that fits, of an OME-Zarr the one of full resolution.
    """

    def __init__(self, path: Path, options: Options) -> None:
        import zarr
        from zarr.errors import BaseZarrError

        self.path = path
        try:
            store: Any = zarr.storage.ZipStore(path, mode="r") if path.is_file() else path
            root: Any = zarr.open(store, mode="r")
            if isinstance(root, zarr.Array):
                arrays = {"": root}
            else:
                arrays = {
                    name: node for name, node in root.members(max_depth=None) if isinstance(node, zarr.Array)
                }
        except (BaseZarrError, OSError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())
            hint = "; if pictures or a video are in it, unpack it" if path.suffix.lower() == ".zip" else ""
            raise InputError(f"{path}: not a zarr store that can be read ({reason}){hint}") from error
        ome = _multiscales(dict(root.attrs))
        name = self._choose(arrays, options.key, ome)
        array = arrays[name]
        axes = options.axes or _axes(array, ome, name)
        if axes is None and (axes := guess_axes(array.shape, array.dtype)) == "tyx":
            axes = self.by_look(array, axes)
        if axes is None or len(axes) != array.ndim:
            raise InputError(
                f"{path}: {name or 'the array'} has shape {array.shape}; say which axis is which, as in "
                "axes=tcyx"
            )
        self.use(path, array, axes, options, name)
        holders = (dict(array.attrs), dict(root.attrs))
        self.fps = next(
            (v for h in holders for n in RATE_NAMES if (v := _positive(h.get(n))) is not None), None
        )
        sizes = (_positive(holder.get("pixel_size_um")) for holder in holders)
        self.pixel_size_um = next((size for size in sizes if size is not None), None)
        self._scales(ome, name, axes)
        self._check_written(array)
        group = name.rpartition("/")[0]
        along = str((_names(array) or [*axes])[axes.index("t")])  # the name of its coordinates
        take_times(
            self,
            [
                Times(other, node.size, partial(node.__getitem__, ...), str(node.attrs.get("units", "")))
                for other, node in arrays.items()
                if other.rpartition("/")[0] in (group, "")
                and (names_times(other) or other.rpartition("/")[2] == along)
                and node.dtype.kind in "fiumM"
            ],
        )

    def _choose(self, arrays: dict[str, Any], key: str | None, ome: dict[str, Any]) -> str:
        if key is not None:
            wanted = key.strip("/")
            if wanted in arrays:
                return wanted
            close = nearest_name(wanted, list(arrays))
            raise InputError(f"{self.path}: no array {key}{close}")
        levels = [str(level.get("path", "")) for level in ome.get("datasets", [])]
        if levels and levels[0] in arrays:
            return levels[0]
        stacks = [name for name, node in arrays.items() if node.ndim >= 3]
        if len(stacks) == 1:
            return stacks[0]
        found = ", ".join(f"{name} {node.shape}" for name, node in list(arrays.items())[:8])
        which = (
            "several recordings; choose with key=" if stacks else "no array of three dimensions; there are"
        )
        raise InputError(f"{self.path}: {which}: {found or 'none at all'}")

    def _scales(self, ome: dict[str, Any], name: str, axes: str) -> None:
        """Frame rate and pixel size of an OME-Zarr."""
        level: dict[str, Any] = next(
            (item for item in ome.get("datasets", []) if str(item.get("path")) == name), {}
        )
        transforms = [*level.get("coordinateTransformations", []), *ome.get("coordinateTransformations", [])]
        scales = [item["scale"] for item in transforms if item.get("type") == "scale" and "scale" in item]
        described = ome.get("axes", [])
        if not scales or len(described) != len(axes):
            return
        scale = np.prod(np.array(scales, float), axis=0)
        units = [str(axis.get("unit", "")) if isinstance(axis, dict) else "" for axis in described]
        if "t" in axes and (seconds := SECONDS.get(units[axes.index("t")])) and units[axes.index("t")]:
            step = scale[axes.index("t")] * seconds
            self.fps = self.fps or (1 / step if step > 0 else None)
        microns = MICRONS.get(units[axes.index("x")])
        if microns and scale[axes.index("x")] > 0:
            self.pixel_size_um = float(scale[axes.index("x")]) * microns

    def _check_written(self, array: Any) -> None:
        """Chunks that were never written would be read as black."""
        self._check_promise(array)
        if array.nchunks_initialized == 0:
            raise InputError(f"{self.path}: was made for {self.n_frames} frames, none are there")
        if array.nchunks_initialized < array.nchunks:
            gone = array.nchunks - array.nchunks_initialized
            self.note(f"{gone} of {array.nchunks} pieces aren't there: they are read as {array.fill_value}")

    def _check_promise(self, array: Any) -> None:
        """Refuse a store that promises far more than it holds, before zarr lists all that is promised."""
        files = sum(len(names) for _, _, names in os.walk(self.path))
        if self.path.is_file():
            with ZipFile(self.path) as archive:
                files = len(archive.namelist())
        each = math.prod(array.shards) // math.prod(array.chunks) if getattr(array, "shards", None) else 1
        large = array.nbytes > LARGE or array.nchunks > MOST_PIECES
        if large and files * each < array.nchunks * LEAST_SHARE:
            raise InputError(
                f"{self.path}: promises {array.nbytes} bytes in {array.nchunks} pieces, and is of "
                f"{files} files; it is damaged, or was copied in part"
            )

    def read(self, begin: int, end: int) -> np.ndarray:
        """Read frames [begin, end); a damaged one is named."""
        try:
            return super().read(begin, end)
        except (OSError, ValueError, RuntimeError) as error:
            if end - begin > 1:
                for index in range(begin, end):
                    self.read(index, index + 1)
            reason = " ".join(str(error).split())
            raise FrameError(self.path, begin, f"can't be read ({reason})", skips=False) from error


def _multiscales(attributes: dict[str, Any]) -> dict[str, Any]:
    """The first image's description of an OME-Zarr, of either version; empty for other stores."""
    ome = attributes.get("ome", attributes)
    images = ome.get("multiscales") if isinstance(ome, dict) else None
    return images[0] if isinstance(images, list) and images and isinstance(images[0], dict) else {}


def _axes(array: Any, ome: dict[str, Any], name: str) -> str | None:
    """Axes as the store names them: OME-Zarr's, or xarray's dimensions."""
    described = [axis.get("name") if isinstance(axis, dict) else axis for axis in ome.get("axes", [])]
    if described and len(described) == array.ndim:
        return axes_of_names([str(axis) for axis in described])
    names = _names(array)
    return axes_of_names([str(axis) for axis in names]) if names else None


def _names(array: Any) -> Any:
    """The names of an array's dimensions, where it has some."""
    return array.attrs.get("_ARRAY_DIMENSIONS") or getattr(array.metadata, "dimension_names", None)
