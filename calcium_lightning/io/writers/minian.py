"""Cells as Minian keeps them: zarr arrays in a folder that its ``open_minian``, CaMAP and placecell read.

``A`` (unit_id, height, width), ``C``, ``S`` and ``YrA`` (unit_id, frame), ``motion`` (frame, shift_dim),
``max_proj`` (height, width). Minian's motion is what moves a frame back into place. There is no background.
Zarr of version 2, which Minian's xarray reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.gaps import without_gaps
from calcium_lightning.io.writers.folder import export_folder
from calcium_lightning.io.writers.table import Export

if TYPE_CHECKING:
    import xarray as xr

ARRAYS = ("A", "C", "S", "YrA", "motion", "max_proj")


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write the folder, atomically.

    Raises
    ------
    InputError
        If the target exists or holds other files, or there are no cells.
    """
    if not len(cells):
        raise InputError(f"{export.source or target}: no cells to export")
    ours = tuple(f"{name}.zarr" for name in ARRAYS)
    with export_folder(target, ours, export.overwrite) as folder:
        for array in arrays(without_gaps(cells), export.numbers(cells)):
            array.to_dataset().to_zarr(folder / f"{array.name}.zarr", zarr_format=2, consolidated=True)


def arrays(cells: Cells, numbers: np.ndarray) -> list[xr.DataArray]:
    """The labelled arrays, as Minian names them."""
    import xarray as xr

    height, width = cells.frame_shape
    field = {"height": np.arange(height), "width": np.arange(width)}
    units, frames = {"unit_id": numbers}, {"frame": np.arange(cells.n_frames)}
    shown = cells.footprints.toarray().reshape(-1, height, width)
    course = ("unit_id", "frame")
    return [
        xr.DataArray(shown, {**units, **field}, ("unit_id", "height", "width"), "A"),
        xr.DataArray(cells.denoised, {**units, **frames}, course, "C"),
        xr.DataArray(cells.spikes, {**units, **frames}, course, "S"),
        xr.DataArray(cells.traces - cells.denoised, {**units, **frames}, course, "YrA"),
        xr.DataArray(
            -cells.shifts, {**frames, "shift_dim": ["height", "width"]}, ("frame", "shift_dim"), "motion"
        ),
        xr.DataArray(cells.max_image, field, ("height", "width"), "max_proj"),
    ]
