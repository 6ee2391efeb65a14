"""NWB files: the frames of a OnePhotonSeries, read with h5py alone.

NWB stores image series as (time, x, y); ours are (time, y, x).
"""

from __future__ import annotations

import math
from pathlib import Path, PureWindowsPath
from typing import Any

import h5py
import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.hdf5 import number, open_any, read, text
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.clock import rate_of
from calcium_lightning.io.readers.formats import Options, choose
from calcium_lightning.io.readers.hdf5 import Hdf5Recording, nearest_name
from calcium_lightning.io.readers.sequence import Sequenced
from calcium_lightning.io.stored import whole

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


def open_nwb(path: Path, options: Options) -> Recording:
    """Open an image series, or the files that it names as holding its frames."""
    recording = NwbRecording(path, options)
    if not recording.external:
        return recording
    with recording:
        found = [_beside(path.parent, name) for name in recording.external]
        missing = [name for name, file in zip(recording.external, found, strict=True) if file is None]
        if missing:
            raise InputError(
                f"{path}: {recording.key} holds no frames, they are in {', '.join(missing[:3])}; ingest "
                "that, or put it beside this file"
            )
        files = [file for file in found if file is not None]
        starts = recording.starts
        if len(set(starts)) == len(files) and starts != sorted(starts):
            files = [files[index] for index in np.argsort(starts)]
            recording.note("its files are in the order of their starting_frame")
        outer = Sequenced(path, files, lambda file: choose(file, Options()))
        outer.fps, outer.pixel_size_um = recording.fps or outer.fps, recording.pixel_size_um
        outer.about = recording.about
        if recording.timestamps is not None and len(recording.timestamps) == outer.n_frames:
            outer.timestamps = recording.timestamps
        outer.note(f"{recording.key}: its frames are in {', '.join(file.name for file in files)}")
        for note in recording.notes:
            outer.note(note)
        return outer


def _beside(folder: Path, name: str) -> Path | None:
    """An external file as it is named; or by its last part, whatever the system it was written on."""
    windows = PureWindowsPath(name)
    places = (folder / name, folder / windows.as_posix(), folder / windows.name)
    return next((file for file in places if file.is_file()), None)


class NwbRecording(Hdf5Recording):
    """The frames of one image series.

    Parameters
    ----------
    path : Path
        The file.
    options : Options
        ``key``: the series, by name (``OnePhotonSeries``) or path (``acquisition/OnePhotonSeries``), default
        the only one; ``axes``: order of the stored axes where a file breaks the standard's (time, x, y);
        ``plane``: of a series in depth.

    Attributes
    ----------
    external : list of str
        Files that hold the frames in place of this one.
    starts : list of int
        Which frame of the recording each of these begins with, as far as the file says.

    Raises
    ------
    InputError
        If there is no such series, or it holds no frames.
    """

    def __init__(self, path: Path, options: Options) -> None:
        self.path = path
        self._file = open_any(path)
        try:
            group = self._series(options.key)
            self.key = str(group.name)
            data = group.get("data")
            named = whole(group["external_file"]) if "external_file" in group else ()
            self.external = [text(name) for name in np.ravel(named)]
            first = group["external_file"].attrs.get("starting_frame", ()) if self.external else ()
            self.starts = [int(number(begin)) for begin in np.ravel(first) if math.isfinite(number(begin))]
            self.shape = (0, 0, 0)
            if not self.external:
                if not isinstance(data, h5py.Dataset) or 0 in data.shape:
                    raise InputError(f"{path}: {self.key} holds no frames")
                self.key += "/data"
                axes = options.axes or ("txyz" if data.ndim == 4 else "txy")
                self._use(data, axes, options)
                self._check_sides(group, data, options)
            self._times(group)
            self._plane(group)
            self._about(group)
        except BaseException:
            self._file.close()
            raise

    def _series(self, key: str | None) -> h5py.Group:
        found: dict[str, str] = {}

        def visit(name: str, node: Any) -> None:
            if (
                isinstance(node, h5py.Group)
                and (kind := text(node.attrs.get("neurodata_type", ""))) in SERIES
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

    def _check_sides(self, group: h5py.Group, data: h5py.Dataset, options: Options) -> None:
        """Say where the sizes (x, y) that the series gives are the other way round than its frames'."""
        node = group.get("dimension")
        if options.axes is not None or not isinstance(node, h5py.Dataset) or node.shape not in ((2,), (3,)):
            return
        sides = [int(side) for side in np.nan_to_num(np.asarray(whole(node), float))[:2]]
        if sides != list(data.shape[1:3]) and sides == list(data.shape[2:0:-1]):
            self.note(
                f"its dimension is {sides} (x, y), its frames are {data.shape[1]} x {data.shape[2]}: read as "
                "(time, x, y), the standard; if they lie on their side, axes=tyx"
            )

    def _times(self, group: h5py.Group) -> None:
        if isinstance(stamps := group.get("timestamps"), h5py.Dataset) and stamps.shape and len(stamps) > 1:
            self.timestamps = read(self._file, stamps.name, (None,), np.float64, finite=True)
            self.fps = rate_of(self.timestamps)
        elif isinstance(begin := group.get("starting_time"), h5py.Dataset):
            rate, since = number(begin.attrs.get("rate")), number(whole(begin))
            if 0 < rate < math.inf:
                self.fps = rate
                if self.n_frames and math.isfinite(since):
                    self.timestamps = since + np.arange(self.n_frames) / rate

    def _plane(self, group: h5py.Group) -> None:
        plane = group.get("imaging_plane")
        if not isinstance(plane, h5py.Group):
            return
        if self.fps is None and isinstance(node := plane.get("imaging_rate"), h5py.Dataset):
            rate = number(whole(node))
            self.fps = rate if 0 < rate < math.inf else None
        if isinstance(spacing := plane.get("grid_spacing"), h5py.Dataset):
            sizes = np.array([number(value) for value in np.ravel(whole(spacing))[:2]])
            scale = _MICRONS.get(text(spacing.attrs.get("unit", "meters")))
            square = len(sizes) == 2 and np.isclose(sizes[0], sizes[1], rtol=1e-3)
            if scale and square and np.isfinite(sizes[0]) and sizes[0] > 0:
                self.pixel_size_um = float(sizes[0]) * scale

    def _about(self, group: h5py.Group) -> None:
        """When, of whom and with what it was recorded."""
        places = {
            "session_start_time": "session_start_time",
            "subject_id": "general/subject/subject_id",
            "experiment": "general/experiment_description",
            "experimenter": "general/experimenter",
        }
        about = {}
        for name, place in places.items():
            if isinstance(node := self._file.get(place), h5py.Dataset) and node.size:
                value = whole(node)
                about[name] = text(value if not isinstance(value, np.ndarray) else value.reshape(-1)[0])
        for place in ("imaging_plane/device", "device"):
            link = group.get(place, getlink=True) if place in group else None
            if isinstance(link, h5py.SoftLink):
                about["device"] = str(link.path).rpartition("/")[2]
                break
        self.about = about
