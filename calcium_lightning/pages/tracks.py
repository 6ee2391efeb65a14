"""The page of tracks: fields on top of each other, cells through days, the doubtful ones first.

Knows :class:`~calcium_lightning.core.tracks.Tracks` and footprints. Names of files are data: the template
escapes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.cells import Rows
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.tracks import Tracks
from calcium_lightning.io.curation_file import open_decided
from calcium_lightning.io.kind import may_be_cells
from calcium_lightning.io.results.table import is_foreign, read_cells
from calcium_lightning.pages.drawing import logarithmic, new_figure, styled, svg
from calcium_lightning.pages.page import Fact, render_template
from calcium_lightning.pages.pictures import bins, contours, patch, png, thumbnail

#: colours of sessions, told apart by those who see few colours too (Okabe and Ito)
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b4c9a", "#404040")
#: tracks that are shown one by one: so many doubtful ones, and so many of the best
DOUBTFUL, CLEAR = 40, 20
#: a cell's picture is so many diameters wide, and its time course has so many points
WIDE, POINTS = 2.6, 120


def render(
    tracks: Tracks, fields: Sequence[FootprintSet], title: str, traces: Sequence[Rows | None] = ()
) -> str:
    """The page as HTML, everything inside it.

    Parameters
    ----------
    tracks : Tracks
        What is shown.
    fields : sequence of FootprintSet
        The sessions' footprints, in the tracks' order.
    title : str
        Name of the tracks' file.
    traces : sequence of Rows or None
        Of each session, the denoised traces of all rows of its file; without them, none are shown.
    """
    return render_template("tracks.html.j2", context(tracks, fields, title, traces))


def tracks_page(tracks: Tracks, fields: Sequence[FootprintSet], title: str) -> str:
    """The page as HTML; traces are those of the sessions' files that are still there.

    Raises
    ------
    InputError
        If one of these can't be read.
    """
    with ExitStack() as stack:
        traces: list[Rows | None] = []
        for session in tracks.sessions:
            traces.append(_courses(Path(session.path), stack) if session.path else None)
        return render(tracks, fields, title, traces)


def _courses(source: Path, stack: ExitStack) -> Rows | None:
    """Traces of all rows of a cells file or another program's results; None where there are none."""
    if is_foreign(source):
        with suppress(InputError):  # footprints alone
            return read_cells(source).denoised
    elif source.is_file() and may_be_cells(source):
        return stack.enter_context(open_decided(source)).denoised
    return None


def context(
    tracks: Tracks, fields: Sequence[FootprintSet], title: str, traces: Sequence[Rows | None] = ()
) -> dict[str, Any]:
    """Everything that the template shows; values are plain text, numbers and data URIs."""
    aligned = [row for row, session in enumerate(tracks.sessions) if session.transform is not None]
    height, width = tracks.sessions[tracks.reference].frame_shape
    doubtful, clear = _chosen(tracks)
    return {
        "title": title,
        "facts": [
            Fact("reference", tracks.sessions[tracks.reference].name),
            Fact("least probability", f"{tracks.least_probability:g}"),
            Fact("version", tracks.package_version),
        ],
        "tiles": _tiles(tracks, len(aligned)),
        "warnings": tracks.warnings,
        "sessions": list(_sessions(tracks)),
        "width": width,
        "height": height,
        "margin": 0.06 * max(width, height),
        "layers": list(_layers(tracks, fields, aligned)),
        "counts": counts(tracks, len(aligned)),
        "certainty": certainty(tracks),
        "names": [tracks.sessions[row].name for row in aligned],
        "doubtful": list(_rows(tracks, fields, aligned, doubtful, traces)),
        "clear": list(_rows(tracks, fields, aligned, clear, traces)),
    }


def _tiles(tracks: Tracks, aligned: int) -> list[Fact]:
    several = tracks.days > 1
    members = int(tracks.days[several].sum())
    return [
        Fact("cells in two sessions or more", str(int(several.sum())), f"of {len(tracks)} in all"),
        Fact(f"cells in all {aligned} sessions", str(int((tracks.days == aligned).sum()))),
        Fact("members expected false", f"{tracks.expected_false:.1f}", f"of {members}"),
        Fact("members expected missed", f"{tracks.expected_missed:.1f}", "alone, and perhaps of a track"),
    ]


def _sessions(tracks: Tracks) -> Iterator[dict[str, Any]]:
    for row, session in enumerate(tracks.sessions):
        told: dict[str, Any] = {
            "name": session.name,
            "color": COLORS[row % len(COLORS)],
            "cells": session.used,
            "size": f"{session.frame_shape[0]} × {session.frame_shape[1]}",
            "shift": "left out",
            "turn": "",
            "scale": "",
            "bending": "",
            "left": "",
            "sure": f"{max(session.agreement, 0):.0f} : {session.chance:.0f}",
            "closure": "" if np.isnan(session.closure_px) else f"{session.closure_px:.2f} px",
            "pictures": f"{session.pictures:+.0f}" if session.pictures else "",
            "tracked": int(((tracks.cell[:, row] >= 0) & (tracks.days > 1)).sum()),
        }
        if session.transform is not None:
            dy, dx = session.transform.shift_px(session.frame_shape)
            left = f"{session.residual_px:.2f} px"
            if session.pixel_size_um is not None:
                left += f", {session.residual_px * session.pixel_size_um:.2f} µm"
            told |= {
                "shift": "reference" if row == tracks.reference else f"{dy:+.1f}, {dx:+.1f}",
                "turn": f"{session.transform.rotation_deg:+.1f}°",
                "scale": f"{session.transform.scale:.3f}",
                "bending": f"{session.transform.bending_px(session.frame_shape):.1f}",
                "left": left,
            }
        yield told


