"""The numbers of a report: which recording, how many cells, how many of them are false, how much it moved.

Knows :class:`~calcium_lightning.core.cells.Cells` and the figures of ``evaluate``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.events import find_events, rates_per_minute
from calcium_lightning.core.motion_summary import MotionSummary
from calcium_lightning.core.standing import Standing
from calcium_lightning.metrics.table import CELLS
from calcium_lightning.pages import pictures
from calcium_lightning.pages.page import Fact

EVENTS = (
    "rises of the denoised trace, from the trough before, by three standard deviations of its noise or more"
)
FALSE = (
    "The recording is searched upside down, too: cells only brighten, so what is found there is chance. "
    "It says nothing of what brightens and is no cell."
)
DECIDED = "No false-discovery rate is told of what a person decided: it was that of the tests' own choice."
#: figures of ``evaluate`` that the page leaves to the table of the command
UNSHOWN = ("cells", "mask_cells", "offset_y", "offset_x")


def diameters(cells: Cells) -> np.ndarray:
    """Diameter of a disc of the area above half the peak, (K,) pixels; NaN without a footprint."""
    peaks = np.asarray(cells.footprints.max(1).todense()).ravel()
    rows = np.repeat(np.arange(len(cells)), np.diff(cells.footprints.indptr))
    bright = cells.footprints.data >= pictures.OUTLINE * peaks[rows]
    area = np.bincount(rows[bright & (peaks[rows] > 0)], minlength=len(cells))
    return np.where(area > 0, 2 * np.sqrt(area / np.pi), np.nan)


def facts(cells: Cells, source: str) -> list[Fact]:
    """Which recording, and which file."""
    height, width = cells.frame_shape
    duration = cells.n_frames / cells.fps
    field = f"{height} × {width} px"
    if cells.pixel_size_um is not None:
        field += f" ({height * cells.pixel_size_um:.0f} × {width * cells.pixel_size_um:.0f} µm)"
    found = [
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
        found.append(Fact("session's SHA-256", cells.session_sha256[:16] + "…"))
    return found


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def tiles(cells: Cells, sizes: np.ndarray) -> list[Fact]:
    """The numbers on top; ``sizes`` are the cells' diameters (K,)."""
    accepted = np.asarray(cells.accepted, bool)
    standing = cells.curation
    count = len(cells) if standing is None else standing.found
    found = [Fact("cells accepted", f"{accepted.sum()}", f"of {count} found")]
    if standing is not None:
        found.append(Fact("decided by hand", f"{standing.by_hand.sum()}", _made(standing), DECIDED))
    if cells.false_discovery is not None and cells.verdict:
        share = cells.false_discovery.expected_false / max(int(accepted.sum()), 1)
        told = f"{share:.1%}" if share >= 0.0005 or not share else "< 0.1%"
        found.append(Fact("false-discovery rate", told if accepted.any() else "–", cells.verdict, FALSE))
    if "snr" in cells.quality and accepted.any():
        snr = np.nanmedian(cells.quality["snr"][accepted])
        found.append(Fact("median SNR", f"{snr:.1f}", "of accepted cells"))
    if accepted.any() and np.isfinite(sizes[accepted]).any():
        pixels = float(np.nanmedian(sizes[accepted]))
        size = f"{pixels:.1f} px"
        if cells.pixel_size_um is not None:
            size, pixel_size = f"{pixels * cells.pixel_size_um:.1f} µm", f"{size}, "
        else:
            pixel_size = ""
        found.append(Fact("median diameter", size, f"{pixel_size}at half peak"))
    if accepted.any() and cells.n_frames:
        rate = np.median(rates(cells)[accepted])
        found.append(Fact("calcium events", f"{rate:.1f} / min", "median of accepted cells", EVENTS))
    if np.any(cells.shifts):  # none was removed from a session that came registered
        moved = MotionSummary.of(cells)
        found.append(
            Fact("motion removed", f"{moved.removed:.2f} px", f"RMS; largest {moved.largest:.1f} px")
        )
        if moved.nonrigid is not None:
            what = "removed" if moved.places else "left in the frames"
            found.append(Fact("non-rigid motion", f"{moved.nonrigid:.2f} px", f"RMS; {what}"))
    found.append(Fact("localisations", f"{len(cells.localizations):,}", _claimed(cells)))
    return found


def rates(cells: Cells) -> np.ndarray:
    """Calcium events of each cell a minute, (K,); empty without traces."""
    if not cells.n_frames:
        return np.zeros(0)
    events = find_events(cells.traces, cells.denoised)
    return rates_per_minute(events, len(cells), cells.fps, cells.measured_frames)


def _made(standing: Standing) -> str:
    """What a person made and what it has replaced."""
    made, gone = int((standing.origin > 0).sum()), int((~standing.present).sum())
    return f"cells; {made} made, {gone} replaced" if made or gone else "cells"


def _claimed(cells: Cells) -> str:
    if not len(cells.localizations):
        return "none stored"
    return f"{(cells.localizations.cell >= 0).mean():.1%} belong to a cell"


def measured(values: Mapping[str, Any] | None) -> list[Fact]:
    """The figures of ``evaluate``."""
    if not values:
        return []
    return [
        Fact(
            figure.title,
            "none" if values[key] is None else figure.text(float(values[key])),
            meaning=figure.meaning,
        )
        for key, figure in CELLS.items()
        if key in values and key not in UNSHOWN
    ]
