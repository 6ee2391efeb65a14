"""The cells file: what ``extract`` writes, and all that an export or a report needs.

The only place that knows the paths inside a cells file's HDF5. Knows nothing of how cells were found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning import hdf5
from calcium_lightning.atomic import atomic_path
from calcium_lightning.errors import InputError

FORMAT, VERSION = "calcium-lightning-cells", 1
#: a centre is the centroid of the part of a footprint above this share of its peak
CENTER_LEVEL = 0.3
#: what of a cell is as long as the recording
TRACES = ("traces", "denoised", "spikes")
#: what there is where motion was removed place by place
PATCHES = ("patch_shifts", "patch_std")
#: traces are written in pieces of about so many bytes, and localisations in chunks of so many
BLOCK_BYTES, LOCALIZATION_CHUNK = 2 << 20, 1 << 14


@dataclass(frozen=True)
class Localizations:
    """Every localisation in every frame, (N,) each.

    Attributes
    ----------
    frame : ndarray, int32
        Index of the frame.
    y, x, y_std, x_std : ndarray, float32
        Position and its standard error, pixels of the session's frames.
    amplitude : ndarray, float32
        Peak brightness, units of the frames.
    cell : ndarray, int32
        Row of the cell that claimed it, -1 for none.
    """

    frame: np.ndarray
    y: np.ndarray
    x: np.ndarray
    amplitude: np.ndarray
    y_std: np.ndarray
    x_std: np.ndarray
    cell: np.ndarray

    @classmethod
    def empty(cls) -> Localizations:
        """No localisations."""
        real = np.zeros(0, np.float32)
        whole = np.zeros(0, np.int32)
        return cls(whole, real, real, real, real, real, whole)

    @classmethod
    def concatenate(cls, parts: Iterable[Localizations]) -> Localizations:
        """Several, in order."""
        held = [cls.empty(), *parts]
        return cls(
            **{part.name: np.concatenate([getattr(one, part.name) for one in held]) for part in fields(cls)}
        )

    def __len__(self) -> int:
        return len(self.frame)

    def blocks(self) -> Iterator[Localizations]:
        """Yield them in pieces; these are in memory, and one."""
        yield self


LOCALIZATION_TYPES = {
    part.name: np.int32 if part.name in ("frame", "cell") else np.float32 for part in fields(Localizations)
}


class Rows(Protocol):
    """Traces (K, T), float32, that need not be in memory: any span of rows can be had."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(K, T)."""
        ...

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        """Some rows."""
        ...


class LocalizationBlocks(Protocol):
    """Localisations that need not be in memory."""

    def blocks(self) -> Iterator[Localizations]:
        """Yield them in pieces, in order of their frames."""
        ...


@dataclass(frozen=True, kw_only=True)
class CellTable:
    """K cells of a session of T frames of (H, W) pixels, without their traces.

    Attributes
    ----------
    centers, center_std : ndarray, float32 (K, 2)
        (y, x) of the centroid of the footprint's part above 30 % of its peak, and its standard error, pixels.
    footprints : csr_matrix, float32 (K, H*W)
        Each scaled to a peak of 1.
    frame_shape : (int, int)
        (H, W).
    accepted : ndarray, bool (K,)
        Passed the quality tests.
    quality : dict of str to ndarray, float32 (K,)
        ``snr``, ``score`` (0 to 1) and whatever else the tests use.
    shifts : ndarray, float32 (T, 2)
        The motion that was removed (dy, dx), pixels, sign as in the session.
    baseline : ndarray, float32 (K,)
        F0 of each cell in the units of the frames.
    mean_image, max_image : ndarray, float32 (H, W)
        Of the motion-corrected recording.
    timestamps : ndarray, float64 (T,)
        Seconds.
    session, session_sha256 : str
        Path and hash of the session.
    fps : float
        Hz.
    kind : {"raw", "dff"}
        Units of the frames.
    pixel_size_um : float or None
        Micrometres per pixel.
    config : str
        The whole config of the run, YAML.
    package_version : str
        Version of this package that wrote the file.
    nonrigid : float or None
        Motion that differs over the field, root mean square of its length, pixels: removed where there are
        ``patch_shifts``, left otherwise. None where it isn't known.
    patch_shifts, patch_std : ndarray, float32 (T, Py, Px, 2) and (Py, Px, 2), or None
        The motion that was removed at places from border to border, and its standard error, pixels; between
        them it is bilinear. ``shifts`` is then its mean over the field.
    """

    centers: np.ndarray
    center_std: np.ndarray
    footprints: csr_matrix
    frame_shape: tuple[int, int]
    accepted: np.ndarray
    quality: dict[str, np.ndarray]
    shifts: np.ndarray
    baseline: np.ndarray
    mean_image: np.ndarray
    max_image: np.ndarray
    timestamps: np.ndarray
    session: str = ""
    session_sha256: str = ""
    fps: float = 1.0
    kind: str = "raw"
    pixel_size_um: float | None = None
    config: str = ""
    package_version: str = ""
    nonrigid: float | None = None
    patch_shifts: np.ndarray | None = None
    patch_std: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.centers)

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return len(self.shifts)


@dataclass(frozen=True, kw_only=True)
class Cells(CellTable):
    """The cells of a session; see :class:`CellTable` for what isn't listed here.

    Attributes
    ----------
    traces : ndarray, float32 (K, T)
        Demixed fluorescence in the units of the frames (peak pixel), baseline 0.
    denoised, spikes : ndarray, float32 (K, T)
        The fitted calcium trace and the deconvolved activity.
    localizations : Localizations
        Every localisation in every frame.
    """

    traces: np.ndarray
    denoised: np.ndarray
    spikes: np.ndarray
    localizations: Localizations = field(default_factory=Localizations.empty)


