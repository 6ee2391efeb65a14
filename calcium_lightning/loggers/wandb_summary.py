"""Which value of a figure a run is remembered by: its best, not its last.

Knows ``metrics.csv`` and :mod:`~calcium_lightning.metrics.table`.
"""

from __future__ import annotations

import math
from pathlib import Path

from calcium_lightning.loggers.metrics_table import read_table
from calcium_lightning.metrics.table import better_of


def better(name: str, one: float, other: float) -> float:
    """The better of two values of a figure that has a best."""
    return min(one, other) if better_of(name) == "min" else max(one, other)


def best_so_far(metrics: Path) -> dict[str, float]:
    """The best value of each figure in a run's table that has one."""
    best: dict[str, float] = {}
    for row in read_table(metrics)[1]:
        for name, text in row.items():
            if better_of(name) and text and not math.isnan(value := float(text)):
                best[name] = better(name, best.get(name, value), value)
    return best
