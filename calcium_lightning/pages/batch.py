"""One page for a batch of sessions: how many cells each has, how many are false, what to know of each.

Knows :class:`~calcium_lightning.core.cells.Cells`. Names of files are data: the template escapes them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.motion_summary import MotionSummary
from calcium_lightning.pages import field, pictures, report_facts
from calcium_lightning.pages.page import Fact, render_template, write_page

#: the page's name in the folder of reports
INDEX = "index.html"
#: a small picture is averaged down to so many pixels
SMALL = 320

COLUMNS = (
    ("session", ""),
    ("accepted", "cells that count"),
    ("found", "cells in the file, rejected ones too"),
    ("expected false", report_facts.FALSE),
    ("median SNR", "peak over noise, of accepted cells"),
    ("events / min", report_facts.EVENTS),
    ("minutes", "length of the recording"),
    ("motion px", "that was removed, root mean square"),
    ("non-rigid px", "motion that differs over the field, root mean square"),
    ("before you trust it", "what ingest and extract found to know"),
)


@dataclass(frozen=True)
class Entry:
    """A session on the page.

    Attributes
    ----------
    name : str
        What it is called.
    page : str
        Its own report, relative to the batch's page.
    accepted, found : int
        Cells.
    expected_false : float or None
        Of the accepted.
    values : tuple of str
        What stands in the table between its name and its notes.
    notes : tuple of str
        What to know before trusting it.
    image : str
        A small picture, a data URI.
    outlines : str
        Of accepted cells, an SVG path.
    height, width : int
        Of the field, pixels.
    """

    name: str
    page: str
    accepted: int
    found: int
    expected_false: float | None
    values: tuple[str, ...]
    notes: tuple[str, ...]
    image: str
    outlines: str
    height: int
    width: int

    @classmethod
    def of(cls, cells: Cells, name: str, page: Path, folder: Path) -> Entry:
        """The entry of a session whose own report is ``page``, on a batch's page in ``folder``."""
        accepted = np.asarray(cells.accepted, bool)
        count, moved = int(accepted.sum()), MotionSummary.of(cells)
        expected = None if cells.false_discovery is None else cells.false_discovery.expected_false
        rates, snr = report_facts.rates(cells), cells.quality.get("snr")
        values = (
            str(count),
            str(len(cells)),
            "" if expected is None else f"{expected:.1f}",
            "" if snr is None or not count else f"{np.nanmedian(snr[accepted]):.1f}",
            f"{np.median(rates[accepted]):.1f}" if count and len(rates) else "",
            f"{cells.n_frames / cells.fps / 60:.1f}",
            f"{moved.removed:.2f}",
            "" if moved.nonrigid is None else f"{moved.nonrigid:.2f}",
        )
        lit = cells.lit_image
        light = field.usual_light(lit, cells.field)
        rows = np.flatnonzero(accepted).tolist()
        width = cells.frame_shape[1]
        return cls(
            name=name,
            page=quote(os.fsencode(os.path.relpath(page, folder))),
            accepted=count,
            found=len(cells),
            expected_false=expected,
            values=values,
            notes=tuple(cells.notes),
            image=pictures.png(_small(lit), "gray", *light),
            outlines="".join(pictures.outline(pictures.patch(cells.footprints, k, width)) for k in rows),
            height=cells.frame_shape[0],
            width=width,
        )


def _small(image: np.ndarray) -> np.ndarray:
    """Averaged over squares of pixels."""
    step = max(1, -(-max(image.shape) // SMALL))
    height, width = (side // step * step for side in image.shape)
    return image[:height, :width].reshape(height // step, step, width // step, step).mean((1, 3))


def write_batch(
    entries: Sequence[Entry], target: Path, failures: Sequence[str] = (), *, overwrite: bool = False
) -> None:
    """Write the page.

    Parameters
    ----------
    entries : sequence of Entry
        The sessions, in their order.
    target : Path
        The page to make.
    failures : sequence of str
        Names of those that have no report.
    overwrite : bool
        Replace an existing page.

    Raises
    ------
    InputError
        If the page exists.
    """
    known = [entry.expected_false for entry in entries if entry.expected_false is not None]
    accepted = sum(entry.accepted for entry in entries)
    tiles = [
        Fact("cells accepted", f"{accepted:,}", f"of {sum(entry.found for entry in entries):,} found"),
        Fact("a session", f"{np.median([entry.accepted for entry in entries]):.0f}", "accepted, median"),
        Fact(
            "with warnings", str(sum(bool(entry.notes) for entry in entries)), f"of {len(entries)} sessions"
        ),
    ]
    if known:
        told = f"of the {accepted:,}" if len(known) == len(entries) else f"in {len(known)} sessions"
        tiles.insert(1, Fact("expected to be false", f"{sum(known):.0f}", told, report_facts.FALSE))
    page = render_template(
        "batch.html.j2",
        {"entries": entries, "tiles": tiles, "columns": COLUMNS, "failures": failures},
    )
    with atomic_path(target, overwrite) as temporary:
        write_page(temporary, page)
