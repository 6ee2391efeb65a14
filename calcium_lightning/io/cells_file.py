"""The cells file: written, read, and checked against its contract.

The only place that knows the paths inside a cells file's HDF5. Knows nothing of how cells were found.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import (
    LOCALIZATION_TYPES,
    TRACES,
    Cells,
    FalseDiscovery,
    Localizations,
    Rows,
    StreamedCells,
)
from calcium_lightning.core.errors import InputError, frame_rate, pixel_size
from calcium_lightning.core.reading import reading
from calcium_lightning.io import hdf5

FORMAT, VERSION = "calcium-lightning-cells", 1
#: what there is where motion was removed place by place
PATCHES = ("patch_shifts", "patch_std")
#: traces are written in pieces of about so many bytes, and localisations in chunks of so many
BLOCK_BYTES, LOCALIZATION_CHUNK = 2 << 20, 1 << 14


def write_cells(path: Path | str, cells: Cells | StreamedCells, overwrite: bool = False) -> None:
    """Write a cells file, atomically.

    Raises
    ------
    InputError
        If the target exists, or the parts of ``cells`` don't fit together.
    """
    _check(cells, str(path))
    with atomic_path(path, overwrite) as temporary, hdf5.create_file(temporary) as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        for name in ("session", "session_sha256", "fps", "kind", "config", "package_version"):
            file.attrs[name] = getattr(cells, name)
        if cells.pixel_size_um is not None:
            file.attrs["pixel_size_um"] = cells.pixel_size_um
        if cells.about:
            file.create_group("metadata").attrs.update(cells.about)
        for name in ("centers", "center_std", "shifts", "baseline"):
            file.create_dataset(name, data=np.asarray(getattr(cells, name), np.float32))
        if cells.nonrigid is not None:
            file["shifts"].attrs["nonrigid"] = cells.nonrigid
        for name in PATCHES:
            if getattr(cells, name) is not None:
                file[name] = np.asarray(getattr(cells, name), np.float32)
        for name in TRACES:
            _write_rows(file.create_dataset(name, cells.traces.shape, np.float32), getattr(cells, name))
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
        file["images/mean"] = np.asarray(cells.mean_image, np.float32)
        file["images/max"] = np.asarray(cells.max_image, np.float32)
        _write_localizations(file.create_group("localizations"), cells)


def _write_rows(dataset: h5py.Dataset, rows: np.ndarray | Rows) -> None:
    count, length = dataset.shape
    step = max(1, BLOCK_BYTES // max(1, 4 * length))
    for start in range(0, count, step):
        dataset[start : start + step] = rows[slice(start, start + step)]


def _write_localizations(group: h5py.Group, cells: Cells | StreamedCells) -> None:
    """Append block after block; only how many there are is known at the end."""
    written = 0
    columns = {
        name: group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(LOCALIZATION_CHUNK,))
        for name, dtype in LOCALIZATION_TYPES.items()
    }
    for block in cells.localizations.blocks():
        _check_claims(block, len(cells), group.file.filename)
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
    with hdf5.open_file(Path(path), FORMAT, VERSION) as file, reading(path):
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
    with hdf5.open_file(Path(path), FORMAT, VERSION) as file, reading(path):
        accepted = hdf5.read(file, "accepted", (None,), bool)
    return int(accepted.sum()), len(accepted)


def read_cells(path: Path | str) -> Cells:
    """Read a cells file whole.

    Raises
    ------
    InputError
        If the file is missing, of another format or version, or breaks the contract.
    """
    with hdf5.open_file(Path(path), FORMAT, VERSION) as file, reading(path):
        footprints, frame_shape = hdf5.read_footprints(file, "footprints")
        count = footprints.shape[0]
        traces = hdf5.read(file, "traces", (count, None), np.float32)
        length = traces.shape[1]

        def read(name: str, *shape: int | None, dtype: Any = np.float32, finite: bool = False) -> np.ndarray:
            return hdf5.read(file, name, shape, dtype, finite)

        first = read("localizations/frame", None, dtype=np.int32)
        parts = {
            name: read(f"localizations/{name}", len(first), dtype=dtype)
            for name, dtype in LOCALIZATION_TYPES.items()
        }
        patch_shifts = patch_std = None
        if all(name in file for name in PATCHES):
            patch_shifts = read("patch_shifts", length, None, None, 2)
            patch_std = read("patch_std", *patch_shifts.shape[1:])
        field = read("field", *frame_shape, dtype=bool) if "field" in file else None
        bad_frames = read("bad_frames", length, dtype=bool) if "bad_frames" in file else None
        notes = tuple(hdf5.text(line) for line in file["check"][...].ravel()) if "check" in file else ()
        quality = file.get("quality")
        if quality is not None and not isinstance(quality, h5py.Group):
            raise InputError(f"{path}: /quality is no group; extract the cells again")
        attributes = {
            name: hdf5.text(file.attrs.get(name, ""))
            for name in ("session", "session_sha256", "kind", "config", "package_version")
        }
        size = hdf5.number(file.attrs.get("pixel_size_um"))
        nonrigid = hdf5.number(file["shifts"].attrs.get("nonrigid")) if "shifts" in file else np.nan
        fps = hdf5.number(file.attrs.get("fps"))
        if not (np.isfinite(fps) and fps > 0):
            raise InputError(f"{path}: no attribute fps (Hz, above 0); extract the cells again")
        frame_rate(f"{path}: fps", fps)
        cells = Cells(
            centers=read("centers", count, 2, finite=True),
            center_std=read("center_std", count, 2),
            footprints=footprints,
            frame_shape=frame_shape,
            traces=traces,
            denoised=read("denoised", count, length),
            spikes=read("spikes", count, length),
            accepted=read("accepted", count, dtype=bool),
            quality={name: read(f"quality/{name}", count) for name in (quality or {})},
            shifts=read("shifts", length, 2, finite=True),
            nonrigid=nonrigid if np.isfinite(nonrigid) else None,
            patch_shifts=patch_shifts,
            patch_std=patch_std,
            field=field,
            bad_frames=bad_frames,
            notes=notes,
            false_discovery=_false_discovery(file),
            baseline=read("baseline", count),
            mean_image=read("images/mean", *frame_shape),
            max_image=read("images/max", *frame_shape),
            timestamps=read("timestamps", length, dtype=np.float64, finite=True),
            about=hdf5.texts(file.get("metadata")),
            localizations=Localizations(**parts),
            fps=fps,
            pixel_size_um=pixel_size(f"{path}: pixel_size_um", size) if size > 0 else None,
            session=attributes["session"],
            session_sha256=attributes["session_sha256"],
            kind=attributes["kind"],
            config=attributes["config"],
            package_version=attributes["package_version"],
        )
    _check(cells, str(path))
    _check_values(cells, str(path))
    _check_claims(cells.localizations, count, str(path))
    return cells


def _false_discovery(file: h5py.File) -> FalseDiscovery | None:
    """What the file says of how many accepted cells are false, if it does."""
    attributes = file["accepted"].attrs if "accepted" in file else {}
    if "basis" not in attributes:
        return None
    fdr, expected, targets, decoys = (
        hdf5.number(attributes.get(name)) for name in ("fdr", "expected_false", "targets", "decoys")
    )
    if not np.isfinite([fdr, expected, targets, decoys]).all():
        return None
    return FalseDiscovery(fdr, expected, hdf5.text(attributes["basis"]), int(targets), int(decoys))


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


def _check_claims(block: Localizations, count: int, where: str) -> None:
    claimed = block.cell
    if len(claimed) and (claimed.min() < -1 or claimed.max() >= count):
        raise InputError(f"{where}: /localizations/cell names cells beyond the {count} of the file")
