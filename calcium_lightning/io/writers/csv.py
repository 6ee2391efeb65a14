"""Cells as CSV, for spreadsheets and R: one table of cells, or a folder with the time courses and events too.

Knows :mod:`~calcium_lightning.io.writers.tables` and how numbers are written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.plain import plain_cell
from calcium_lightning.io.writers.folder import export_folder
from calcium_lightning.io.writers.table import Export, chosen_cells
from calcium_lightning.io.writers.tables import NAMES, all_tables, cells_table

if TYPE_CHECKING:
    import pandas as pd

DIGITS = "%.6g"


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write one table, or a folder of tables, atomically.

    A path that ends in ``.csv`` gets the table of cells alone. Any other is a folder: ``cells.csv``,
    ``events.csv``; ``traces.csv``, ``denoised.csv``, ``spikes.csv`` and ``dff.csv`` with a column of time;
    ``shifts.csv``.

    Raises
    ------
    InputError
        If the target exists, or is a folder that holds anything else (which overwriting would remove).
    """
    numbers = export.numbers(cells)
    if target.suffix.lower() == ".csv":
        with atomic_path(target, export.overwrite) as temporary:
            _write(cells_table(cells, numbers), temporary)
        return
    ours = tuple(f"{name}.csv" for name in NAMES)
    with export_folder(target, ours, export.overwrite) as folder:
        for name, table in all_tables(cells, numbers):
            _write(table, folder / f"{name}.csv")


def to_csv(cells: Cells, path: Path | str, *, rejected: bool = False, overwrite: bool = False) -> None:
    """Write accepted cells, or all of them, as :func:`write` does."""
    chosen, rows = chosen_cells(cells, rejected)
    write(chosen, Path(path), Export(ids=rows, overwrite=overwrite))


def _write(table: pd.DataFrame, path: Path) -> None:
    # six digits would round the time stamps of a long session
    times = [name for name in ("time_s", "onset_s", "peak_s") if name in table]
    table = table.assign(**{name: [f"{value:.6f}" for value in table[name]] for name in times})
    words = table.columns.intersection(["labels", "note"])
    table = table.assign(**{name: table[name].map(plain_cell) for name in words})
    table.rename(columns=plain_cell).to_csv(path, index=False, float_format=DIGITS)
