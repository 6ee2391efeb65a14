"""Cells files of drawn days."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from helpers.drawn_days import SIZE
from helpers.example_cells import make_example

from calcium_lightning.core.cells import footprint_centers
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.io.cells_file import write_cells


def write_day(path: Path, field: FootprintSet, **changes) -> Path:
    """A cells file with a day's footprints."""
    count, length = len(field), 20
    cells, _ = make_example(count=4, length=length, height=SIZE[0], width=SIZE[1])
    blank = np.zeros((count, length), np.float32)
    write_cells(
        path,
        replace(
            cells,
            centers=footprint_centers(field.footprints, SIZE),
            center_std=np.full((count, 2), 0.1, np.float32),
            footprints=field.footprints,
            traces=blank,
            denoised=blank,
            spikes=blank,
            accepted=np.ones(count, bool),
            baseline=np.ones(count, np.float32),
            quality={},
            localizations=type(cells.localizations).empty(),
            **changes,
        ),
    )
    return path
