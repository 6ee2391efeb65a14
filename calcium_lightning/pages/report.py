"""The report of one cells file: what was found in a session, on one page.

Knows :class:`~calcium_lightning.core.cells.Cells` and the figures of ``evaluate``; gathers everything that
the template shows. The page needs no network: pictures and courses are inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.atomic import atomic_path, check_output
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.gaps import without_gaps
from calcium_lightning.core.glossary import described
from calcium_lightning.core.motion_summary import MotionSummary
from calcium_lightning.core.standing import ORIGINS
from calcium_lightning.core.unix_time import to_show
from calcium_lightning.io.results.table import read_cells
from calcium_lightning.metrics.evaluation import read_figures
from calcium_lightning.pages import field, figures, pictures, report_facts
from calcium_lightning.pages.page import render_template, vendored, write_page

STRIPS = 8  # cells in each panel of traces
GALLERY = 240  # footprints shown; a page of thousands helps nobody
COURSE_BYTES = 3_000_000  # for the courses of all cells together
COURSE_POINTS = (150, 1000)  # per cell, least and most
DIAMETERS = 3.0  # side of a thumbnail, in median diameters


def write_report(cells: Path, output: Path, metrics: Path | None = None, *, overwrite: bool = False) -> Cells:
    """Write the page, and give the cells that are on it.

    Parameters
    ----------
    cells : Path
        The cells file.
    output : Path
        The page to make, HTML; everything is inside it.
    metrics : Path, optional
        Figures that ``evaluate`` wrote, of these cells among others.
    overwrite : bool
        Replace an existing page.

    Raises
    ------
    InputError
        If a file can't be read or the page exists.
    """
    check_output(output, overwrite)
    found = read_cells(cells)
    if not found.n_frames:
        raise InputError(f"{cells}: footprints without traces; a report needs both")
    measured = None if metrics is None else read_figures(metrics, cells)
    page = render(found, str(cells), measured)
    with atomic_path(output, overwrite) as temporary:
        write_page(temporary, page)
    return found


def render(cells: Cells, source: str = "", measured: Mapping[str, Any] | None = None) -> str:
    """The page as HTML.

    Parameters
    ----------
    cells : Cells
        What was found.
    source : str
        Name of the cells file, for the record.
    measured : mapping, optional
        Figures of ``evaluate`` for these cells.

    Returns
    -------
    str
        A whole document; every text from a file is escaped.
    """
    return render_template("report.html.j2", context(cells, source, measured))


def context(cells: Cells, source: str = "", measured: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything that the template shows; values are plain text, numbers and data URIs."""
    cells = without_gaps(cells)
    patches = [pictures.patch(cells.footprints, k, cells.frame_shape[1]) for k in range(len(cells))]
    sizes = report_facts.diameters(cells)
    order = figures.by_certainty(cells)
    accepted = np.asarray(cells.accepted, bool)
    panels = [
        ("The most certain cells", order[accepted[order]][:STRIPS]),
        ("The least certain cells that were accepted", order[accepted[order]][STRIPS:][-STRIPS:]),
        ("The rejected cells nearest to acceptance", order[~accepted[order]][:STRIPS]),
    ]
    shown = field.layers(cells)
    typical = float(np.nanmedian(sizes)) if np.isfinite(sizes).any() else 6.0
    return {
        "title": Path(cells.session).name or source or "cells",
        "source": source,
        "facts": report_facts.facts(cells, source),
        "notes": cells.notes,
        "tiles": report_facts.tiles(cells, sizes),
        "measured": report_facts.measured(measured),
        "height": cells.frame_shape[0],
        "width": cells.frame_shape[1],
        "layers": shown,
        "density": _density(cells),
        "gallery": _gallery(cells, patches, sizes, order),
        "gallery_total": len(cells),
        "panels": [(name, figures.traces(cells, rows)) for name, rows in panels if len(rows)],
        "activity": figures.activity(cells) if len(cells) else None,
        "qualities": figures.qualities(cells) if len(cells) and cells.quality else None,
        "motion": figures.motion(cells),
        "places": MotionSummary.of(cells).places,
        "localizations": figures.localizations(cells) if len(cells.localizations) else None,
        "n_localizations": len(cells.localizations),
        "rows": _table(cells, order),
        "quality_names": figures.quality_names(cells),
        "described": described,
        "columns": _columns(cells),
        "config": cells.config,
        "uplot_js": vendored("uplot/uPlot.min.js"),
        "uplot_css": vendored("uplot/uPlot.min.css"),
        "data": {
            "height": cells.frame_shape[0],
            "width": cells.frame_shape[1],
            "marker": max(1.0, typical / 2),
            "layers": shown,
            "outlines": field.outlines(cells, patches),
            "notes": _notes(cells),
            **_courses(cells),
        },
    }


