"""A cells file's content without its traces and localisations, which are read when they are asked for.

With :mod:`~calcium_lightning.io.cells_file`, the only place that knows the paths inside a cells file's HDF5.
Gives what the file's own datasets hold; what a page is just deciding about them is not its business.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from calcium_lightning.core.cells import (
    LOCALIZATION_TYPES,
    Localizations,
    Rows,
    StreamedCells,
)
from calcium_lightning.core.errors import InputError, frame_rate, pixel_size
from calcium_lightning.core.false_discovery import FalseDiscovery
from calcium_lightning.core.reading import reading
from calcium_lightning.io import hdf5
from calcium_lightning.io.behavior import read_group
from calcium_lightning.io.stored import check_stored, whole

FORMAT, VERSION = "calcium-lightning-cells", 1
#: what there is where motion was removed place by place
PATCHES = ("patch_shifts", "patch_std")
#: the picture of peaks, where there is one
PEAK = "images/peak_to_noise"
#: localisations that are read at a time, and bytes of traces that are written at a time
BLOCK, BLOCK_BYTES = 1 << 20, 2 << 20


@dataclass(frozen=True)
class StoredRows:
    """Traces (K, T) in an open file.

    Attributes
    ----------
    dataset : h5py.Dataset
        Numbers of two dimensions.
    """

    dataset: h5py.Dataset

    @classmethod
    def of(cls, file: h5py.Group, name: str, count: int | None, length: int | None) -> StoredRows:
        """A dataset of a file, its shape checked (``None`` fits any length).

        Raises
        ------
        InputError
            Naming the file and the dataset.
        """
        node = hdf5.dataset(file, name, 2)
        hdf5.check_shape(node, name, (count, length))
        check_stored(node, f"{file.file.filename}: /{name}")
        return cls(node)

    @property
    def shape(self) -> tuple[int, int]:
        """(K, T)."""
        count, length = self.dataset.shape
        return count, length

    def __getitem__(self, rows: slice) -> np.ndarray:
        with reading(self.dataset.file.filename), np.errstate(over="ignore"):
            return np.asarray(self.dataset[rows], np.float32)

    def frames(self, start: int, stop: int) -> np.ndarray:
        """Some frames of all rows, float32 (K, stop - start)."""
        return np.asarray(self.dataset[:, start:stop], np.float32)


@dataclass(frozen=True)
class StoredBlocks:
    """Localisations in an open file.

    Attributes
    ----------
    group : h5py.Group
        One dataset (N,) for each field of :class:`~calcium_lightning.core.cells.Localizations`.
    count : int
        K cells that may claim them.
    """

    group: h5py.Group
    count: int

    def blocks(self) -> Iterator[Localizations]:
        """Yield them in the order of their frames."""
        for start in range(0, len(self.group["frame"]), BLOCK):
            part = slice(start, start + BLOCK)
            block = Localizations(
                **{
                    name: np.asarray(self.group[name][part], dtype)
                    for name, dtype in LOCALIZATION_TYPES.items()
                }
            )
            check_claims(block, self.count, self.group.file.filename)
            yield block


@contextmanager
def open_cells(path: Path | str) -> Iterator[StreamedCells]:
    """Open a cells file; traces and localisations are read from it while the block runs.

    Raises
    ------
    InputError
        If the file is missing, of another format or version, or breaks the contract.
    """
    with hdf5.open_file(Path(path), FORMAT, VERSION) as file, reading(path):
        with reading(path, parsing=True):
            cells = stream(file)
        yield cells


def stream(file: h5py.File) -> StreamedCells:
    """The cells of an open file.

    Raises
    ------
    InputError
        As :func:`open_cells`.
    """
    path = file.filename
    footprints, frame_shape = hdf5.read_footprints(file, "footprints")
    count = footprints.shape[0]
    traces = StoredRows.of(file, "traces", count, None)
    length = traces.shape[1]

    def read(name: str, *shape: int | None, dtype: type = np.float32, finite: bool = False) -> np.ndarray:
        return hdf5.read(file, name, shape, dtype, finite)

    total = len(hdf5.dataset(file, "localizations/frame", 1))
    for name in (f"localizations/{name}" for name in LOCALIZATION_TYPES):
        node = hdf5.dataset(file, name, 1)
        hdf5.check_shape(node, name, (total,))
        check_stored(node, f"{path}: /{name}")
    patch_shifts = patch_std = None
    if all(name in file for name in PATCHES):
        patch_shifts = read("patch_shifts", length, None, None, 2)
        patch_std = read("patch_std", *patch_shifts.shape[1:])
    quality = file.get("quality")
    if quality is not None and not isinstance(quality, h5py.Group):
        raise InputError(f"{path}: /quality is no group; extract the cells again")
    attributes = {
        name: hdf5.text(file.attrs.get(name, ""))
        for name in ("session_sha256", "kind", "config", "package_version")
    }
    size = hdf5.number(file.attrs.get("pixel_size_um"))
    about_motion = file["shifts"].attrs if "shifts" in file else {}
    nonrigid = hdf5.number(about_motion.get("nonrigid"))
    cleared = about_motion.get("pattern_cleared")
    fps = hdf5.number(file.attrs.get("fps"))
    if not (np.isfinite(fps) and fps > 0):
        raise InputError(f"{path}: no attribute fps (Hz, above 0); extract the cells again")
    frame_rate(f"{path}: fps", fps)
    return StreamedCells(
        centers=read("centers", count, 2, finite=True),
        center_std=read("center_std", count, 2),
        footprints=footprints,
        frame_shape=frame_shape,
        traces=traces,
        denoised=StoredRows.of(file, "denoised", count, length),
        spikes=StoredRows.of(file, "spikes", count, length),
        accepted=read("accepted", count, dtype=bool),
        quality={name: read(f"quality/{name}", count) for name in (quality or {})},
        shifts=_shifts(read("shifts", length, 2), file),
        nonrigid=nonrigid if np.isfinite(nonrigid) else None,
        pattern_cleared=None if cleared is None else hdf5.flag(cleared, f"{path}: /shifts, pattern_cleared"),
        patch_shifts=patch_shifts,
        patch_std=patch_std,
        field=read("field", *frame_shape, dtype=bool) if "field" in file else None,
        bad_frames=read("bad_frames", length, dtype=bool) if "bad_frames" in file else None,
        notes=tuple(hdf5.text(line) for line in whole(file["check"]).ravel()) if "check" in file else (),
        false_discovery=false_discovery(file.get("accepted")),
        baseline=read("baseline", count),
        mean_image=read("images/mean", *frame_shape),
        max_image=read("images/max", *frame_shape),
        peak_image=read(PEAK, *frame_shape) if PEAK in file else None,
        timestamps=read("timestamps", length, dtype=np.float64, finite=True),
        about=hdf5.texts(file.get("metadata")),
        behavior=read_group(file),
        localizations=StoredBlocks(file["localizations"], count),
        fps=fps,
        pixel_size_um=pixel_size(f"{path}: pixel_size_um", size) if size > 0 else None,
        session=hdf5.name_of_file(file.attrs.get("session", "")),
        session_sha256=attributes["session_sha256"],
        kind=attributes["kind"],
        config=attributes["config"],
        package_version=attributes["package_version"],
    )


def check_claims(block: Localizations, count: int, where: str) -> None:
    """Refuse localisations that are claimed by cells that don't exist.

    Raises
    ------
    InputError
        Naming the file.
    """
    claimed = block.cell
    if len(claimed) and (claimed.min() < -1 or claimed.max() >= count):
        raise InputError(f"{where}: /localizations/cell names cells beyond the {count} of the file")


def false_discovery(verdict: h5py.Dataset | None) -> FalseDiscovery | None:
    """What the file says of how many accepted cells are false, beside the verdict; None if it doesn't."""
    attributes = {} if verdict is None else verdict.attrs
    if "basis" not in attributes:
        return None
    fdr, expected, targets, decoys = (
        hdf5.number(attributes.get(name)) for name in ("fdr", "expected_false", "targets", "decoys")
    )
    if not np.isfinite([fdr, expected, targets, decoys]).all():
        return None
    return FalseDiscovery(fdr, expected, hdf5.text(attributes["basis"]), int(targets), int(decoys))


def write_rows(dataset: h5py.Dataset, rows: np.ndarray | Rows) -> None:
    """Write traces piece by piece."""
    count, length = dataset.shape
    step = max(1, BLOCK_BYTES // max(1, 4 * length))
    for start in range(0, count, step):
        dataset[start : start + step] = rows[slice(start, start + step)]


def _shifts(shifts: np.ndarray, file: h5py.Group) -> np.ndarray:
    """The motion that was removed; ``nan`` in all frames where another program didn't tell it."""
    if not (np.isfinite(shifts).all() or np.isnan(shifts).all()):
        raise InputError(f"{file.file.filename}: /shifts holds NaN or infinite values, or too large ones")
    return shifts
