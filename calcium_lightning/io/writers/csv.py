"""Cells as CSV, for spreadsheets and R: one table of cells, or a folder with the time courses too.

Knows :class:`~calcium_lightning.core.cells.Cells`, pandas and the region properties of scikit-image.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calcium_lightning.core.atomic import atomic_path, check_output
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.plain import plain_cell
from calcium_lightning.core.scale import CENTROID_LEVEL

if TYPE_CHECKING:
    import pandas as pd

#: region properties of scikit-image -> their column
SHAPES = {
    "area": "area_px",
    "equivalent_diameter_area": "diameter_px",
    "axis_major_length": "major_axis_px",
    "axis_minor_length": "minor_axis_px",
    "eccentricity": "eccentricity",
    "orientation": "orientation_rad",
    "solidity": "solidity",
}
COURSES = ("traces", "denoised", "spikes")
DIGITS = "%.6g"


def cells_table(cells: Cells) -> pd.DataFrame:
    """One row per cell.

    Returns
    -------
    DataFrame
        ``cell`` (its row in the cells file), ``y``, ``x``, ``y_std``, ``x_std`` (pixels), ``accepted``,
        ``baseline``, every quality, ``events`` (frames with activity), and the size and shape of the
        footprint's part above 30 % of its peak (:func:`skimage.measure.regionprops`; NaN for an empty
        footprint); areas and diameters in micrometres too where the pixel size is known.
    """
    import pandas as pd

    table = {
        "cell": np.arange(len(cells)),
        "y": cells.centers[:, 0],
        "x": cells.centers[:, 1],
        "y_std": cells.center_std[:, 0],
        "x_std": cells.center_std[:, 1],
        "accepted": np.asarray(cells.accepted, bool),
        **cells.quality,
        "baseline": cells.baseline,
        "events": (cells.spikes > 0).sum(1),
        **footprint_shapes(cells),
    }
    if cells.pixel_size_um is not None:
        table["area_um2"] = table["area_px"] * cells.pixel_size_um**2
        table["diameter_um"] = table["diameter_px"] * cells.pixel_size_um
    return pd.DataFrame(table)


def footprint_shapes(cells: Cells, level: float = CENTROID_LEVEL) -> dict[str, np.ndarray]:
    """Size and shape of each footprint's part above `level` of its peak: column -> (K,) float64."""
    from skimage.measure import regionprops

    values = {column: np.full(len(cells), np.nan) for column in SHAPES.values()}
    matrix, width = cells.footprints, cells.frame_shape[1]
    for k in range(len(cells)):
        row = slice(matrix.indptr[k], matrix.indptr[k + 1])
        weights = matrix.data[row]
        bright = weights > level * weights.max(initial=0)
        if not bright.any():
            continue
        y, x = np.divmod(matrix.indices[row][bright], width)
        region = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1), np.uint8)  # the bounding box, not the field
        region[y - y.min(), x - x.min()] = 1
        (properties,) = regionprops(region)
        for name, column in SHAPES.items():
            # the hull of a region one pixel wide doesn't exist: such a region is convex
            flat = name == "solidity" and min(region.shape) < 2
            values[column][k] = 1.0 if flat else properties[name]
    return values


def time_table(cells: Cells, name: str) -> pd.DataFrame:
    """``traces``, ``denoised`` or ``spikes``: a row per frame: ``time`` (seconds), a column per cell."""
    import pandas as pd

    table = pd.DataFrame(getattr(cells, name).T, columns=[f"cell_{k}" for k in range(len(cells))])
    table.insert(0, "time", cells.timestamps)
    return table


def export_csv(cells: Cells, path: Path | str, *, overwrite: bool = False) -> None:
    """Write one table, or a folder of tables, atomically.

    A path that ends in ``.csv`` gets the table of cells alone. Any other is a folder: ``cells.csv``;
    ``traces.csv``, ``denoised.csv`` and ``spikes.csv`` with a column of time; ``shifts.csv``.

    Raises
    ------
    InputError
        If the target exists, or is a folder that holds anything else (which overwriting would remove).
    """
    target = Path(path)
    if target.suffix.lower() == ".csv":
        with atomic_path(target, overwrite) as temporary:
            _write(cells_table(cells), temporary)
        return
    check_output(target, overwrite, folder=True)
    _check_folder(target)
    with atomic_path(target, overwrite, folder=True) as folder:
        folder.mkdir()
        _write(cells_table(cells), folder / "cells.csv")
        for name in COURSES:
            _write(time_table(cells, name), folder / f"{name}.csv")
        _write(_shifts_table(cells), folder / "shifts.csv")


def _shifts_table(cells: Cells) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"time": cells.timestamps, "dy": cells.shifts[:, 0], "dx": cells.shifts[:, 1]})


def _write(table: pd.DataFrame, path: Path) -> None:
    if "time" in table:
        # six digits would round the time stamps of a long session
        table = table.assign(time=[f"{value:.6f}" for value in table["time"]])
    table.rename(columns=plain_cell).to_csv(path, index=False, float_format=DIGITS)


def _check_folder(target: Path) -> None:
    ours = {"cells.csv", "shifts.csv", *(f"{name}.csv" for name in COURSES)}
    if target.is_dir():
        foreign = sorted(entry.name for entry in target.iterdir() if entry.name not in ours)
        if foreign:
            raise InputError(f"{target}: holds other files ({foreign[0]}); give a folder of its own")
    elif target.exists():
        raise InputError(f"{target}: is a file; a folder of tables can't replace it")