def _layers(
    tracks: Tracks, fields: Sequence[FootprintSet], aligned: Sequence[int]
) -> Iterator[dict[str, str]]:
    """Outlines of each session's cells in the common field; those of a track of several are drawn full."""
    several = tracks.days > 1
    for row in aligned:
        transform = tracks.sessions[row].transform
        assert transform is not None
        members = tracks.cell[several, row]
        tracked = np.isin(fields[row].rows, members[members >= 0])
        paths = {True: [], False: []}  # type: dict[bool, list[str]]
        for index in range(len(fields[row])):
            for line in contours(patch(fields[row].footprints, index, fields[row].frame_shape[1])):
                places = transform.apply(line)
                path = "M" + "L".join(f"{x:.1f} {y:.1f}" for y, x in places) + "Z"
                paths[bool(tracked[index])].append(path)
        yield {
            "name": tracks.sessions[row].name,
            "color": COLORS[row % len(COLORS)],
            "tracked": "".join(paths[True]),
            "alone": "".join(paths[False]),
        }


def _chosen(tracks: Tracks) -> tuple[np.ndarray, np.ndarray]:
    """Tracks to show: the least certain first, and the most certain of the longest."""
    several = np.flatnonzero(tracks.days > 1)
    least = (
        np.nanmin(np.where(tracks.cell >= 0, tracks.probability, np.nan)[several], 1) if len(several) else []
    )
    order = several[np.argsort(least, kind="stable")]
    doubtful = order[:DOUBTFUL]
    rest = order[len(doubtful) :]
    clear = rest[np.argsort(-tracks.days[rest], kind="stable")][:CLEAR]
    return doubtful, clear


def _rows(
    tracks: Tracks,
    fields: Sequence[FootprintSet],
    aligned: Sequence[int],
    chosen: np.ndarray,
    traces: Sequence[Rows | None],
) -> Iterator[dict[str, Any]]:
    side = int(np.ceil(WIDE * np.median([fields[row].diameter for row in aligned])))
    places = {row: {int(cell): index for index, cell in enumerate(fields[row].rows)} for row in aligned}
    for track in chosen.tolist():
        cells = []
        for row in aligned:
            cell = int(tracks.cell[track, row])
            index = places[row].get(cell) if cell >= 0 else None
            if index is None:
                none = {"image": "", "trace": "", "probability": ""}
                cells.append({**none, "cell": "" if cell < 0 else f"#{cell}"})
                continue
            window = thumbnail(
                patch(fields[row].footprints, index, fields[row].frame_shape[1]),
                fields[row].centers[index],
                side,
            )
            looked = tracks.searched is not None and bool(tracks.searched[track, row])
            cells.append(
                {
                    "image": png(window, "magma", 0, float(window.max()) or 1.0),
                    "trace": _course(traces[row] if row < len(traces) else None, cell),
                    "cell": f"#{cell}{' (looked for)' if looked else ''}",
                    "probability": f"{tracks.probability[track, row]:.2f}",
                }
            )
        yield {"track": track, "cells": cells}


def _course(traces: Rows | None, cell: int) -> str:
    """A cell's time course as an SVG path, 100 wide and 20 high; empty where none is known."""
    if traces is None or not traces.shape[1]:
        return ""
    values = np.nan_to_num(traces[slice(cell, cell + 1)][0])
    course = np.maximum.reduceat(values, bins(len(values), POINTS))
    height = 20 * (1 - np.clip(course / max(float(course.max()), 1e-9), 0, 1))
    places = np.linspace(0, 100, len(height))
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(places, height, strict=True))


@styled
def counts(tracks: Tracks, sessions: int) -> str:
    """How many cells are in how many sessions."""
    figure = new_figure(5.2, 2.4)
    axes = figure.subplots()
    numbers = np.bincount(tracks.days, minlength=sessions + 1)[1 : sessions + 1]
    bars = axes.bar(np.arange(1, sessions + 1), numbers, color="#0072b2")
    axes.bar_label(bars, fontsize=8)
    axes.set(xlabel="sessions", ylabel="cells")
    axes.set_xticks(np.arange(1, sessions + 1))
    return svg(figure)


@styled
def certainty(tracks: Tracks) -> str:
    """The probabilities of members of tracks of several sessions."""
    figure = new_figure(5.2, 2.4)
    axes = figure.subplots()
    values = tracks.probability[tracks.days > 1]
    axes.hist(values[np.isfinite(values)], bins=40, range=(0, 1), color="#009e73")
    logarithmic(axes.yaxis)
    axes.set(xlabel="probability that a cell belongs to its track", ylabel="cells")
    return svg(figure)
