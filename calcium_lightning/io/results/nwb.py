"""Cells in an NWB file: its ``PlaneSegmentation`` and the traces of it, of ours and of anybody's.

NWB's axes are (x, y) and (time, cell); masks are images or lists of (x, y, weight).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.io import hdf5
from calcium_lightning.io.results.build import Footprints, cells_of, numbers
from calcium_lightning.io.stored import open_results, open_stored, whole

#: series that hold each course, by our name and by those of others
TRACES = ("traces", "RoiResponseSeries", "Fluorescence", "raw", "dff", "DfOverF")
DENOISED, SPIKES = ("denoised",), ("spikes", "deconvolved", "Deconvolved")


def suits(path: Path) -> bool:
    """An NWB file with a segmentation."""
    if not path.is_file() or path.suffix.lower() != ".nwb":
        return False
    try:
        with open_stored(path) as file:
            return bool(_of_type(file, "PlaneSegmentation"))
    except (OSError, RuntimeError):
        return False


def footprints(path: Path) -> Footprints:
    """Where the cells of an NWB file's first segmentation are.

    Raises
    ------
    InputError
        If there are several segmentations, or none of the masks can be read.
    """
    with open_results(path) as file:
        table = _table(path, file)
        matrix, frame_shape = _masks(path, file, table)
        accepted = next(
            (whole(table[name]).ravel() for name in ("accepted", "Accepted", "keep") if name in table), None
        )
    return Footprints(
        matrix, frame_shape, None if accepted is None else numbers(path, "verdicts", accepted) > 0
    )


def read(path: Path) -> Cells:
    """The cells of an NWB file's first segmentation.

    Raises
    ------
    InputError
        As :func:`footprints`.
    """
    where = footprints(path)
    count = where.matrix.shape[0]
    with open_results(path) as file:
        table = _table(path, file)
        series = {name.rpartition("/")[2]: file[name] for name in _of_type(file, "RoiResponseSeries")}

        def course(names: tuple[str, ...]) -> np.ndarray | None:
            for name in names:
                if name in series and series[name]["data"].ndim == 2:
                    values = numbers(path, name, whole(series[name]["data"]))
                    if values.shape[1] == count:
                        return values.T
            return None

        clock = next((node for name in TRACES if (node := series.get(name)) is not None), None)
        rate, times = _clock(clock)
        base = whole(table["baseline"]) if "baseline" in table else None
        traces = course(TRACES)
        return cells_of(
            path,
            "NWB",
            where,
            course(DENOISED) if traces is None else traces,
            denoised=course(DENOISED),
            spikes=course(SPIKES),
            baseline=base,
            quality={name: whole(table[name]) for name in ("snr", "score") if name in table},
            fps=rate,
            timestamps=times,
        )


def _table(path: Path, file: h5py.File) -> h5py.Group:
    tables = _of_type(file, "PlaneSegmentation")
    if len(tables) != 1:
        raise InputError(f"{path}: {len(tables)} segmentations ({', '.join(tables)}); one is read")
    return file[tables[0]]


def _masks(path: Path, file: h5py.File, table: h5py.Group) -> tuple[csr_matrix, tuple[int, int]]:
    """Footprints (K, H*W)."""
    if "image_mask" in table:
        masks = numbers(path, "masks", whole(table["image_mask"]))
        if masks.ndim != 3:
            raise InputError(f"{path}: masks of {masks.shape[1:]}; a field of two dimensions is wanted")
        count, width, height = masks.shape
        return csr_matrix(masks.transpose(0, 2, 1).reshape(count, height * width)), (height, width)
    if "pixel_mask" not in table or "pixel_mask_index" not in table:
        raise InputError(f"{path}: a segmentation without image or pixel masks")
    pixels = whole(table["pixel_mask"])
    ends = numbers(path, "masks", whole(table["pixel_mask_index"]), np.int64)
    if not {"x", "y", "weight"} <= set(pixels.dtype.names or ()):
        raise InputError(f"{path}: pixel masks without x, y and weight")
    if any(pixels.dtype[name].kind not in "fiu" for name in ("x", "y", "weight")):
        raise InputError(f"{path}: its pixel masks are no numbers")
    height, width = _field(file, pixels)
    flat = pixels["y"].astype(np.int64) * width + pixels["x"]
    starts = np.concatenate([[0], ends])
    return csr_matrix((pixels["weight"], flat, starts), (len(ends), height * width)), (height, width)


def _field(file: h5py.File, pixels: Any) -> tuple[int, int]:
    """Size of the field (H, W): that of a picture in the file, or what the masks need."""
    for name in (*_of_type(file, "GrayscaleImage"), *_of_type(file, "OnePhotonSeries")):
        node = file[name]
        shape = (node["data"] if isinstance(node, h5py.Group) else node).shape
        if len(shape) >= 2:
            return int(shape[-1]), int(shape[-2])
    if not len(pixels):
        return 1, 1
    return int(pixels["y"].max()) + 1, int(pixels["x"].max()) + 1


def _clock(series: h5py.Group | None) -> tuple[float | None, np.ndarray | None]:
    """Rate (Hz) and time stamps (s) of a series, as far as it says."""
    if series is None:
        return None, None
    times = whole(series["timestamps"]) if "timestamps" in series else None
    start = series.get("starting_time")
    if start is None:
        return None, times
    rate, first = hdf5.number(start.attrs.get("rate")), hdf5.number(whole(start))
    if rate > 0:
        return rate, first + np.arange(len(series["data"])) / rate
    return None, times


def _of_type(file: h5py.File, kind: str) -> list[str]:
    """Paths of the objects of an NWB type."""
    found: list[str] = []

    def visit(name: str, node: Any) -> None:
        if hdf5.text(node.attrs.get("neurodata_type", "")) == kind:
            found.append(name)

    file.visititems(visit)
    return found
