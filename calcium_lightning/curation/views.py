"""What the page shows of cells, as plain values and bytes.

Knows cells as a file has them, and nothing of requests, of pages or of the recording.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from calcium_lightning.core.cells import TRACES, CellTable, Rows, StreamedCells
from calcium_lightning.core.events import find_events, rates_per_minute
from calcium_lightning.core.remade import Columns, OverlaidRows
from calcium_lightning.core.standing import ORIGINS, Standing
from calcium_lightning.core.unix_time import to_show
from calcium_lightning.curation.words import as_json, in_words, tests_of
from calcium_lightning.localize.own_test import settings_of
from calcium_lightning.localize.quality import QualitySettings
from calcium_lightning.pages import pictures

#: neighbours are within so many cell diameters, at most so many
NEIGHBOURS_WITHIN, MOST_NEIGHBOURS = 2.0, 6
#: brightest moments that are shown, apart by so many seconds
MOMENTS, MOMENTS_APART_S = 6, 2.0
#: points of a trace at most
MOST_POINTS = 20_000


def diameter_of(cells: CellTable) -> float:
    """Median diameter of a disc of the area above half of the peak, pixels."""
    count = np.maximum(np.diff(cells.footprints.indptr), 0)
    rows = np.repeat(np.arange(len(cells)), count)
    peaks = np.asarray(cells.footprints.max(1).todense()).ravel() if len(cells) else np.zeros(0)
    bright = cells.footprints.data >= pictures.OUTLINE * peaks[rows]
    area = np.bincount(rows[bright], minlength=len(cells))
    return float(np.median(2 * np.sqrt(area[area > 0] / np.pi))) if (area > 0).any() else 10.0


def outlines(cells: CellTable, rows: Sequence[int]) -> list[list[list[float]]]:
    """For each row closed lines, each a flat list y, x, y, x, ..., pixels to a tenth."""
    width = cells.frame_shape[1]
    return [
        [
            np.round(line, 1).ravel().tolist()
            for line in pictures.contours(pictures.patch(cells.footprints, row, width))
        ]
        for row in rows
    ]


def rows_of(cells: CellTable, rows: Sequence[int]) -> dict[str, Any]:
    """What doesn't change with a decision: places, outlines, qualities."""
    index = list(rows)
    return {
        "cells": index,
        "centers": numbers(cells.centers[index], 2),
        "outlines": outlines(cells, index),
        "quality": {name: numbers(values[index], 4) for name, values in cells.quality.items()},
    }


def standing_of(standing: Standing) -> dict[str, Any]:
    """What decisions amount to, for all cells."""
    said = {row: text for row, text in enumerate(standing.notes) if text}
    labelled = {row: list(labels) for row, labels in enumerate(standing.labels) if labels}
    return {
        "accepted": standing.accepted.astype(int).tolist(),
        "verdict": standing.verdict.tolist(),
        "origin": [ORIGINS[origin] for origin in standing.origin],
        "replacedBy": standing.replaced_by.tolist(),
        "notes": said,
        "labels": labelled,
    }


def details(cells: StreamedCells, row: int, settings: QualitySettings, diameter: float) -> dict[str, Any]:
    """What is shown of a chosen cell besides its traces."""
    footprint = pictures.patch(cells.footprints, row, cells.frame_shape[1])
    peak = max(float(footprint.image.max()), 1e-9)
    standing = cells.curation
    return {
        "cell": row,
        "words": in_words(cells, row, settings),
        "tests": as_json(tests_of(cells, row, settings)),
        "who": standing.who[row] if standing is not None else "",
        "when": standing.when[row] if standing is not None else "",
        "baseline": number(cells.baseline[row]),
        "std": numbers(cells.center_std[row], 3),
        "footprint": {
            "top": footprint.top,
            "left": footprint.left,
            "height": footprint.image.shape[0],
            "width": footprint.image.shape[1],
            "values": np.round(footprint.image / peak * 255).astype(int).ravel().tolist(),
        },
        "neighbours": neighbours(cells, row, diameter),
        "moments": moments(cells, row),
        **events(cells, row),
    }


def events(cells: StreamedCells, row: int) -> dict[str, Any]:
    """Peak frames of a cell's events, and how many a minute, as exports count them."""
    trace, denoised = (_row(cells, name, row)[None] for name in ("traces", "denoised"))
    found = find_events(trace, denoised)
    measured = int(np.isfinite(trace).sum())
    rate = rates_per_minute(found, 1, cells.fps, measured)[0]
    return {"events": found.peak_frame.tolist(), "perMinute": number(rate, 3)}


