"""The cells file: written, read, and checked against its contract.

The only place that knows the paths inside a cells file's HDF5. Knows nothing of how cells were found.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import (
    LOCALIZATION_TYPES,
    TRACES,
    Cells,
    StreamedCells,
)
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import reading
from calcium_lightning.io import hdf5
from calcium_lightning.io.behavior import write_group
from calcium_lightning.io.cells_stream import FORMAT, PATCHES, PEAK, VERSION, check_claims, write_rows
from calcium_lightning.io.curation_file import open_decided
from calcium_lightning.io.hdf5_output import create_file

#: localisations are written in chunks of so many
LOCALIZATION_CHUNK = 1 << 14


def write_cells(path: Path | str, cells: Cells | StreamedCells, overwrite: bool = False) -> None:
    """Write a cells file, atomically.

    Raises
    ------
    InputError
        If the target exists, or the parts of ``cells`` don't fit together.
    """
    _check(cells, str(path))
    with atomic_path(path, overwrite) as temporary, create_file(temporary) as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["fps"] = cells.fps
        for name in ("session", "session_sha256", "kind", "config", "package_version"):
            hdf5.write_text(file.attrs, name, getattr(cells, name))
        if cells.pixel_size_um is not None:
            file.attrs["pixel_size_um"] = cells.pixel_size_um
        if cells.about:
            file.create_group("metadata").attrs.update(cells.about)
        for name in ("centers", "center_std", "shifts", "baseline"):
            file.create_dataset(name, data=np.asarray(getattr(cells, name), np.float32))
        if cells.nonrigid is not None:
            file["shifts"].attrs["nonrigid"] = cells.nonrigid
        if cells.pattern_cleared is not None:
            file["shifts"].attrs["pattern_cleared"] = cells.pattern_cleared
        for name in PATCHES:
            if getattr(cells, name) is not None:
                file[name] = np.asarray(getattr(cells, name), np.float32)
        for name in TRACES:
            write_rows(file.create_dataset(name, cells.traces.shape, np.float32), getattr(cells, name))
        file["accepted"] = np.asarray(cells.accepted, bool)
        if cells.false_discovery is not None:
            file["accepted"].attrs.update(asdict(cells.false_discovery))
        file["timestamps"] = np.asarray(cells.timestamps, np.float64)
        hdf5.write_footprints(file.create_group("footprints"), cells.footprints, cells.frame_shape)
        file.create_group("quality")
        for name, values in cells.quality.items():
            file[f"quality/{name}"] = np.asarray(values, np.float32)
        if cells.field is not None:
            file["field"] = np.asarray(cells.field, bool)
        if cells.bad_frames is not None:
            file["bad_frames"] = np.asarray(cells.bad_frames, bool)
        if cells.notes:
            file.create_dataset("check", data=list(cells.notes), dtype=h5py.string_dtype())
        write_group(file, cells.behavior)
        file["images/mean"] = np.asarray(cells.mean_image, np.float32)
        file["images/max"] = np.asarray(cells.max_image, np.float32)
        if cells.peak_image is not None:
            file[PEAK] = np.asarray(cells.peak_image, np.float32)
        _write_localizations(file.create_group("localizations"), cells)


def _write_localizations(group: h5py.Group, cells: Cells | StreamedCells) -> None:
    """Append block after block; only how many there are is known at the end."""
    written = 0
    columns = {
        name: group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(LOCALIZATION_CHUNK,))
        for name, dtype in LOCALIZATION_TYPES.items()
    }
    for block in cells.localizations.blocks():
        check_claims(block, len(cells), group.file.filename)
        for name, column in columns.items():
            column.resize(written + len(block), 0)
            column[written:] = getattr(block, name)
        written += len(block)


def read_origin(path: Path | str) -> dict[str, str]:
    """Where the cells of a file come from: its ``session_sha256``, ``config`` and ``package_version``.

    Raises
    ------
    InputError
        If it is no cells file.
    """
    with hdf5.open_file(Path(path), FORMAT, VERSION) as file, reading(path, parsing=True):
        return {
            name: hdf5.text(file.attrs.get(name, ""))
            for name in ("session_sha256", "config", "package_version")
        }


def count_cells(path: Path | str) -> tuple[int, int]:
    """How many cells of a file are accepted, and how many there are.

    Raises
    ------
    InputError
        If it is no cells file.
    """
    with hdf5.open_file(Path(path), FORMAT, VERSION) as file, reading(path, parsing=True):
        accepted = hdf5.read(file, "accepted", (None,), bool)
    return int(accepted.sum()), len(accepted)


def read_cells(path: Path | str) -> Cells:
    """Read a cells file whole, as a person left its cells.

    What a page has decided already, and not written into the file yet, counts.

    Raises
    ------
    InputError
        If the file is missing, of another format or version, or breaks the contract.
    """
    with reading(path, parsing=True), open_decided(path) as streamed:
        cells = streamed.in_memory()
    _check(cells, str(path))
    _check_values(cells, str(path))
    return cells


def _check(cells: Cells | StreamedCells, where: str) -> None:
    count, length = cells.traces.shape
    height, width = cells.frame_shape
    expected: dict[str, tuple[int, ...]] = {
        "centers": (count, 2),
        "center_std": (count, 2),
        "footprints": (count, height * width),
        "denoised": (count, length),
        "spikes": (count, length),
        "accepted": (count,),
        "shifts": (length, 2),
        "baseline": (count,),
        "mean_image": (height, width),
        "max_image": (height, width),
        "timestamps": (length,),
    }
    for name, shape in expected.items():
        found = getattr(cells, name).shape
        if tuple(found) != shape:
            raise InputError(f"{where}: /{name} has shape {tuple(found)}, expected {shape}")


def _check_values(cells: Cells, where: str) -> None:
    """Traces are nan where a frame held no picture, and nowhere else."""
    gaps = np.zeros(cells.traces.shape[1], bool) if cells.bad_frames is None else cells.bad_frames
    for name in TRACES:
        values: np.ndarray = getattr(cells, name)
        bad = ~np.isfinite(values).all(0) & ~gaps
        if bad.any():
            raise InputError(f"{where}: /{name} holds NaN or infinite values in frame {int(np.argmax(bad))}")
    if len(found := cells.localizations) and not 0 <= found.frame.min() <= found.frame.max() < len(gaps):
        raise InputError(f"{where}: /localizations/frame names frames beyond the {len(gaps)} of the file")
