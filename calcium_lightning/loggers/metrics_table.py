"""``metrics.csv``: every logged number of a run, whatever other loggers there are.

Lightning's CSVLogger starts anew when a run is resumed; this one goes on.
"""

from __future__ import annotations

import csv
import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from calcium_lightning.core.atomic import atomic_path

FIRST = ("epoch", "step")


class MetricsTable(Logger):
    """Rows of a CSV file, one per call of ``log_metrics``, on disk at once.

    Parameters
    ----------
    path : path-like
        The file; rows that are in it already are kept.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__()
        self.path = Path(path)
        self._columns: list[str] | None = None

    @property
    def name(self) -> str:
        """Nothing: the folder says it."""
        return ""

    @property
    def version(self) -> str:
        """Nothing: the folder says it."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Leave them to the run's ``.hydra`` folder."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row; a name that is new makes a new column."""
        row: dict[str, Any] = {"step": step, **metrics}
        columns = self._columns if self._columns is not None else read_table(self.path)[0]
        new = sorted(set(row) - set(columns), key=lambda name: (name not in FIRST, name))
        if new:
            columns = [
                *(name for name in FIRST if name in {*columns, *new}),
                *(n for n in [*columns, *new] if n not in FIRST),
            ]
            write_table(self.path, columns, read_table(self.path)[1])
        self._columns = columns
        size = self.path.stat().st_size
        try:
            with self.path.open("a", newline="") as stream:
                csv.DictWriter(stream, columns, restval="").writerow(row)
        except OSError:  # a full disk takes half a row, and the next would go on in it
            os.truncate(self.path, size)
            raise


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a metrics file; empty where there is none."""
    if not path.is_file():
        return [], []
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        return list(reader.fieldnames or []), list(reader)


def forget_after(path: Path, steps: int) -> None:
    """Drop the rows of steps that a resumed run takes again."""
    columns, rows = read_table(path)
    kept = [row for row in rows if row.get("step") and int(row["step"]) < steps]
    if len(kept) < len(rows):
        write_table(path, columns, kept)


def write_table(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    """Write a metrics file anew, atomically."""
    with atomic_path(path, overwrite=True) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
