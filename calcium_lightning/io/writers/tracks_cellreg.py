"""Tracks as CellReg writes them: ``cell_to_index_map`` and the footprints of each session, for MATLAB.

Knows :class:`~calcium_lightning.core.tracks.Tracks`; all sessions' footprints are dense in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.tracks import Tracks
from calcium_lightning.io.writers.matlab import save


def export_cellreg(
    tracks: Tracks, fields: Sequence[FootprintSet], path: Path | str, *, overwrite: bool = False
) -> None:
    """Write a ``.mat`` of version 7.3.

    ``cell_registered_struct.cell_to_index_map`` (N, S) has for each track the cell of each session, from 1,
    and 0 for none; the cells are those of ``spatial_footprints`` {S} (K x H x W): only the ones that were
    tracked, whose rows in the cells files are in ``rows`` {S}. ``p_same_registered_pairs`` is not known;
    ``cell_scores`` is the mean probability of a track's members.

    Raises
    ------
    InputError
        If the target exists.
    """
    probability = np.where(np.isnan(tracks.probability), 0, tracks.probability)
    images = [field.footprints.toarray().reshape(-1, *field.frame_shape) for field in fields]
    struct = {
        "cell_to_index_map": _index_map(tracks, fields),
        "cell_scores": (probability.sum(1) / np.maximum(tracks.days, 1))[:, None],
        "spatial_footprints": _cell_array([image.astype(np.float32) for image in images]),
        "rows": _cell_array([field.rows[:, None] + 1.0 for field in fields]),
    }
    save(Path(path), {"cell_registered_struct": struct}, overwrite)


def _index_map(tracks: Tracks, fields: Sequence[FootprintSet]) -> np.ndarray:
    result = np.zeros(tracks.cell.shape)
    for column, field in enumerate(fields):
        place = np.zeros(field.total + 1)
        place[field.rows] = np.arange(len(field)) + 1
        result[:, column] = place[tracks.cell[:, column]]  # the last entry is what -1 finds
    return result


def _cell_array(parts: Sequence[np.ndarray]) -> np.ndarray:
    """A MATLAB cell array, one row."""
    cells = np.empty((1, len(parts)), object)
    for column, part in enumerate(parts):
        cells[0, column] = part
    return cells
