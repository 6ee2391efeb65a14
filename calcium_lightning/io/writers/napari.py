"""Cells as a folder whose files napari opens as layers, by the readers that come with it.

``mean.tif``, ``maximum.tif`` and ``peak_to_noise.tif`` (pictures), ``labels.tif`` (each pixel has the number
of the cell that is brightest there, plus one), ``outlines.csv`` (shapes), ``centers.csv`` (points, with
qualities and decisions as properties). napari counts from the centre of the first pixel, as we do, and (y, x)
in that order.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.plain import plain_cell
from calcium_lightning.io.writers.folder import export_folder
from calcium_lightning.io.writers.imagej import outline
from calcium_lightning.io.writers.measures import decisions
from calcium_lightning.io.writers.table import Export

FILES = ("mean.tif", "maximum.tif", "peak_to_noise.tif", "labels.tif", "outlines.csv", "centers.csv")
#: a cell's label covers what is brighter than this share of its peak
LEVEL = 0.5


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write the folder, atomically.

    Raises
    ------
    InputError
        If the target exists or holds other files, or there are no cells.
    """
    import tifffile

    if not len(cells):
        raise InputError(f"{export.source or target}: no cells to export")
    numbers = export.numbers(cells)
    with export_folder(target, FILES, export.overwrite) as folder:
        tifffile.imwrite(folder / "mean.tif", cells.mean_image)
        tifffile.imwrite(folder / "maximum.tif", cells.max_image)
        if cells.peak_image is not None:
            tifffile.imwrite(folder / "peak_to_noise.tif", cells.peak_image)
        tifffile.imwrite(folder / "labels.tif", labels(cells, numbers))
        _write_outlines(folder / "outlines.csv", cells)
        _write_centers(folder / "centers.csv", cells, numbers)


def labels(cells: Cells, numbers: np.ndarray) -> np.ndarray:
    """For each pixel the number of the cell that is brightest there, plus one; int32 (H, W), 0 for none."""
    height, width = cells.frame_shape
    matrix = cells.footprints
    rows = np.repeat(np.arange(len(cells)), np.diff(matrix.indptr))
    bright = matrix.data > LEVEL
    order = np.argsort(matrix.data[bright], kind="stable")  # the brightest is written last
    image = np.zeros(height * width, np.int32)
    image[matrix.indices[bright][order]] = numbers[rows[bright][order]] + 1
    return image.reshape(height, width)


def _write_outlines(path: Path, cells: Cells) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["index", "shape-type", "vertex-index", "axis-0", "axis-1"])
        for shape, places in enumerate(filter(len, (outline(cells, row) for row in range(len(cells))))):
            for vertex, (y, x) in enumerate(places[:-1]):  # a polygon closes itself
                table.writerow([shape, "polygon", vertex, f"{y:.2f}", f"{x:.2f}"])


def _write_centers(path: Path, cells: Cells, numbers: np.ndarray) -> None:
    said = decisions(cells)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        names = [*cells.quality]
        heads = ["index", "axis-0", "axis-1", "cell", "accepted", *names, *said]
        table.writerow(map(plain_cell, heads))
        known = np.flatnonzero(np.isfinite(cells.centers).all(1))
        for place, row in enumerate(known.tolist()):
            y, x = cells.centers[row]
            values = [f"{cells.quality[name][row]:.6g}" for name in names]
            decided = [values[row] for values, _ in said.values()]
            line = [place, f"{y:.3f}", f"{x:.3f}", numbers[row], int(cells.accepted[row])]
            table.writerow(map(plain_cell, [*line, *values, *decided]))
