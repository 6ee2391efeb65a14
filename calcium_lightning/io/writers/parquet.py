"""Cells as Parquet: the tables of :mod:`~calcium_lightning.io.writers.tables`, typed and compressed.

pandas, R (arrow), Julia, DuckDB and Spark read it.
"""

from __future__ import annotations

from pathlib import Path

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.io.writers.folder import export_folder
from calcium_lightning.io.writers.table import Export
from calcium_lightning.io.writers.tables import NAMES, all_tables, cells_table


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write the table of cells (a path that ends in ``.parquet``), or a folder of all tables, atomically.

    Raises
    ------
    InputError
        As the CSV tables do.
    """
    numbers = export.numbers(cells)
    if target.suffix.lower() == ".parquet":
        # pyarrow takes no names that aren't UTF-8
        with atomic_path(target, export.overwrite) as temporary, temporary.open("wb") as stream:
            cells_table(cells, numbers).to_parquet(stream, engine="pyarrow", index=False)
        return
    ours = tuple(f"{name}.parquet" for name in NAMES)
    with export_folder(target, ours, export.overwrite) as folder:
        for name, table in all_tables(cells, numbers):
            with (folder / f"{name}.parquet").open("wb") as stream:
                table.to_parquet(stream, engine="pyarrow", index=False)