def _density(cells: Cells) -> str | None:
    """The map of localisations; None where the file holds none."""
    if not len(cells.localizations):
        return None
    count = field.densities(cells)
    top = float(np.percentile(count[count > 0], 99)) if count.any() else 1.0
    return pictures.png(count, "magma", 0, top)


def _notes(cells: Cells) -> list[str]:
    """What is told of a cell where the pointer is."""
    names = figures.quality_names(cells)[:3]
    verdicts = (_verdict(cells, k) for k in range(len(cells)))
    return [
        ", ".join(
            [
                f"#{k}",
                *(f"{name} {cells.quality[name][k]:.3g}" for name in names),
                *([] if verdict == "accepted" else [verdict]),
            ]
        )
        for k, verdict in enumerate(verdicts)
    ]


def _verdict(cells: Cells, row: int) -> str:
    """Whether a cell counts, by whom, and what a person said of it."""
    told = "accepted" if cells.accepted[row] else "rejected"
    standing = cells.curation
    if standing is None:
        return told
    if not standing.present[row]:
        told = f"replaced by {standing.replaced_by[row]}"
    elif standing.verdict[row]:
        told += " by hand"
    if standing.origin[row]:
        told += f", {ORIGINS[standing.origin[row]]}"
    return "; ".join(filter(None, (told, ", ".join(standing.labels[row]), standing.notes[row])))


def _columns(cells: Cells) -> list[tuple[str, str]]:
    """Headings of the table, and what they mean."""
    return [
        ("cell", "its number: the row of the cells file, the same everywhere"),
        ("y px", "of the footprint's bright part, pixels from the top"),
        ("x px", "pixels from the left"),
        ("± px", "standard error of the centre"),
        *((name, described(name)) for name in figures.quality_names(cells)),
        ("events / min", "rises of the denoised trace by three standard deviations of the noise or more"),
        ("verdict", "of the tests, or a person's; with the labels and words that were given"),
    ]


def _gallery(
    cells: Cells, patches: list[pictures.Patch], diameters: np.ndarray, order: np.ndarray
) -> list[dict[str, Any]]:
    if not len(cells):
        return []
    typical = float(np.nanmedian(diameters)) if np.isfinite(diameters).any() else 8.0
    side = int(np.clip(2 * round(DIAMETERS * typical / 2) + 1, 9, 61))
    return [
        {
            "id": int(k),
            "accepted": bool(cells.accepted[k]),
            "image": pictures.png(pictures.thumbnail(patches[k], cells.centers[k], side), "viridis"),
        }
        for k in order[:GALLERY]
    ]


def _table(cells: Cells, order: np.ndarray) -> list[dict[str, Any]]:
    names, rates = figures.quality_names(cells), report_facts.rates(cells)
    return [
        {
            "id": int(k),
            "rate": f"{rates[k]:.1f}" if len(rates) else "",
            "accepted": bool(cells.accepted[k]),
            "verdict": _verdict(cells, int(k)),
            "place": [f"{value:.1f}" for value in cells.centers[k]],
            "std": f"{np.sqrt((cells.center_std[k] ** 2).mean()):.2f}",
            "qualities": [f"{cells.quality[name][k]:.3g}" for name in names],
        }
        for k in order
    ]


def _courses(cells: Cells) -> dict[str, Any]:
    """What the script draws when a cell is chosen."""
    most = int(np.clip(COURSE_BYTES // (4 * max(len(cells), 1)), *COURSE_POINTS))
    values, low, high = pictures.courses(cells.traces, cells.denoised, cells.spikes, most)
    times = to_show(cells.timestamps)
    return {
        "count": len(cells),
        "points": values.shape[2],
        "courses": pictures.base64_bytes(values),
        "low": [round(float(value), 4) for value in low],
        "high": [round(float(value), 4) for value in high],
        "relative": cells.kind == "raw" and bool(np.any(cells.baseline > 0)),
        "unit": "ΔF/F" if cells.kind == "dff" else "units of the frames",
        "baseline": [round(float(value), 4) for value in cells.baseline],
        "start": float(times[0]) if len(times) else 0.0,
        "end": float(times[-1]) if len(times) else 0.0,
    }
