"""Footprints of a session from any file that holds some: our cells files, and other programs' results.

For: tracking, which needs no traces. What others' files look like :mod:`calcium_lightning.io.results` knows.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.hashing import sha256_of
from calcium_lightning.core.plain import readable
from calcium_lightning.core.reading import reading
from calcium_lightning.io import hdf5
from calcium_lightning.io.cells_stream import FORMAT, VERSION
from calcium_lightning.io.curation_file import digests, fingerprint, marks_of, open_original
from calcium_lightning.io.journal import journal_of
from calcium_lightning.io.kind import is_cells
from calcium_lightning.io.results.build import Footprints
from calcium_lightning.io.results.table import find_program
from calcium_lightning.io.stored import open_stored


def read_footprints(path: Path | str, rejected: bool = False) -> list[FootprintSet]:
    """Read the footprints of a session; a file may hold those of several.

    Parameters
    ----------
    path : path-like
        A cells file; other programs' results, as :func:`~calcium_lightning.io.results.table.read_cells` takes
        them; or an HDF5 file of sparse footprints, a group with the attribute ``shape`` (K, H, W) each.
    rejected : bool
        Take what the file says isn't a cell, too.

    Raises
    ------
    InputError
        If there is nothing of the kind.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path}: no such file")
    with reading(path, parsing=True):
        program = find_program(path)
        if program is not None:
            return [_others(path, program.footprints(path), rejected)]
        if is_cells(path) or not (groups := _groups(path)):
            return [_ours(path, rejected)]
        return [_group(path, name) for name in groups]


def content_of(path: Path) -> str:
    """What the footprints of a file or folder are known by: SHA-256; empty for a folder of many files."""
    inner = path / "stat.npy" if path.is_dir() else path
    return sha256_of(inner) if inner.is_file() else ""


def _others(path: Path, found: Footprints, rejected: bool) -> FootprintSet:
    matrix = found.checked(path)
    rows = np.arange(matrix.shape[0])
    if found.accepted is not None and not rejected:
        rows = np.flatnonzero(found.accepted)
    # Suite2p's planes all have the same name.
    folder = (path.parent if path.name == "stat.npy" else path).resolve()
    above = folder.parent.parent.name if folder.name.startswith("plane") else ""
    return FootprintSet(
        csr_matrix(matrix[rows]),
        found.frame_shape,
        rows,
        name=readable(above or folder.stem),
        path=str(path),
        sha256=content_of(path),
        total=matrix.shape[0],
    )


def _groups(path: Path) -> list[str]:
    """Groups of sparse footprints in a file that isn't a cells file."""
    try:
        with open_stored(path) as file:
            if "format" in file.attrs or "footprints" in file:
                return []
            return [
                name for name, node in file.items() if isinstance(node, h5py.Group) and "shape" in node.attrs
            ]
    except OSError:
        return []


def _group(path: Path, name: str) -> FootprintSet:
    """One session of several in a file, none of whose cells is rejected."""
    with open_stored(path) as file:
        footprints, frame_shape = hdf5.read_footprints(file, name)
    count = footprints.shape[0]
    return FootprintSet(
        footprints,
        frame_shape,
        np.arange(count),
        name=readable(f"{path.stem}/{name}"),
        path=str(path),
        sha256=f"{sha256_of(path)}/{name}",
        total=count,
    )


def _ours(path: Path, rejected: bool) -> FootprintSet:
    with hdf5.open_file(path, FORMAT, VERSION) as file:
        footprints, frame_shape = hdf5.read_footprints(file, "footprints")
        accepted = hdf5.read(file, "accepted", (footprints.shape[0],), bool)
        mean = hdf5.read(file, "images/mean", frame_shape, np.float32)
        field = hdf5.read(file, "field", frame_shape, bool) if "field" in file else None
        found, log = marks_of(file)
        pixel_size = hdf5.number(file.attrs.get("pixel_size_um"))
    if journal_of(path).exists():  # a page is open, or was killed: what it has decided counts
        with open_original(path) as original:
            cells = original.decided()
            footprints, accepted = cells.footprints, cells.accepted
            found, log = fingerprint(original.cells), ["", *digests(original.log)][-1]
    rows = np.arange(len(accepted)) if rejected else np.flatnonzero(accepted)
    return FootprintSet(
        footprints[rows],
        frame_shape,
        rows,
        name=readable(path.name.removesuffix(".cells.h5") if path.name.endswith(".cells.h5") else path.stem),
        path=str(path),
        sha256=sha256_of(path),
        found=found,
        log=log,
        pixel_size_um=pixel_size if np.isfinite(pixel_size) and pixel_size > 0 else None,
        total=len(accepted),
        mean_image=mean,
        field=field,
    )
