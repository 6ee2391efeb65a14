"""Cells as tables: one row per cell, per frame, per event. What writes them is another module's business.

Every column says its unit. A cell's number is its row in the cells file, in every table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.events import Events, find_events, rates_per_minute
from calcium_lightning.io.writers.measures import decisions, dff, footprint_shapes, unit_of

if TYPE_CHECKING:
    import pandas as pd

#: what of a cell is as long as the recording, as the tables call it
COURSES = ("traces", "denoised", "spikes", "dff")
#: all tables of a folder
NAMES = ("cells", "events", *COURSES, "shifts")


def cells_table(cells: Cells, ids: np.ndarray | None = None, events: Events | None = None) -> pd.DataFrame:
    """One row per cell.

    Parameters
    ----------
    cells : Cells
    ids : ndarray of int (K,), optional
        Their numbers; default 0 to K - 1.
    events : Events, optional
        Theirs, where they are known already.

    Returns
    -------
    DataFrame
        ``cell`` (its row in the cells file), ``y_px``, ``x_px``, ``y_std_px``, ``x_std_px``, ``accepted``,
        every quality, ``baseline_au`` (F0), ``events`` and ``events_per_min`` (see
        :func:`~calcium_lightning.core.events.find_events`), and the size and shape of the footprint's part
        above 30 % of its peak; what a person decided, where one has (``by_hand``, ``origin``, ``regressed``,
        ``replaced``, ``labels``, ``note``); places, areas and diameters in micrometres too where the pixel
        size is known.
    """
    import pandas as pd

    events = events or find_events(cells.traces, cells.denoised)
    rates = rates_per_minute(events, len(cells), cells.fps, cells.measured_frames)
    table = {
        "cell": np.arange(len(cells)) if ids is None else ids,
        "y_px": cells.centers[:, 0],
        "x_px": cells.centers[:, 1],
        "y_std_px": cells.center_std[:, 0],
        "x_std_px": cells.center_std[:, 1],
        "accepted": np.asarray(cells.accepted, bool),
        **cells.quality,
        f"baseline_{unit_of(cells)}": cells.baseline,
        "events": events.counts(len(cells)),
        "events_per_min": np.where(np.isfinite(cells.traces).any(1), rates, np.nan),
        **footprint_shapes(cells),
        **{name: values for name, (values, _) in decisions(cells).items()},
    }
    if cells.pixel_size_um is not None:
        for name in ("y", "x", "diameter"):
            table[f"{name}_um"] = table[f"{name}_px"] * cells.pixel_size_um
        table["area_um2"] = table["area_px"] * cells.pixel_size_um**2
    return pd.DataFrame(table)


def events_table(cells: Cells, ids: np.ndarray | None = None, events: Events | None = None) -> pd.DataFrame:
    """One row per event: ``cell``, ``onset_s``, ``peak_s``, the amplitude in the traces' units and as ΔF/F,
    ``snr`` (amplitude over noise) and ``duration_s``.
    """
    import pandas as pd

    events = events or find_events(cells.traces, cells.denoised)
    numbers = np.arange(len(cells)) if ids is None else np.asarray(ids)
    times = np.asarray(cells.timestamps, float)
    unit = unit_of(cells)
    table = {
        "cell": numbers[events.cell],
        "onset_s": times[events.onset_frame],
        "peak_s": times[events.peak_frame],
        f"amplitude_{unit}": events.amplitude,
        "snr": events.snr,
        "duration_s": events.duration_frames / cells.fps,
    }
    if unit != "dff":
        base = np.where(cells.baseline > 0, cells.baseline, np.nan)
        table["amplitude_dff"] = events.amplitude / base[events.cell]
    return pd.DataFrame(table)


def time_table(cells: Cells, name: str, ids: np.ndarray | None = None) -> pd.DataFrame:
    """``traces``, ``denoised``, ``spikes`` or ``dff``: a row per frame: ``time_s``, a column per cell."""
    import pandas as pd

    values = dff(cells) if name == "dff" else getattr(cells, name)
    numbers = range(len(cells)) if ids is None else ids
    table = pd.DataFrame(values.T, columns=[f"cell_{k}" for k in numbers])
    table.insert(0, "time_s", np.asarray(cells.timestamps, float))
    return table


def shifts_table(cells: Cells) -> pd.DataFrame:
    """A row per frame: ``time_s``, ``dy_px``, ``dx_px``, how far the tissue had gone."""
    import pandas as pd

    return pd.DataFrame(
        {"time_s": cells.timestamps, "dy_px": cells.shifts[:, 0], "dx_px": cells.shifts[:, 1]}
    )


def all_tables(cells: Cells, ids: np.ndarray | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each of :data:`NAMES` with its table, made when it is asked for."""
    events = find_events(cells.traces, cells.denoised)
    yield "cells", cells_table(cells, ids, events)
    yield "events", events_table(cells, ids, events)
    for name in COURSES:
        yield name, time_table(cells, name, ids)
    yield "shifts", shifts_table(cells)
