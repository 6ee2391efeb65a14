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
from calcium_lightning.core.events import find_events, rates_per_minute
from calcium_lightning.core.gaps import without_gaps
from calcium_lightning.core.glossary import described
from calcium_lightning.core.motion_summary import MotionSummary
from calcium_lightning.io.results.table import read_cells
from calcium_lightning.metrics.evaluation import read_figures
from calcium_lightning.metrics.table import CELLS
from calcium_lightning.pages import figures, pictures
from calcium_lightning.pages.page import Fact, render_template

STRIPS = 8  # cells in each panel of traces
GALLERY = 240  # footprints shown; a page of thousands helps nobody
COURSE_BYTES = 3_000_000  # for the courses of all cells together
COURSE_POINTS = (150, 1000)  # per cell, least and most
DIAMETERS = 3.0  # side of a thumbnail, in median diameters

#: figures of ``evaluate`` that the page leaves to the table of the command
UNSHOWN = ("cells", "mask_cells", "offset_y", "offset_x")


def write_report(cells: Path, output: Path, metrics: Path | None = None, *, overwrite: bool = False) -> None:
    """Write the page.

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
        temporary.write_text(page, encoding="utf-8")


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
    diameters = _diameters(cells)
    order = figures.by_certainty(cells)
    accepted = np.asarray(cells.accepted, bool)
    panels = [
        ("The most certain cells", order[accepted[order]][:STRIPS]),
        ("The least certain cells that were accepted", order[accepted[order]][STRIPS:][-STRIPS:]),
        ("The rejected cells nearest to acceptance", order[~accepted[order]][:STRIPS]),
    ]
    return {
        "title": Path(cells.session).name or source or "cells",
        "source": source,
        "facts": _facts(cells, source),
        "notes": cells.notes,
        "tiles": _tiles(cells, diameters),
        "measured": _measured(measured),
        "height": cells.frame_shape[0],
        "width": cells.frame_shape[1],
        "layers": _layers(cells),
        "outlines": [
            {
                "id": k,
                "path": pictures.outline(patch),
                "accepted": bool(accepted[k]),
                "placed": bool(np.isfinite(cells.centers[k]).all()),
            }
            for k, patch in enumerate(patches)
        ],
        "marker": max(1.0, float(np.nanmedian(diameters)) / 2 if np.isfinite(diameters).any() else 3.0),
        "gallery": _gallery(cells, patches, diameters, order),
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
        "config": cells.config,
        "data": _courses(cells),
    }


def _diameters(cells: Cells) -> np.ndarray:
    """Diameter of a disc of the area above half the peak, (K,) pixels; NaN without a footprint."""
    peaks = np.asarray(cells.footprints.max(1).todense()).ravel()
    rows = np.repeat(np.arange(len(cells)), np.diff(cells.footprints.indptr))
    bright = cells.footprints.data >= pictures.OUTLINE * peaks[rows]
    area = np.bincount(rows[bright & (peaks[rows] > 0)], minlength=len(cells))
    return np.where(area > 0, 2 * np.sqrt(area / np.pi), np.nan)


def _facts(cells: Cells, source: str) -> list[Fact]:
    height, width = cells.frame_shape
    duration = cells.n_frames / cells.fps
    field = f"{height} × {width} px"
    if cells.pixel_size_um is not None:
        field += f" ({height * cells.pixel_size_um:.0f} × {width * cells.pixel_size_um:.0f} µm)"
    facts = [
        Fact("session", cells.session or "unknown"),
        Fact("field (H × W)", field),
        Fact("frames", f"{cells.n_frames:,} at {cells.fps:g} Hz, {_duration(duration)}"),
        *(
            []
            if cells.bad_frames is None
            else [Fact("without a picture", f"{cells.bad_frames.sum():,} frames")]
        ),
        Fact("kind", {"dff": "ΔF/F frames", "raw": "raw frames"}.get(cells.kind, cells.kind or "unknown")),
        Fact("cells file", source or "unknown"),
        Fact("made by", f"calcium-lightning {cells.package_version or '(unknown version)'}"),
    ]
    if cells.session_sha256:
        facts.append(Fact("session's SHA-256", cells.session_sha256[:16] + "…"))
    return facts


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _tiles(cells: Cells, diameters: np.ndarray) -> list[Fact]:
    accepted = np.asarray(cells.accepted, bool)
    tiles = [Fact("cells accepted", f"{accepted.sum()}", f"of {len(cells)} found")]
    if cells.false_discovery is not None and accepted.any():
        expected = cells.false_discovery.expected_false
        told = "< 1" if expected < 1 else f"{expected:.0f}"
        tiles.append(Fact("expected to be false", told, cells.false_discovery.in_words(int(accepted.sum()))))
    if "snr" in cells.quality and accepted.any():
        snr = np.nanmedian(cells.quality["snr"][accepted])
        tiles.append(Fact("median SNR", f"{snr:.1f}", "of accepted cells"))
    if accepted.any() and np.isfinite(diameters[accepted]).any():
        pixels = float(np.nanmedian(diameters[accepted]))
        size = f"{pixels:.1f} px"
        if cells.pixel_size_um is not None:
            size, pixel_size = f"{pixels * cells.pixel_size_um:.1f} µm", f"{size}, "
        else:
            pixel_size = ""
        tiles.append(Fact("median diameter", size, f"{pixel_size}at half peak"))
    if accepted.any() and cells.n_frames:
        events = find_events(cells.traces[accepted], cells.denoised[accepted])
        missing = 0 if cells.bad_frames is None else int(cells.bad_frames.sum())
        rates = rates_per_minute(events, int(accepted.sum()), cells.fps, cells.n_frames - missing)
        tiles.append(Fact("calcium events", f"{np.median(rates):.1f} / min", "median of accepted cells"))
    if np.any(cells.shifts):  # none was removed from a session that came registered
        moved = MotionSummary.of(cells)
        tiles.append(
            Fact("motion removed", f"{moved.removed:.2f} px", f"RMS; largest {moved.largest:.1f} px")
        )
        if moved.nonrigid is not None:
            what = "removed" if moved.places else "left in the frames"
            tiles.append(Fact("non-rigid motion", f"{moved.nonrigid:.2f} px", f"RMS; {what}"))
    tiles.append(Fact("localisations", f"{len(cells.localizations):,}", _claimed(cells)))
    return tiles


def _claimed(cells: Cells) -> str:
    if not len(cells.localizations):
        return "none stored"
    return f"{(cells.localizations.cell >= 0).mean():.1%} belong to a cell"


def _measured(measured: Mapping[str, Any] | None) -> list[Fact]:
    if not measured:
        return []
    return [
        Fact(figure.title, "none" if measured[key] is None else figure.text(float(measured[key])))
        for key, figure in CELLS.items()
        if key in measured and key not in UNSHOWN
    ]


def _layers(cells: Cells) -> list[dict[str, str]]:
    """The backgrounds of the field of view: name and picture, the first one shown first."""
    change = cells.max_image - cells.mean_image
    images = {"maximum − mean": change, "mean": cells.mean_image, "maximum": cells.max_image}
    layers = [
        {"name": name, "image": pictures.png(image, "gray", *pictures.contrast(image))}
        for name, image in images.items()
    ]
    if cells.field is not None:
        layers.append({"name": "where tissue shows", "image": pictures.png(cells.field.astype(float))})
    found = cells.localizations
    if len(found):
        # the root, so that places with few show beside places with many
        count = np.sqrt(pictures.density(found.y, found.x, cells.frame_shape))
        top = float(np.percentile(count[count > 0], 99)) if count.any() else 1.0
        layers.append({"name": "localisations", "image": pictures.png(count, "magma", 0, top)})
    return layers


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
    names = figures.quality_names(cells)
    return [
        {
            "id": int(k),
            "accepted": bool(cells.accepted[k]),
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
    times = np.asarray(cells.timestamps, float)
    return {
        "count": len(cells),
        "points": values.shape[2],
        "courses": pictures.base64_bytes(values),
        "low": [round(float(value), 4) for value in low],
        "high": [round(float(value), 4) for value in high],
        "start": float(times[0]) if len(times) else 0.0,
        "end": float(times[-1]) if len(times) else 0.0,
    }
