"""The tracks file: written, read, and checked against its contract.

The only place that knows the paths inside a tracks file's HDF5. Knows nothing of how tracks were found.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.core.reading import reading
from calcium_lightning.core.tracks import TrackedSession, Tracks
from calcium_lightning.io import hdf5
from calcium_lightning.io.footprints import content_of

FORMAT, VERSION = "calcium-lightning-tracks", 1
#: arrays of a transform -> their shapes
ARRAYS = {"matrix": (2, 3), "stretch": (2, 3), "knots": (None, 2), "weights": (None, 2)}
#: numbers of a session that stand beside its transform
NUMBERS = ("residual_px", "agreement", "chance", "pictures", "closure_px")
#: numbers of all tracks
TOGETHER = ("least_probability", "expected_false", "expected_missed")


def write_tracks(path: Path | str, tracks: Tracks, overwrite: bool = False) -> None:
    """Write a tracks file, atomically.

    Raises
    ------
    InputError
        If the target exists.
    """
    with atomic_path(path, overwrite) as temporary, hdf5.create_file(temporary) as file:
        file.attrs.update(
            format=FORMAT, version=VERSION, config=tracks.config, package_version=tracks.package_version
        )
        file.attrs.update({name: getattr(tracks, name) for name in TOGETHER})
        file.attrs["reference"] = tracks.reference
        file["cell"] = np.asarray(tracks.cell, np.int32)
        file["probability"] = np.asarray(tracks.probability, np.float32)
        if tracks.searched is not None:
            file["searched"] = np.asarray(tracks.searched, bool)
        if tracks.decided is not None:
            file["decided"] = np.asarray(tracks.decided, bool)
        text = h5py.string_dtype()
        for name in ("path", "sha256", "name"):
            values = [getattr(session, name) for session in tracks.sessions]
            file.create_dataset(f"sessions/{name}", data=[os.fsencode(value) for value in values], dtype=text)
        for name in ("cells", "used"):
            file[f"sessions/{name}"] = np.array([getattr(item, name) for item in tracks.sessions], np.int64)
        file["sessions/shape"] = np.array([item.frame_shape for item in tracks.sessions], np.int64)
        sizes = [np.nan if item.pixel_size_um is None else item.pixel_size_um for item in tracks.sessions]
        file["sessions/pixel_size_um"] = np.array(sizes)
        for row, session in enumerate(tracks.sessions):
            group = file.create_group(f"transforms/{row}")
            hdf5.write_text(group.attrs, "session", session.name)
            group.attrs["aligned"] = session.transform is not None
            group.attrs["doubted"] = session.doubted
            group.attrs.update({name: getattr(session, name) for name in NUMBERS})
            if session.transform is not None:
                for name in ARRAYS:
                    group[name] = getattr(session.transform, name)


def read_tracks(path: Path | str) -> Tracks:
    """Read a tracks file.

    Raises
    ------
    InputError
        If the file is missing, of another format or version, or breaks the contract.
    """
    with hdf5.open_file(Path(path), FORMAT, VERSION) as file, reading(path):
        cell = hdf5.read(file, "cell", (None, None), np.int32)
        count = cell.shape[1]
        probability = hdf5.read(file, "probability", cell.shape, np.float32)
        texts = {name: _texts(file, f"sessions/{name}", count) for name in ("path", "sha256", "name")}
        whole = {name: hdf5.read(file, f"sessions/{name}", (count,), np.int64) for name in ("cells", "used")}
        shape = hdf5.read(file, "sessions/shape", (count, 2), np.int64)
        sizes = hdf5.read(file, "sessions/pixel_size_um", (count,), np.float64)
        sessions = []
        for row in range(count):
            where, group = f"{path}: /transforms/{row}", file.get(f"transforms/{row}")
            if not isinstance(group, h5py.Group):
                raise InputError(f"{where}: no such group; track again")
            transform = None
            if hdf5.flag(group.attrs.get("aligned", True), f"{where}'s aligned"):
                parts = {
                    name: hdf5.read(file, f"transforms/{row}/{name}", wanted, np.float64)
                    for name, wanted in ARRAYS.items()
                }
                transform = FieldTransform(**parts)
            sessions.append(
                TrackedSession(
                    name=texts["name"][row],
                    path=texts["path"][row],
                    sha256=texts["sha256"][row],
                    cells=int(whole["cells"][row]),
                    used=int(whole["used"][row]),
                    **{key: hdf5.number(group.attrs.get(key)) for key in NUMBERS},
                    doubted=hdf5.flag(group.attrs.get("doubted", False), f"{where}'s doubted"),
                    frame_shape=(int(shape[row, 0]), int(shape[row, 1])),
                    transform=transform,
                    pixel_size_um=float(sizes[row]) if np.isfinite(sizes[row]) else None,
                )
            )
        if (cell >= whole["cells"]).any() or (cell < -1).any():
            raise InputError(f"{path}: /cell names cells that the sessions don't have; track again")
        return Tracks(
            cell=cell,
            probability=probability,
            sessions=tuple(sessions),
            reference=int(hdf5.number(file.attrs.get("reference", 0))),
            searched=hdf5.read(file, "searched", cell.shape, bool) if "searched" in file else None,
            decided=hdf5.read(file, "decided", cell.shape, bool) if "decided" in file else None,
            **{name: hdf5.number(file.attrs.get(name)) for name in TOGETHER},
            config=hdf5.text(file.attrs.get("config", "")),
            package_version=hdf5.text(file.attrs.get("package_version", "")),
        )


def with_tracks(cells: Cells, source: Path, path: Path | str) -> Cells:
    """Cells with two more qualities: ``track``, -1 for none, and ``track_probability``.

    Parameters
    ----------
    cells : Cells
        Of one of the sessions.
    source : Path
        Their file, by whose content the session is known; a folder of many files, by its path.
    path : path-like
        The tracks file.

    Raises
    ------
    InputError
        If the tracks are of other cells.
    """
    tracks = read_tracks(path)
    content, place = content_of(source), source.resolve()
    for row, session in enumerate(tracks.sessions):
        here = not content and bool(session.path) and Path(session.path).resolve() == place
        if session.sha256 == content if content else here:
            track, probability = tracks.of(row)
            added = {"track": track.astype(np.float32), "track_probability": probability}
            return replace(cells, quality={**cells.quality, **added})
    names = ", ".join(session.name for session in tracks.sessions)
    raise InputError(f"{path}: tracks of {names}, and not of {source} as it is now; track again")


def _texts(file: h5py.File, name: str, count: int) -> list[str]:
    node = file.get(name)
    if not isinstance(node, h5py.Dataset) or node.shape != (count,):
        raise InputError(f"{file.filename}: no dataset /{name} of {count} texts; track again")
    return [hdf5.name_of_file(value) for value in node[...]]