@dataclass(frozen=True, kw_only=True)
class StreamedCells(CellTable):
    """Cells whose traces and localisations are somewhere else, to be written piece by piece.

    Attributes
    ----------
    traces, denoised, spikes : Rows
        (K, T).
    localizations : LocalizationBlocks
        Every localisation in every frame.
    """

    traces: Rows
    denoised: Rows
    spikes: Rows
    localizations: LocalizationBlocks

    def in_memory(self) -> Cells:
        """Read everything."""
        parts = {part.name: getattr(self, part.name) for part in fields(CellTable)}
        traces = {name: self.__dict__[name][slice(None)] for name in TRACES}
        found = Localizations.concatenate(self.localizations.blocks())
        return Cells(**parts, **traces, localizations=found)


def footprint_centers(
    footprints: csr_matrix, frame_shape: tuple[int, int], level: float = CENTER_LEVEL
) -> np.ndarray:
    """Centroid (y, x) of the part of each footprint above ``level`` of its peak.

    Returns
    -------
    ndarray, float32 (K, 2)
        Pixels; NaN for an empty footprint.
    """
    matrix = csr_matrix(footprints)
    count = matrix.shape[0]
    rows = np.repeat(np.arange(count), np.diff(matrix.indptr))
    peaks = np.zeros(count)
    np.maximum.at(peaks, rows, matrix.data)
    weights = np.where(matrix.data > level * peaks[rows], matrix.data, 0).astype(np.float64)
    y, x = np.divmod(matrix.indices, frame_shape[1])
    mass = np.bincount(rows, weights, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        centers = (
            np.stack([np.bincount(rows, weights * y, count), np.bincount(rows, weights * x, count)], 1)
            / mass[:, None]
        )
    return centers.astype(np.float32)


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
        file["timestamps"] = np.asarray(cells.timestamps, np.float64)
        hdf5.write_footprints(file.create_group("footprints"), cells.footprints, cells.frame_shape)
        file.create_group("quality")
        for name, values in cells.quality.items():
            file[f"quality/{name}"] = np.asarray(values, np.float32)
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
    with hdf5.open_file(Path(path), FORMAT, VERSION) as file:
        return {
            name: hdf5.text(file.attrs.get(name, ""))
            for name in ("session_sha256", "config", "package_version")
        }


def read_cells(path: Path | str) -> Cells:
    """Read a cells file whole.

    Raises
    ------
    InputError
        If the file is missing, of another format or version, or breaks the contract.
    """
    with hdf5.open_file(Path(path), FORMAT, VERSION) as file:
        footprints, frame_shape = hdf5.read_footprints(file, "footprints")
        count = footprints.shape[0]
        traces = hdf5.read(file, "traces", (count, None), np.float32)
        length = traces.shape[1]

        def read(name: str, *shape: int | None, dtype: Any = np.float32) -> np.ndarray:
            return hdf5.read(file, name, shape, dtype)

        first = read("localizations/frame", None, dtype=np.int32)
        parts = {
            name: read(f"localizations/{name}", len(first), dtype=dtype)
            for name, dtype in LOCALIZATION_TYPES.items()
        }
        patch_shifts = patch_std = None
        if all(name in file for name in PATCHES):
            patch_shifts = read("patch_shifts", length, None, None, 2)
            patch_std = read("patch_std", *patch_shifts.shape[1:])
        quality = file.get("quality")
        attributes = {
            name: file.attrs.get(name, "")
            for name in ("session", "session_sha256", "kind", "config", "package_version")
        }
        pixel_size = hdf5.number(file.attrs.get("pixel_size_um"))
        nonrigid = hdf5.number(file["shifts"].attrs.get("nonrigid")) if "shifts" in file else np.nan
        fps = hdf5.number(file.attrs.get("fps"))
        if not (np.isfinite(fps) and fps > 0):
            raise InputError(f"{path}: no attribute fps (Hz, above 0); extract the cells again")
        cells = Cells(
            centers=read("centers", count, 2),
            center_std=read("center_std", count, 2),
            footprints=footprints,
            frame_shape=frame_shape,
            traces=traces,
            denoised=read("denoised", count, length),
            spikes=read("spikes", count, length),
            accepted=read("accepted", count, dtype=bool),
            quality={name: read(f"quality/{name}", count) for name in (quality or {})},
            shifts=read("shifts", length, 2),
            nonrigid=nonrigid if np.isfinite(nonrigid) else None,
            patch_shifts=patch_shifts,
            patch_std=patch_std,
            baseline=read("baseline", count),
            mean_image=read("images/mean", *frame_shape),
            max_image=read("images/max", *frame_shape),
            timestamps=read("timestamps", length, dtype=np.float64),
            localizations=Localizations(**parts),
            fps=fps,
            pixel_size_um=pixel_size if np.isfinite(pixel_size) and pixel_size > 0 else None,
            **{name: hdf5.text(value) for name, value in attributes.items()},
        )
    _check(cells, str(path))
    _check_claims(cells.localizations, count, str(path))
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


def _check_claims(block: Localizations, count: int, where: str) -> None:
    claimed = block.cell
    if len(claimed) and (claimed.min() < -1 or claimed.max() >= count):
        raise InputError(f"{where}: /localizations/cell names cells beyond the {count} of the file")
