"""Cells as a cells file of ours: what other programs found, to curate, or to keep beside our own.

Knows :mod:`~calcium_lightning.io.cells_file`.
"""

from __future__ import annotations

from pathlib import Path

from calcium_lightning.core.cells import Cells
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.writers.table import Export


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write a cells file.

    Raises
    ------
    InputError
        If the target exists.
    """
    write_cells(target, cells, export.overwrite)
