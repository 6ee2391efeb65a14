"""The charts of a report, as SVG data URIs drawn by matplotlib.

Knows :class:`~calcium_lightning.core.cells.Cells`. Courses are thinned to what a screen shows, so a chart's
size does not grow with the recording.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.unix_time import to_show
from calcium_lightning.pages import pictures
from calcium_lightning.pages.drawing import BAD, GOOD, new_figure, styled, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACCEPTED, REJECTED = GOOD, BAD
RAW, DENOISED, ACTIVITY = "#97a3ae", ACCEPTED, "#c2410c"
POINTS = 1200  # of a course: about one per pixel of a full-width chart


@styled
def traces(cells: Cells, rows: np.ndarray) -> str:
    """Trace, denoised trace and activity of some cells, one strip each."""
    figure = new_figure(11, 0.35 + 0.62 * len(rows))
    seconds, starts, _ = _clock(cells)
    unit, scale = _unit(seconds)
    strips = np.atleast_1d(figure.subplots(len(rows), 1, sharex=True))
    for axes, k in zip(strips, rows, strict=True):
        low, high = _extent(axes, seconds * scale, cells.traces[k], starts, color=RAW, linewidth=0.6)
        axes.plot(seconds * scale, cells.denoised[k][starts], color=DENOISED, linewidth=1.0)
        bottom, top = float(low.min(initial=0)), float(high.max(initial=1e-9))
        active = np.add.reduceat(np.maximum(cells.spikes[k], 0), starts)
        hit = np.flatnonzero(active > 0)
        tall = (0.05 + 0.25 * active[hit] / active.max(initial=1e-12)) * (top - bottom)
        base = bottom - 0.38 * (top - bottom)
        # one path with gaps: a collection of lines would be ten times as large
        ticks = np.stack([np.full(len(hit), base), base + tall, np.full(len(hit), np.nan)], 1)
        axes.plot(np.repeat(seconds[hit] * scale, 3), ticks.ravel(), color=ACTIVITY, linewidth=0.8)
        axes.set_ylim(base, top + 0.05 * (top - bottom))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.spines["bottom"].set_visible(axes is strips[-1])
        axes.xaxis.set_visible(axes is strips[-1])
        axes.set_ylabel(f"#{k}", rotation=0, ha="right", va="center", color=_color(cells, int(k)))
        certainty = _certainty(cells, int(k))
        axes.text(1.005, 0.5, certainty, transform=axes.transAxes, va="center", fontsize=8, color="#5b6670")
    strips[-1].set_xlabel(f"time ({unit})")
    strips[-1].set_xlim(float(seconds[0] * scale), float(seconds[-1] * scale) or 1.0)
    return svg(figure)


@styled
def qualities(cells: Cells) -> str:
    """How each quality is distributed, accepted and rejected cells apart."""
    names = quality_names(cells)[:12]
    columns = min(4, max(1, len(names)))
    lines = -(-len(names) // columns)
    figure = new_figure(11, 2.1 * lines + 0.2)
    grid = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
    for axes, name in zip(grid, names, strict=False):
        values = np.asarray(cells.quality[name], float)
        known = np.isfinite(values)
        accepted = np.asarray(cells.accepted, bool)
        parts = [values[known & accepted], values[known & ~accepted]]
        edges = np.histogram_bin_edges(values[known], bins=int(np.clip(known.sum() // 4, 5, 30)))
        # one outline for each histogram: hundreds of bars would take longer than all else on the page
        style: Any = {"histtype": "stepfilled", "color": [ACCEPTED, REJECTED]}
        axes.hist(parts, bins=edges, stacked=True, label=["accepted", "rejected"], **style)
        axes.set_title(name, loc="left")
        axes.yaxis.get_major_locator().set_params(integer=True)
    for axes in grid[len(names) :]:
        axes.set_visible(False)
    grid[0].set_ylabel("cells")
    if len(names):
        grid[0].legend(fontsize=8)
    return svg(figure)


@styled
def motion(cells: Cells) -> str:
    """The motion that was removed, over time."""
    figure = new_figure(11, 2.0)
    axes = figure.subplots()
    seconds, starts, _ = _clock(cells)
    unit, scale = _unit(seconds)
    for column, name, color in ((0, "y (down)", "#2563eb"), (1, "x (right)", "#c2410c")):
        shift = cells.shifts[:, column]
        _extent(axes, seconds * scale, shift, starts, color=color, linewidth=0.8, label=name)
    axes.axhline(0, color="#c9d1d9", linewidth=0.8, zorder=0)
    axes.set(xlabel=f"time ({unit})", ylabel="displacement (pixels)")
    axes.margins(x=0)
    axes.legend(ncols=2, fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.97))
    return svg(figure)


@styled
def activity(cells: Cells) -> str:
    """Every accepted cell's denoised trace as a line of a raster, each scaled to its own peak.

    The most certain cell is on top. (Sorted by their peaks, any cells at all would look like a sequence.)
    """
    rows = by_certainty(cells)
    rows = rows[cells.accepted[rows]] if np.any(cells.accepted) else rows
    seconds, starts, length = _clock(cells)
    unit, scale = _unit(seconds)
    value = np.maximum.reduceat(cells.denoised[rows], starts, axis=1)
    value = value / np.maximum(np.percentile(value, 99.5, axis=1, keepdims=True), 1e-12)
    figure = new_figure(11, float(np.clip(0.6 + 0.018 * len(rows), 1.8, 6)))
    axes = figure.subplots()
    end = float(seconds[-1] + (seconds[-1] - seconds[0]) / max(length - 1, 1)) * scale
    box = (float(seconds[0] * scale), end or 1.0, len(rows), 0)
    axes.imshow(np.clip(value, 0, 1), aspect="auto", cmap="magma", extent=box, interpolation="nearest")
    axes.set(xlabel=f"time ({unit})", ylabel="cells, by certainty")
    return svg(figure)


@styled
def localizations(cells: Cells) -> str:
    """How many localisations each frame has, and how certain they are."""
    found = cells.localizations
    figure = new_figure(11, 2.1)
    left, right = figure.subplots(1, 2, width_ratios=(2.6, 1))
    seconds, starts, length = _clock(cells)
    unit, scale = _unit(seconds)
    claimed = found.cell >= 0
    for chosen, name, color in ((claimed, "claimed by a cell", ACCEPTED), (~claimed, "by none", REJECTED)):
        count = np.bincount(np.clip(found.frame[chosen], 0, length - 1), minlength=length)
        mean = np.add.reduceat(count, starts) / np.diff(starts, append=length)
        left.plot(seconds * scale, mean, color=color, linewidth=0.9, label=name)
    left.set(xlabel=f"time ({unit})", ylabel="localisations per frame")
    left.margins(x=0)
    left.legend(fontsize=8, ncols=2, loc="lower right", bbox_to_anchor=(1, 0.97))
    error = np.hypot(found.y_std, found.x_std) / np.sqrt(2)
    error = error[np.isfinite(error)]
    if len(error):
        span = 0, float(np.percentile(error, 99)) or 1.0
        right.hist(error, bins=40, range=span, color="#64748b", histtype="stepfilled")
    right.set(xlabel="standard error (pixels)", yticks=[])
    right.spines["left"].set_visible(False)
    return svg(figure)


def by_certainty(cells: Cells) -> np.ndarray:
    """Indices of cells, the most certain first: by score, else by signal to noise, else as they are."""
    for name in ("score", "snr"):
        if name in cells.quality:
            return np.argsort(-np.nan_to_num(cells.quality[name], nan=-np.inf), kind="stable")
    return np.arange(len(cells))


def quality_names(cells: Cells) -> list[str]:
    """The qualities of the file, those that everybody knows first."""
    return sorted(cells.quality, key=lambda name: (name != "score", name != "snr", name))


def _clock(cells: Cells) -> tuple[np.ndarray, np.ndarray, int]:
    """Seconds and indices of the frames that begin each stretch shown, and the number of frames."""
    starts = pictures.bins(cells.n_frames, POINTS)
    return to_show(cells.timestamps)[starts], starts, cells.n_frames


def _unit(seconds: np.ndarray) -> tuple[str, float]:
    return ("min", 1 / 60) if len(seconds) and seconds[-1] - seconds[0] > 300 else ("s", 1.0)


def _color(cells: Cells, row: int) -> str:
    return ACCEPTED if cells.accepted[row] else REJECTED


def _certainty(cells: Cells, row: int) -> str:
    known = {name: form for name, form in (("score", ".2f"), ("snr", ".1f")) if name in cells.quality}
    return "\n".join(f"{name} {cells.quality[name][row]:{form}}" for name, form in known.items())


def _extent(
    axes: Axes, time: np.ndarray, value: np.ndarray, starts: np.ndarray, **style: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a course, as the band between its least and largest values where it had to be thinned."""
    low, high = np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts)
    if len(starts) == len(value):
        axes.plot(time, value, **style)
    else:
        axes.fill_between(time, low, high, **style)
    return low, high
