"""Some of the cells of a session.

Knows cells and arrays. Who selects keeps the rows: a cell's number, in every file and on every page, is its
row in the cells file.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from calcium_lightning.core.cells import Cells

PER_CELL = ("centers", "center_std", "footprints", "traces", "denoised", "spikes", "accepted", "baseline")


def select(cells: Cells, rows: np.ndarray) -> Cells:
    """The cells of some rows; localisations of the others belong to none.

    Parameters
    ----------
    cells : Cells
    rows : ndarray of int (N,)
        In the order that is wanted.
    """
    parts = {item.name: getattr(cells, item.name)[rows] for item in fields(cells) if item.name in PER_CELL}
    renumbered = np.full(len(cells) + 1, -1, np.int32)  # the last entry is what -1 finds
    renumbered[rows] = np.arange(len(rows))
    found = cells.localizations
    return replace(
        cells,
        **parts,
        quality={name: values[rows] for name, values in cells.quality.items()},
        localizations=replace(found, cell=renumbered[found.cell]),
        curation=None if cells.curation is None else cells.curation.of_rows(rows),
    )
