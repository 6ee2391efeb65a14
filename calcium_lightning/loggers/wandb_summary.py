"""Which value of a figure a run is remembered by: its best, not its last.

Knows names of figures and ``metrics.csv``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from calcium_lightning.loggers.metrics_table import read_table

#: by the last part of a figure's name; of all others the last value is kept
KEPT: dict[str, Literal["min", "max"]] = {
    "loss": "min",
    "reconstruction": "min",
    "rmse": "min",
    "calibration_error": "min",
    "precision": "max",
    "recall": "max",
    "f1": "max",
    "jaccard": "max",
}


def kept_of(name: str) -> Literal["min", "max"] | None:
    """Whether the least or the largest value of a figure is its best; None where neither is."""
    return KEPT.get(name.rpartition("/")[2])


def better(name: str, one: float, other: float) -> float:
    """The better of two values of a figure that has a best."""
    return min(one, other) if kept_of(name) == "min" else max(one, other)


def best_so_far(metrics: Path) -> dict[str, float]:
    """The best value of each figure in a run's table that has one."""
    best: dict[str, float] = {}
    for row in read_table(metrics)[1]:
        for name, text in row.items():
            if kept_of(name) and text and not math.isnan(value := float(text)):
                best[name] = better(name, best.get(name, value), value)
    return best
