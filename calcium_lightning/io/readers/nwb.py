"""NWB files: the frames of a OnePhotonSeries, read with h5py alone.

NWB stores image series as (time, x, y); ours are (time, y, x).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.hdf5 import Hdf5Recording, nearest_name, open_file

#: series that hold a calcium recording, the one-photon one first
SERIES = ("OnePhotonSeries", "TwoPhotonSeries", "ImageSeries")
_MICRONS = {
    "meters": 1e6,
    "m": 1e6,
    "millimeters": 1e3,
    "mm": 1e3,
    "micrometers": 1.0,
    "microns": 1.0,
    "um": 1.0,
}


class NwbRecording(Hdf5Recording):
    """The frames of one image series.

    Parameters
    ----------
    path : Path
        The file.
    key : str or None
        The series, by name (``OnePhotonSeries``) or path (``acquisition/OnePhotonSeries``); ``None`` takes
        the only one.
    axes : str or None
        Order of the stored axes where a file breaks the standard's (time, x, y).

    Raises
    ------
    InputError
        If there is no such series, or its frames are in another file.
    """

    def __init__(self, path: Path, key: str | None, axes: str | None) -> None:
        self.path = path
        self._file = open_file(path)
        try:
            group = self._series(key)
            self.key = str(group.name)
            data = group.get("data")
            if "external_file" in group or not isinstance(data, h5py.Dataset) or 0 in data.shape:
                names = (
                    [_text(name) for name in group["external_file"][:3]] if "external_file" in group else []
                )
                raise InputError(
                    f"{path}: {self.key} holds no frames, they are in {', '.join(names) or 'another file'}; "
                    "ingest that"
                )
            self.key += "/data"
            self._use(data, axes or "txy")
            self._times(group)
            self._plane(group)
        except BaseException:
            self._file.close()
            raise

    def _series(self, key: str | None) -> h5py.Group:
        found: dict[str, str] = {}

        def visit(name: str, node: Any) -> None:
            if (
                isinstance(node, h5py.Group)
                and (kind := _text(node.attrs.get("neurodata_type", ""))) in SERIES
            ):
                found[name] = kind

        self._file.visititems(visit)
        if key is not None:
            wanted = key.strip("/").removesuffix("/data")
            chosen = [name for name in found if wanted in (name, name.rpartition("/")[2])]
            if len(chosen) != 1:
                raise InputError(
                    f"{self.path}: no image series {key}{nearest_name(wanted, list(found))}; there are: "
                    f"{', '.join(found) or 'none'}"
                )
            return self._file[chosen[0]]
        for kind in SERIES[:2]:
            chosen = [name for name, other in found.items() if other == kind]
            if len(chosen) > 1:
                raise InputError(f"{self.path}: several {kind}; choose with key=: {', '.join(chosen)}")
            if chosen:
                return self._file[chosen[0]]
        raise InputError(f"{self.path}: holds no OnePhotonSeries; image series: {', '.join(found) or 'none'}")

    def _times(self, group: h5py.Group) -> None:
        if isinstance(stamps := group.get("timestamps"), h5py.Dataset) and len(stamps) > 1:
            self.timestamps = np.asarray(stamps[:], np.float64)
            interval = float(np.median(np.diff(self.timestamps)))
            self.fps = 1 / interval if interval > 0 else None
        elif isinstance(begin := group.get("starting_time"), h5py.Dataset):
            rate = float(begin.attrs.get("rate", 0) or 0)
            if rate > 0:
                self.fps = rate
                self.timestamps = float(begin[()]) + np.arange(self.n_frames) / rate

    def _plane(self, group: h5py.Group) -> None:
        plane = group.get("imaging_plane")
        if not isinstance(plane, h5py.Group):
            return
        if (
            self.fps is None
            and isinstance(rate := plane.get("imaging_rate"), h5py.Dataset)
            and float(rate[()]) > 0
        ):
            self.fps = float(rate[()])
        if isinstance(spacing := plane.get("grid_spacing"), h5py.Dataset):
            sizes = np.asarray(spacing[:2], float)
            scale = _MICRONS.get(_text(spacing.attrs.get("unit", "meters")))
            square = len(sizes) == 2 and np.isclose(sizes[0], sizes[1], rtol=1e-3)
            if scale and square and np.isfinite(sizes[0]) and sizes[0] > 0:
                self.pixel_size_um = float(sizes[0]) * scale


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
