"""The page and the table of several programs' cells of one recording.

Knows :class:`~calcium_lightning.comparison.results.ResultsComparison`. Names of files are data: the template
escapes them.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from calcium_lightning.comparison.results import Result, ResultsComparison
from calcium_lightning.core.outputs import atomic_paths, check_outputs
from calcium_lightning.core.plain import plain_cell
from calcium_lightning.metrics.table import CELLS
from calcium_lightning.pages import pictures
from calcium_lightning.pages.page import render_template, write_page

#: figures against the truth that are shown, where they were measured
SHOWN = ("precision", "recall", "f1", "center_error", "correlation", "both", "mask_precision", "mask_kappa")


def render(comparison: ResultsComparison, title: str) -> str:
    """The page as HTML, everything inside it."""
    results = comparison.results
    height, width = results[0].cells.frame_shape
    return render_template(
        "results.html.j2",
        {
            "title": title,
            "radius": f"{comparison.radius:g}",
            "headings": headings(comparison),
            "rows": [row(comparison, index) for index in range(len(results))],
            "names": [item.name for item in results],
            "shared": [
                [_shared(comparison, first, second) for second in range(len(results))]
                for first in range(len(results))
            ],
            "fields": [_field(item, len(results) - 1) for item in results],
            "height": height,
            "width": width,
        },
    )


def headings(comparison: ResultsComparison) -> list[tuple[str, str]]:
    """Columns of the table of results, and what they mean."""
    return [
        ("result", ""),
        ("program", "as the result says it"),
        ("cells", "that count: accepted, by the program or by hand"),
        ("rejected", "cells that are in the file and don't count"),
        ("by itself", "cells that no other of these results has"),
        *((CELLS[name].title, CELLS[name].meaning) for name in _measured(comparison)),
    ]


def row(comparison: ResultsComparison, index: int) -> list[str]:
    """A row of the table of results."""
    item = comparison.results[index]
    figures = [
        "" if math.isnan(value := item.figures.get(name, math.nan)) else CELLS[name].text(value)
        for name in _measured(comparison)
    ]
    alone = int((item.others == 0).sum())
    return [item.name, item.program, str(len(item.cells)), str(item.rejected), str(alone), *figures]


def pairs(comparison: ResultsComparison) -> Iterator[list[Any]]:
    """One row of text and numbers a pair: both names, cells in both, median distance and correlation."""
    for item in comparison.agreements:
        names = [comparison.results[place].name for place in (item.first, item.second)]
        yield [*names, item.shared, _number(item.distance), _number(item.correlation)]


def write(
    comparison: ResultsComparison, page: Path, table: Path, title: str, *, overwrite: bool = False
) -> None:
    """Write the page, and a CSV file of both tables: both or none.

    Raises
    ------
    InputError
        If one of the files exists.
    """
    check_outputs({"page": page, "table": table}, overwrite)
    text = render(comparison, title)
    with atomic_paths((page, table), overwrite) as (page_now, table_now):
        write_page(page_now, text)
        with table_now.open("w", newline="", encoding="utf-8", errors="replace") as stream:
            writer = csv.writer(stream)
            writer.writerow([name for name, _ in headings(comparison)])
            for index in range(len(comparison.results)):
                writer.writerow(map(plain_cell, row(comparison, index)))
            writer.writerow([])
            writer.writerow(["first", "second", "in both", "distance px", "trace correlation r"])
            for pair in pairs(comparison):
                writer.writerow(map(plain_cell, pair))


def _measured(comparison: ResultsComparison) -> list[str]:
    return [name for name in SHOWN if any(name in item.figures for item in comparison.results)]


def _shared(comparison: ResultsComparison, first: int, second: int) -> dict[str, str]:
    """How much of a result another has too."""
    if first == second:
        return {"share": "", "note": ""}
    count, pair = len(comparison.results[first].cells), comparison.of(first, second)
    share = f"{pair.shared / count:.0%}" if count else ""
    correlation = _number(pair.correlation)
    return {"share": share, "note": f"{pair.shared} cells" + (f", r {correlation}" if correlation else "")}


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def _field(result: Result, others: int) -> dict[str, Any]:
    """A result's picture and outlines, each with how many of the others have it."""
    cells = result.cells
    image = cells.lit_image if cells.max_image.any() else cells.mean_image
    outlines = [
        {
            "path": pictures.outline(pictures.patch(cells.footprints, k, cells.frame_shape[1])),
            "kind": "alone" if not seen else "all" if seen == others else "some",
            "seen": int(seen),
        }
        for k, seen in enumerate(result.others)
    ]
    picture = pictures.png(image, "gray", *pictures.contrast(image)) if image.any() else ""
    return {"name": result.name, "image": picture, "outlines": outlines}
