"""The page of a comparison: which settings made which results, and how to repeat the best.

Knows :class:`~calcium_lightning.comparison.compare.Comparison`; gathers everything that the template shows.
Names of folders, settings and errors are data: the template escapes them.
"""

from __future__ import annotations

import base64
import csv
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from calcium_lightning.comparison.compare import Comparison, command_of
from calcium_lightning.comparison.ranking import course
from calcium_lightning.core.outputs import atomic_paths, check_outputs
from calcium_lightning.core.plain import plain_cell
from calcium_lightning.metrics.table import meaning_of
from calcium_lightning.pages import comparison_figures as figures
from calcium_lightning.pages.page import Fact, render_template, write_page

PICTURES, PICTURE_BYTES = 12, 12_000_000  # runs whose pictures are shown, and all pictures together
CURVES = 4  # metrics whose learning curves are shown
PNG = b"\x89PNG\r\n\x1a\n"


def render(comparison: Comparison, title: str) -> str:
    """The page as HTML, everything inside it."""
    return render_template("comparison.html.j2", context(comparison, title))


def write(
    comparison: Comparison, page: Path, table: Path, title: str = "", *, overwrite: bool = False
) -> None:
    """Write a comparison as one HTML page, everything inside it, and as a CSV file: both or none.

    Columns of the table, the best run first: ``run``, ``folder``, ``status``, ``seconds``, then the settings
    that differ, the results, and ``error``.

    Raises
    ------
    InputError
        If one of the files exists.
    """
    check_outputs({"page": page, "table": table}, overwrite)
    text = render(comparison, title or page.stem)
    with atomic_paths((page, table), overwrite) as (page_now, table_now):
        write_page(page_now, text)
        _write_csv(comparison, table_now)


def _write_csv(comparison: Comparison, output: Path) -> None:
    metrics = comparison.metrics
    settings = [parameter.name for parameter in comparison.parameters]
    with output.open("w", newline="", encoding="utf-8", errors="replace") as stream:
        writer = csv.writer(stream)
        names = ["run", "folder", "status", "seconds", *settings, *metrics, "error"]
        writer.writerow(map(plain_cell, names))
        for row, run in enumerate(comparison.runs):
            values = [parameter.values[row] for parameter in comparison.parameters]
            results = [comparison.results[row].get(name) for name in metrics]
            about = [comparison.names[row], run.folder, run.status, run.seconds]
            writer.writerow(map(plain_cell, [*about, *values, *results, run.error]))


def context(comparison: Comparison, title: str) -> dict[str, Any]:
    """Everything that the template shows; values are plain text, numbers and data URIs."""
    courses = _with_course(comparison)
    measured = any(math.isfinite(value) for value in comparison.values)
    return {
        "title": title,
        "facts": _facts(comparison),
        "tiles": _tiles(comparison),
        "metric": comparison.metric,
        "best": None if comparison.best is None else _best(comparison),
        "caution": comparison.caution[:1].upper() + comparison.caution[1:],
        "parameter_names": [item.name for item in comparison.parameters],
        "columns": _columns(comparison),
        "rows": _rows(comparison),
        "panels": figures.panels(comparison) if measured and comparison.parameters else None,
        "more_parameters": max(0, len(comparison.parameters) - figures.PANELS),
        "parallel": figures.parallel(comparison) if measured and len(comparison.parameters) > 1 else None,
        "curves": figures.curves(comparison, courses) if courses else None,
        "pictures": _pictures(comparison),
        "running": any(run.status == "running" for run in comparison.runs),
        "errors": [
            (name, run.error)
            for name, run in zip(comparison.names, comparison.runs, strict=True)
            if run.error
        ],
        "names": comparison.names,
        "others": [(item.name, [figures.text(value) for value in item.values]) for item in comparison.others],
    }


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def number(value: float) -> str:
    """A result, to four digits; nothing where there is none."""
    return "" if math.isnan(value) else f"{value:.4g}"


