"""Footprints for CellReg (Sheintuch et al. 2017): one ``.mat`` file a session, one variable, cells first.

CellReg takes the file's only variable, a K x H x W array. Which rows of the cells file these are isn't in it:
they are the accepted cells in their order, or all with ``rejected=true``.
"""

from __future__ import annotations

from pathlib import Path

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.writers.matlab import save
from calcium_lightning.io.writers.table import Export


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write the footprints, atomically.

    Raises
    ------
    InputError
        If the target exists, or there are no cells.
    """
    if not len(cells):
        raise InputError(f"{export.source or target}: no cells to export")
    footprints = cells.footprints.toarray().reshape(-1, *cells.frame_shape).astype(float)
    save(target, {"footprints": footprints}, export.overwrite)
