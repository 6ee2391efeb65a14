"""Tracks as CSV, for spreadsheets and R: a row for each track, two columns for each session.

Knows :class:`~calcium_lightning.core.tracks.Tracks` and pandas.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.plain import plain_cell
from calcium_lightning.core.tracks import Tracks

if TYPE_CHECKING:
    import pandas as pd


def tracks_table(tracks: Tracks) -> pd.DataFrame:
    """One row per track.

    Returns
    -------
    DataFrame
        ``track``, ``sessions`` (in how many it is), and for each session its cell (row of the cells file,
        -1 for none) under the session's name, and ``NAME probability`` (empty for none);
        where somebody decided, ``NAME by hand`` as well.
    """
    import pandas as pd

    columns: dict[str, np.ndarray] = {"track": np.arange(len(tracks)), "sessions": tracks.days}
    for row, session in enumerate(tracks.sessions):
        name = session.name if session.name not in columns else f"{session.name} ({row})"
        columns[name] = tracks.cell[:, row]
        columns[f"{name} probability"] = tracks.probability[:, row]
        if tracks.searched is not None:
            columns[f"{name} searched"] = tracks.searched[:, row]
        if tracks.decided is not None:
            columns[f"{name} by hand"] = tracks.decided[:, row]
    return pd.DataFrame(columns)


def export_tracks_csv(tracks: Tracks, path: Path | str, *, overwrite: bool = False) -> None:
    """Write the table, atomically.

    Raises
    ------
    InputError
        If the target exists.
    """
    with atomic_path(path, overwrite) as temporary:
        tracks_table(tracks).rename(columns=plain_cell).to_csv(temporary, index=False, float_format="%.4g")
