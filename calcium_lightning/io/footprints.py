"""Footprints of a session from any file that holds some: our cells files, and other people's results.

Knows which reader a path is for. Traces aren't read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.hashing import sha256_of
from calcium_lightning.core.reading import reading
from calcium_lightning.io import hdf5
from calcium_lightning.io.cells_stream import FORMAT, VERSION
from calcium_lightning.io.kind import may_be_cells
from calcium_lightning.io.readers import footprints as others


def read_footprints(path: Path | str, rejected: bool = False) -> list[FootprintSet]:
    """Read the footprints of a session; a file may hold those of several.

    Parameters
    ----------
    path : path-like
        A cells file; a CaImAn result (.hdf5), a Suite2p folder (stat.npy), Minian's A (.zarr), CellReg's
        spatial footprints (.mat), or an HDF5 file of sparse footprints.
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
    with reading(path):
        if path.is_file() and path.suffix.lower() in (".h5", ".hdf5", "") and may_be_cells(path):
            return [_ours(path, rejected)]
        return others.read(path, rejected)


def _ours(path: Path, rejected: bool) -> FootprintSet:
    with hdf5.open_file(path, FORMAT, VERSION) as file:
        footprints, frame_shape = hdf5.read_footprints(file, "footprints")
        accepted = hdf5.read(file, "accepted", (footprints.shape[0],), bool)
        mean = hdf5.read(file, "images/mean", frame_shape, np.float32)
        field = hdf5.read(file, "field", frame_shape, bool) if "field" in file else None
        pixel_size = hdf5.number(file.attrs.get("pixel_size_um"))
    rows = np.arange(len(accepted)) if rejected else np.flatnonzero(accepted)
    return FootprintSet(
        footprints[rows],
        frame_shape,
        rows,
        name=path.name.removesuffix(".cells.h5") if path.name.endswith(".cells.h5") else path.stem,
        path=str(path),
        sha256=sha256_of(path),
        pixel_size_um=pixel_size if np.isfinite(pixel_size) and pixel_size > 0 else None,
        total=len(accepted),
        mean_image=mean,
        field=field,
    )