def near(cells: StreamedCells, row: int, diameter: float) -> np.ndarray:
    """Rows of the cells around one, the nearest first, without those that were replaced."""
    distance = np.linalg.norm(cells.centers - cells.centers[row], axis=1)
    present = np.ones(len(cells), bool) if cells.curation is None else cells.curation.present
    rows = np.flatnonzero(present & (distance <= NEIGHBOURS_WITHIN * diameter))
    rows = rows[rows != row]
    return rows[np.argsort(distance[rows], kind="stable")][:MOST_NEIGHBOURS]


def neighbours(cells: StreamedCells, row: int, diameter: float) -> list[dict[str, Any]]:
    """Cells around one: how far, how much of the footprint is shared, how alike the traces are."""
    beside = near(cells, row, diameter)
    distance = np.linalg.norm(cells.centers[beside] - cells.centers[row], axis=1)
    own, others = cells.footprints[[row]], cells.footprints[beside]
    norms = np.sqrt(np.asarray(others.multiply(others).sum(1)).ravel() * own.multiply(own).sum())
    shared = (others @ own.T).toarray().ravel() / np.maximum(norms, 1e-9)
    trace = _row(cells, "denoised", row)
    return [
        {
            "cell": int(cell),
            "distance": number(apart, 2),
            "shared": number(part, 3),
            "correlation": number(_alike(trace, _row(cells, "denoised", int(cell))), 3),
        }
        for cell, apart, part in zip(beside, distance, shared, strict=True)
    ]


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    known = np.isfinite(one) & np.isfinite(other)
    a, b = one[known] - one[known].mean(), other[known] - other[known].mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else 0.0


def moments(cells: StreamedCells, row: int) -> list[int]:
    """The frames of a cell's brightest moments, the brightest first, none near another."""
    trace = np.nan_to_num(_row(cells, "denoised", row).copy())
    apart = max(1, round(MOMENTS_APART_S * cells.fps))
    found: list[int] = []
    while len(found) < MOMENTS and trace.max(initial=0) > 0:
        frame = int(trace.argmax())
        found.append(frame)
        trace[max(0, frame - apart) : frame + apart + 1] = 0
    return found


