"""From scores to the table: means over the recordings of a kind, and their spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from kinds import KINDS, PUBLISHED
from scores import Folders, Row, read_all
from steps import write_json
from timing import machine

from calcium_lightning.core.atomic import atomic_path

#: a column's figure, heading and form
Column = tuple[str, str, str]
TRUTH: list[Column] = [
    ("f1", "F1", ".3f"),
    ("precision", "precision", ".3f"),
    ("recall", "recall", ".3f"),
    ("center_error", "centre error px", ".2f"),
    ("correlation", "r", ".3f"),
    ("both", "both", ".3f"),
    ("recall_inner", "recall inner", ".3f"),
    ("recall_border", "border", ".3f"),
    ("recall_dim", "inner dim", ".3f"),
    ("recall_bright", "inner bright", ".3f"),
    ("motion_rmse", "motion RMSE px", ".2f"),
]
MASK: list[Column] = [
    ("mask_cells", "cells", ".0f"),
    ("mask_precision", "precision", ".3f"),
    ("mask_chance", "chance", ".3f"),
    ("mask_kappa", "κ", ".3f"),
    ("mask_parts_hit", "parts hit", ".0f"),
    ("mask_parts", "of", ".0f"),
]
#: added up over recordings, not averaged
SUMMED = {"mask_parts_hit", "mask_parts"}
COST: list[Column] = [("cpu_seconds", "CPU s", ".0f"), ("peak_mb", "peak MB", ".0f")]
#: the first methods of every kind, others after them by name
FIRST = ("this project", "this project, diameter given", "band-pass baseline", "Suite2p")
LEGEND = """\
Means over the recordings of a kind ± their standard deviation (n − 1): that of recordings, not of the mean.
Accepted cells only. Centres match one to one within 6 px, after the best offset of the whole field. *r*:
Pearson of the denoised trace with the true calcium, median over matches. *Both*: F1 of cells that are found
with r > 0.8. *Border*: within 12 px of an edge; *dim*, *bright*: below and above the median brightness of the
recording's true cells, inside. *Motion*: per axis, after a constant offset; nothing where the method doesn't
tell its motion or there is none. CPU seconds (of all cores together) and the largest memory are of the whole
process, from the raw recording to the cells file; nothing where a result came as a file. Wall times, which
other work on the machine changes, are in the JSON.
"""


def write(folders: Folders) -> str:
    """Write ``accuracy.json`` and ``accuracy.md`` of every score that is there; gives the latter's text."""
    rows = in_order(read_all(folders))
    write_json(folders.output / "accuracy.json", {"written_on": machine(), "recordings": rows})
    text = report(rows)
    _write_text(folders.output / "accuracy.md", text)
    return text


def in_order(rows: Iterable[Row]) -> list[Row]:
    """By kind as their table has them, then recording, then method."""
    kinds = {name: place for place, name in enumerate(KINDS)}

    def place(row: Row) -> tuple[object, ...]:
        method = row["method"]
        first = FIRST.index(method) if method in FIRST else len(FIRST)
        seed = row["seed"]
        kind = kinds.get(row["kind"], len(kinds))
        return kind, row["kind"], int(seed) if seed.isdigit() else 0, seed, first, method

    return sorted(rows, key=place)


def report(rows: Sequence[Row]) -> str:
    """The tables, what their rows and columns are, and what failed."""
    simulated = [row for row in rows if _source(row) != PUBLISHED]
    published = [row for row in rows if _source(row) == PUBLISHED]
    parts = ["# Accuracy", "Written by `python experiments/benchmark/accuracy.py`."]
    if simulated:
        parts += ["## Simulated recordings", LEGEND.strip(), table(simulated, TRUTH + COST)]
        names = dict.fromkeys(row["kind"] for row in simulated)
        parts.append("\n".join(f"- {name}: {KINDS[name].about}" for name in names if name in KINDS))
    if published:
        parts += [
            "## Published recordings",
            "Share of centres inside the annotators' mask, the share of the field that it covers (chance), "
            "κ = (precision − chance) / (1 − chance), and how many of its connected parts hold a centre. "
            "*All*: means ± standard deviations over the recordings, sums of the parts.",
            table([*published, *({**row, "seed": "all"} for row in published)], MASK + COST, "seed"),
        ]
    failed = [row for row in rows if "error" in row]
    if failed:
        parts.append("## Failures")
        parts.append("\n".join(f"- {row['recording']}, {row['method']}: {row['error']}" for row in failed))
    return "\n\n".join(parts) + "\n"


def table(rows: Sequence[Row], columns: Sequence[Column], by: str = "kind") -> str:
    """Markdown, one line for each kind (or whatever ``by`` says) and method."""
    names = [name for name, _, _ in columns]
    flat = pd.DataFrame([_flat(row) for row in rows]).reindex(columns=[by, "method", "failed", *names])
    headings = ["recording" if by == "seed" else by, "method", "n", *(heading for _, heading, _ in columns)]
    lines = [f"| {' | '.join(headings)} |", "| --- " * len(headings) + "|"]
    for (group, method), part in flat.groupby([by, "method"], sort=False):
        size, failed = len(part), int(part["failed"].sum())
        cells = [str(group), str(method), f"{size - failed} of {size}" if failed else f"{size}"]
        cells += [_shown(part[name].dropna(), form, name in SUMMED) for name, _, form in columns]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(values: pd.Series[float], form: str, summed: bool) -> str:
    if values.empty:
        return ""
    if summed or len(values) == 1:
        return f"{values.sum():{form}}"
    return f"{values.mean():{form}} ± {values.std():{form}}"


def _flat(row: Row) -> Row:
    """One level, numbers only."""
    figures = {
        name: float("nan") if value is None else value for name, value in row.get("figures", {}).items()
    }
    cost = {name: row.get(name) if row.get(name) is not None else float("nan") for name, _, _ in COST}
    names = {name: row[name] for name in ("kind", "seed", "method")}
    return {**names, "failed": int("error" in row), **figures, **cost}


def _source(row: Row) -> str:
    return KINDS[row["kind"]].source if row["kind"] in KINDS else ""


def _write_text(target: Path, text: str) -> None:
    with atomic_path(target, overwrite=True) as temporary:
        temporary.write_text(text)
