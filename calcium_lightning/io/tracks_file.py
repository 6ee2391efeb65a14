"""The tracks file: written, read, and checked against its contract.

The only place that knows the paths inside a tracks file's HDF5. Knows nothing of how tracks were found.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.core.links import LinkedTracks, link_entries_of
from calcium_lightning.core.reading import VALUES, reading
from calcium_lightning.core.tracks import TrackedSession, Tracks
from calcium_lightning.io import hdf5
from calcium_lightning.io.hdf5_output import create_file
from calcium_lightning.io.stored import open_stored, whole

FORMAT, VERSION = "calcium-lightning-tracks", 1
#: what was decided, and what was found before
CURATION = "curation"
#: arrays (N, S) of the tracks -> their types; those that may be missing
MEMBERS = {"cell": np.int32, "probability": np.float32, "searched": bool, "decided": bool}
OPTIONAL = ("searched", "decided")
#: arrays of a transform -> their shapes
ARRAYS = {"matrix": (2, 3), "stretch": (2, 3), "knots": (None, 2), "weights": (None, 2)}
#: texts of each session; those that older files lack
TEXTS, MARKS = ("path", "sha256", "name"), ("found", "log")
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
    write_linked(path, LinkedTracks.of(tracks), overwrite)


def write_linked(path: Path | str, linked: LinkedTracks, overwrite: bool = False) -> None:
    """Write a tracks file with what was decided about it, atomically.

    Raises
    ------
    InputError
        If the target exists.
    """
    tracks = linked.tracks
    with atomic_path(path, overwrite) as temporary, create_file(temporary) as file:
        if Path(path).exists():
            shutil.copymode(path, temporary)
        file.attrs.update(
            format=FORMAT, version=VERSION, config=tracks.config, package_version=tracks.package_version
        )
        file.attrs.update({name: getattr(tracks, name) for name in TOGETHER})
        file.attrs["reference"] = tracks.reference
        text = h5py.string_dtype()
        _write_members(file, tracks)
        if linked.log:
            automatic = file.create_group(f"{CURATION}/automatic")
            automatic.attrs["expected_false"] = linked.found.expected_false
            _write_members(automatic, linked.found)
            lines = [json.dumps(entry.as_json()) for entry in linked.log]
            file.create_dataset(f"{CURATION}/log", data=lines, dtype=text)
        for name in (*TEXTS, *MARKS):
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


def check_unlinked(path: Path) -> None:
    """Refuse to replace tracks that a person has decided about: that work can't be made anew.

    Raises
    ------
    InputError
        Saying what to do.
    """
    if path.is_file() and h5py.is_hdf5(path):
        advice = "it may hold decisions by hand: move it away"
        with reading(path, advice=advice), open_stored(path) as file:
            decided = CURATION in file
        if decided:
            words = "holds links decided by hand, which overwrite=true would lose"
            advice = f"give another output=, and from={path} to take them over"
            raise InputError(f"{path}: {words}; {advice}")


def _write_members(group: h5py.Group, tracks: Tracks) -> None:
    """The arrays (N, S): as they stand, or as they were found."""
    for name, dtype in MEMBERS.items():
        values = getattr(tracks, name)
        if values is not None:
            group[name] = np.asarray(values, dtype)


def read_tracks(path: Path | str) -> Tracks:
    """Read a tracks file; tracks are as a person left them.

    Raises
    ------
    InputError
        If the file is missing, of another format or version, or breaks the contract.
    """
    return read_linked(path).tracks


def read_linked(path: Path | str) -> LinkedTracks:
    """Read a tracks file: what was found, and what was decided about it.

    Raises
    ------
    InputError
        If the file is missing, of another format or version, or breaks the contract.
    """
    with hdf5.open_file(Path(path), FORMAT, VERSION) as file, reading(path, parsing=True):
        members = _read_members(file, "")
        cell = members["cell"]
        count = cell.shape[1]
        texts = {name: _texts(file, f"sessions/{name}", count) for name in TEXTS}
        marks = {
            name: _texts(file, f"sessions/{name}", count) if f"sessions/{name}" in file else [""] * count
            for name in MARKS
        }
        counts = {name: hdf5.read(file, f"sessions/{name}", (count,), np.int64) for name in ("cells", "used")}
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
                    found=marks["found"][row],
                    log=marks["log"][row],
                    cells=int(counts["cells"][row]),
                    used=int(counts["used"][row]),
                    **{key: hdf5.number(group.attrs.get(key)) for key in NUMBERS},
                    doubted=hdf5.flag(group.attrs.get("doubted", False), f"{where}'s doubted"),
                    frame_shape=(int(shape[row, 0]), int(shape[row, 1])),
                    transform=transform,
                    pixel_size_um=float(sizes[row]) if np.isfinite(sizes[row]) else None,
                )
            )
        if (cell >= counts["cells"]).any() or (cell < -1).any():
            raise InputError(f"{path}: /cell names cells that the sessions don't have; track again")
        reference = hdf5.number(file.attrs.get("reference", 0))
        if reference not in range(len(sessions)):
            raise InputError(f"{path}: reference is none of its {len(sessions)} sessions; track again")
        together: dict[str, Any] = {name: hdf5.number(file.attrs.get(name)) for name in TOGETHER}
        tracks = Tracks(
            **members,
            sessions=tuple(sessions),
            reference=int(reference),
            **together,
            config=hdf5.text(file.attrs.get("config", "")),
            package_version=hdf5.text(file.attrs.get("package_version", "")),
        )
        if CURATION not in file:
            return LinkedTracks.of(tracks)
        return _linked(file, tracks, f"{path}: /{CURATION}")


def _linked(file: h5py.File, tracks: Tracks, where: str) -> LinkedTracks:
    """What was found, and the log, of tracks that somebody decided about."""
    try:
        automatic = file[f"{CURATION}/automatic"]
        members = _read_members(file, f"{CURATION}/automatic/")
        found = replace(tracks, **members, expected_false=hdf5.number(automatic.attrs["expected_false"]))
        log = link_entries_of([json.loads(hdf5.text(line)) for line in whole(file[f"{CURATION}/log"])])
        return LinkedTracks.of(found, log)
    except (*VALUES, InputError) as error:
        raise InputError(f"{where} is damaged ({error}); track again") from error


def _read_members(file: h5py.File, prefix: str) -> dict[str, Any]:
    """Those arrays that are there, of one shape."""
    cell = hdf5.read(file, f"{prefix}cell", (None, None), MEMBERS["cell"])
    found: dict[str, Any] = {"cell": cell}
    for name, dtype in MEMBERS.items():
        if name in OPTIONAL and f"{prefix}{name}" not in file:
            found[name] = None
        else:
            found[name] = hdf5.read(file, f"{prefix}{name}", cell.shape, dtype)
    return found


def _texts(file: h5py.File, name: str, count: int) -> list[str]:
    node = file.get(name)
    if not isinstance(node, h5py.Dataset) or node.shape != (count,):
        raise InputError(f"{file.filename}: no dataset /{name} of {count} texts; track again")
    return [hdf5.name_of_file(value) for value in whole(node)]