def traces(
    cells: StreamedCells, rows: Sequence[int], start: int, stop: int, points: int
) -> tuple[dict[str, Any], np.ndarray]:
    """Traces, thinned to what a screen shows: of each stretch the least and the largest value.

    Returns
    -------
    about : dict
        ``cells``, ``names`` and ``points``: the shape of the values; ``baseline`` of the first cell.
    values : ndarray, float32 (1 + cells * names, points)
        The first row is the time, seconds.
    """
    start, stop = max(0, start), min(stop, cells.n_frames)
    length = max(0, stop - start)
    # Few frames are given as they are, more as pairs.
    most = int(np.clip(points, 2, MOST_POINTS))
    edges = (
        start + pictures.bins(length, most // 2 if length > most else length) if length else np.zeros(0, int)
    )
    paired = length > most
    times = to_show(cells.timestamps)
    if paired:
        middles = (edges + np.append(edges[1:], stop)) // 2
        lines = [np.stack([times[edges], times[np.minimum(middles, stop - 1)]], 1).ravel()]
    else:
        lines = [times[edges]]
    for row in rows:
        for name in TRACES:
            values = _row(cells, name, row)
            if not paired:
                lines.append(values[edges])
                continue
            part, first = values[start:stop], edges - start
            low, high = np.fmin.reduceat(part, first), np.fmax.reduceat(part, first)
            lines.append(np.stack([low, high], 1).ravel())
    whole = np.stack(lines).astype(np.float32) if length else np.zeros((1 + 3 * len(rows), 0), np.float32)
    baseline = number(cells.baseline[rows[0]]) if rows else None
    about = {"cells": list(rows), "names": list(TRACES), "points": whole.shape[1], "baseline": baseline}
    return about, whole


def peaks_of(rows: Rows) -> np.ndarray:
    """Largest value of each row, read a few at a time; at least a little above 0."""
    count, length = rows.shape
    step = max(1, (1 << 21) // max(1, length))
    parts = [
        np.nan_to_num(rows[slice(start, start + step)]).max(1, initial=1e-9)
        for start in range(0, count, step)
    ]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def activity(
    cells: StreamedCells, found_peaks: np.ndarray, start: int, stop: int
) -> tuple[dict[str, Any], np.ndarray]:
    """Denoised activity of all cells in some frames, as a share of each cell's peak.

    Parameters
    ----------
    cells : StreamedCells
        As they are now.
    found_peaks : ndarray (K,)
        :func:`peaks_of` the cells that were found.
    start, stop : int
        Frames.

    Returns
    -------
    about : dict
        ``start``, ``stop``, ``cells``.
    values : ndarray, uint8 (stop - start, K)
    """
    rows = cells.denoised
    block = rows.frames(start, stop) if isinstance(rows, Columns) else rows[slice(None)][:, start:stop]
    peaks = np.ones(len(cells), np.float32)
    peaks[: len(found_peaks)] = found_peaks
    if isinstance(rows, OverlaidRows):
        for row in rows.places:
            peaks[row] = max(1e-9, float(np.nan_to_num(rows[slice(row, row + 1)]).max()))
    values = np.clip(np.nan_to_num(block / peaks[:, None]) * 255, 0, 255).astype(np.uint8)
    return {"start": start, "stop": stop, "cells": len(cells)}, np.ascontiguousarray(values.T)


def layers(cells: CellTable) -> dict[str, np.ndarray]:
    """The backgrounds of the field of view that the file holds, float32 (H, W)."""
    return ({} if cells.peak_image is None else {"peak to noise": cells.peak_image}) | {
        "max − mean": cells.max_image - cells.mean_image,
        "mean": cells.mean_image,
        "maximum": cells.max_image,
    }


def image_bytes(image: np.ndarray) -> tuple[dict[str, Any], bytes]:
    """A picture as 16-bit numbers, and what 0 and 65535 stand for; low and high leave outliers out."""
    known = np.isfinite(image)
    values = image[known]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    span = high - low if high > low else 1.0
    shown = pictures.contrast(values) if len(values) else (0.0, 1.0)
    scaled = np.rint((np.where(known, image, low) - low) / span * 65535).astype("<u2")
    about = {
        "height": image.shape[0],
        "width": image.shape[1],
        "low": low,
        "high": low + span,
        "shown": [float(edge) for edge in shown],
    }
    return about, scaled.tobytes()


def packed(about: dict[str, Any], data: bytes) -> bytes:
    """JSON and bytes in one answer: the length of the JSON (4 bytes, little endian), the JSON, the bytes."""
    head = json.dumps(about).encode()
    head += b" " * (-len(head) % 8)  # typed arrays begin at multiples of their size
    return len(head).to_bytes(4, "little") + b"\0" * 4 + head + data


def facts(cells: CellTable) -> dict[str, Any]:
    """Of the whole file."""
    settings, times = settings_of(cells), to_show(cells.timestamps)
    return {
        "height": cells.frame_shape[0],
        "width": cells.frame_shape[1],
        "frames": cells.n_frames,
        "fps": cells.fps,
        "pixelSize": cells.pixel_size_um,
        "kind": cells.kind,
        "diameter": round(diameter_of(cells), 2),
        "start": float(times[0]) if cells.n_frames else 0.0,
        "end": float(times[-1]) if cells.n_frames else 0.0,
        "notes": list(cells.notes),
        "thresholds": {"score": settings.score, "fdr": settings.fdr},
    }


def number(value: Any, digits: int = 4) -> float | None:
    """A number that JSON knows, to so many significant digits."""
    return float(f"{float(value):.{digits + 2}g}") if np.isfinite(value) else None


def numbers(values: np.ndarray, digits: int = 4) -> list[Any]:
    """The same of an array."""
    rounded = np.round(np.asarray(values, np.float64), digits)
    plain: list[Any] = rounded.tolist()
    if np.isfinite(rounded).all():
        return plain
    return [_plain(item) for item in plain]


def _plain(item: Any) -> Any:
    if isinstance(item, list):
        return [_plain(part) for part in item]
    return item if np.isfinite(item) else None


def _row(cells: StreamedCells, name: str, row: int) -> np.ndarray:
    values: np.ndarray = getattr(cells, name)[slice(row, row + 1)][0]
    return values
