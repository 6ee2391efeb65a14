"""A recording's cells against its truth: one small JSON file for each recording and method.

These files are all that the table and ``accuracy.json`` are made of.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from kinds import Recording
from methods import Method
from processes import Run
from steps import Failed, write_json

Row = dict[str, Any]


class Folders:
    """Where the files of a benchmark are."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.recordings, self.cells, self.scores, self.pictures = (
            output / name for name in ("recordings", "cells", "scores", "pictures")
        )

    def session(self, name: str) -> Path:
        return self.recordings / f"{name}.h5"

    def cells_of(self, name: str, key: str) -> Path:
        return self.cells / f"{name}.{key}.h5"

    def score_of(self, name: str, key: str) -> Path:
        return self.scores / f"{name}.{key}.json"


def measure(folders: Folders, recording: Recording, method: Method) -> Row | None:
    """The figures of one method on one recording, made unless they are there.

    A failure is a row too, and is tried again the next time. None where the method doesn't apply.
    """
    session, target = folders.session(recording.name), folders.score_of(recording.name, method.key)
    row: Row = {
        "recording": recording.name,
        "kind": recording.kind.name,
        "seed": recording.seed,
        "method": method.title,
    }
    try:
        made = method.cells(recording, session, folders.cells_of(recording.name, method.key))
        if made is None:
            return None
        cells, took = made
        known = read(target)
        newest = max(path.stat().st_mtime for path in (cells, session))
        if known is not None and "error" not in known and target.stat().st_mtime >= newest:
            return known
        row |= {"cells_file": str(cells.resolve()), "figures": figures(cells, session), **_cost(took)}
    except Failed as failure:
        row["error"] = str(failure)
    write_json(target, row)
    return row


def figures(cells: Path, session: Path) -> dict[str, float | None]:
    """What ``calcium_lightning.evaluate`` says of accepted cells, and the motion's error as one figure.

    None for what isn't known: a motion that the peer doesn't tell, or a recall where there are no cells.

    Raises
    ------
    Failed
        If the files can't be read or don't fit each other.
    """
    from calcium_lightning.core.errors import InputError
    from calcium_lightning.metrics.evaluation import evaluate

    try:
        told: dict[str, float] = evaluate([cells], [session])["recordings"][0]["figures"]
    except InputError as error:
        raise Failed(str(error)) from error
    if "motion_rmse_y" in told:  # of both axes together, each counting the same
        told["motion_rmse"] = math.hypot(told["motion_rmse_y"], told["motion_rmse_x"]) / math.sqrt(2)
    return {name: value if math.isfinite(value) else None for name, value in told.items()}


def read(path: Path) -> Row | None:
    """A score, where there is one that can be read."""
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return row if isinstance(row, dict) else None


def read_all(folders: Folders) -> list[Row]:
    """Every score that is there."""
    return [row for path in sorted(folders.scores.glob("*.json")) if (row := read(path)) is not None]


def line(row: Row) -> str:
    """A row as one line of progress."""
    name = f"{row['recording']:<16} {row['method']:<28}"
    if "error" in row:
        return f"{name} failed: {row['error']}"
    shown = [
        f"{title} {row['figures'][key]:{form}}"
        for key, title, form in SHOWN
        if row["figures"].get(key) is not None
    ]
    cost = f"{row['seconds']:.0f} s, {row['peak_mb']:.0f} MB" if row.get("seconds") else ""
    return "  ".join([name, *shown, cost]).rstrip()


#: figure, its name and its form in a line of progress
SHOWN = [
    ("f1", "F1", ".3f"),
    ("precision", "precision", ".3f"),
    ("recall", "recall", ".3f"),
    ("center_error", "centre px", ".2f"),
    ("correlation", "r", ".3f"),
    ("both", "both", ".3f"),
    ("mask_precision", "precision", ".3f"),
    ("mask_chance", "chance", ".3f"),
    ("mask_kappa", "κ", ".3f"),
    ("mask_parts_hit", "parts hit", ".0f"),
]


def _cost(took: Run | None) -> dict[str, float | None]:
    if took is None:
        return {"seconds": None, "cpu_seconds": None, "peak_mb": None}
    return {"seconds": took.seconds, "cpu_seconds": took.cpu_seconds, "peak_mb": took.peak_mb}