def _facts(comparison: Comparison) -> list[Fact]:
    runs = comparison.runs
    facts = [Fact("folder", str(_together(comparison)))]
    for name, key in (("version", "package_version"), ("git commit", "git_commit")):
        known = list(dict.fromkeys(run.origin[key] for run in runs if key in run.origin))
        if known:
            facts.append(Fact(name, ", ".join(known)))
    data = list(dict.fromkeys(tuple(run.data.items()) for run in runs if run.data))
    if len(data) > 1:
        facts.append(Fact("sessions", "different ones: results compare only as far as these do"))
    elif data:
        facts.append(Fact("sessions", ", ".join(f"{path} ({hash_[:8]}…)" for path, hash_ in data[0])))
    return facts


def _together(comparison: Comparison) -> Path:
    import os

    folders = [str(run.folder.resolve()) for run in comparison.runs]
    return Path(os.path.commonpath(folders))


def _tiles(comparison: Comparison) -> list[Fact]:
    states = Counter(run.status for run in comparison.runs)
    rest = ", ".join(f"{count} {state}" for state, count in states.most_common() if state != "finished")
    tiles = [
        Fact("runs finished", str(states["finished"]), f"of {len(comparison.runs)}" + (rest and f": {rest}"))
    ]
    if comparison.metric is not None and comparison.best is not None:
        value = number(comparison.values[comparison.best])
        least = "least" if comparison.metric.mode == "min" else "most"
        tiles.append(Fact(f"best {comparison.metric.name}", value, f"{least} is best"))
        tiles.append(Fact("best run", comparison.names[comparison.best]))
    seconds = [run.seconds for run in comparison.runs if run.seconds is not None]
    if seconds:
        tiles.append(
            Fact("time", duration(sum(seconds)), f"all runs together; the longest {duration(max(seconds))}")
        )
    return tiles


def _best(comparison: Comparison) -> dict[str, Any]:
    assert comparison.best is not None
    run = comparison.runs[comparison.best]
    return {
        "name": comparison.names[comparison.best],
        "folder": str(run.folder),
        "finished": run.status == "finished",
        "command": command_of(run),
        "cwd": run.origin.get("cwd"),
        "settings": [
            (item.name, figures.text(item.values[comparison.best])) for item in comparison.parameters
        ],
    }


def _columns(comparison: Comparison) -> list[tuple[str, str]]:
    """Headings of the results, and what they mean."""
    return [(name, meaning_of(name)) for name in comparison.metrics]


def _rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for row, run in enumerate(comparison.runs):
        yield {
            "name": comparison.names[row],
            "best": row == comparison.best,
            "status": run.status,
            "seconds": "" if run.seconds is None else duration(run.seconds),
            "parameters": [figures.text(item.values[row]) for item in comparison.parameters],
            "results": [number(comparison.results[row].get(name, math.nan)) for name in comparison.metrics],
        }


def _with_course(comparison: Comparison) -> list[str]:
    wanted = [*comparison.metrics, "train/loss"]
    have = [name for name in wanted if any(not course(run, name).empty for run in comparison.runs)]
    return list(dict.fromkeys(have))[:CURVES]


def _pictures(comparison: Comparison) -> list[tuple[str, list[dict[str, str]]]]:
    """Kind of picture -> the newest of each of the best runs."""
    left = PICTURE_BYTES
    kinds: dict[str, list[dict[str, str]]] = {}
    for row, run in enumerate(comparison.runs[:PICTURES]):
        about = {"name": figures.label_of(comparison, row), "value": number(comparison.values[row])}
        for kind, path in run.pictures.items():
            try:
                content = path.read_bytes()
            except OSError:  # a running job may have replaced it
                continue
            left -= len(content)
            if left > 0 and content.startswith(PNG):
                image = "data:image/png;base64," + base64.b64encode(content).decode()
                kinds.setdefault(kind, []).append({**about, "image": image})
    return list(kinds.items())
