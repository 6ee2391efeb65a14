"""The charts of a comparison of runs: parameters against the metric, parallel coordinates, learning curves.

Knows :class:`~calcium_lightning.comparison.compare.Comparison`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calcium_lightning.comparison.compare import Comparison
from calcium_lightning.comparison.ranking import course
from calcium_lightning.pages.drawing import GOOD, logarithmic, new_figure, styled, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OTHERS = "#8fa3b3"
# told apart by those who see few colours, too (Okabe and Ito); the best run has a colour of its own
DISTINCT = ("#0072b2", "#d55e00", "#cc79a7", "#e69f00", "#56b4e9", "#6b4c9a", "#8c564b", "#404040")
PANELS = 12  # parameters that get a panel of their own
NAMED = len(DISTINCT)  # runs that can be told apart by colour
LABEL = 28  # characters of a name that fit into a chart
DECADES = 1.3  # a span from which on numbers are drawn logarithmically


@dataclass(frozen=True)
class Scale:
    """Values of one setting, placed between 0 and 1.

    Attributes
    ----------
    places : ndarray, float (n,)
        Numbers linearly or logarithmically, anything else evenly in order of appearance.
    ticks : list of (float, str)
        Places and what to write there.
    """

    places: np.ndarray
    ticks: list[tuple[float, str]]


def scale(values: Sequence[Any]) -> Scale:
    """Place values of any kind."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values) or not np.isfinite(numbers).all():
        texts = [text(value) for value in values]
        rows = {name: row for row, name in enumerate(dict.fromkeys(texts))}
        last = max(len(rows) - 1, 1)
        return Scale(
            np.array([rows[name] / last for name in texts]),
            [(row / last, shorten(name)) for name, row in rows.items()],
        )
    plain = np.array(numbers, float)
    low, high = plain.min(), plain.max()
    logarithmic = low > 0 and np.log10(high / low) > DECADES
    along = np.log10 if logarithmic else np.asarray
    start, span = along(low), along(high) - along(low)
    shown = np.unique(plain)
    if len(shown) > 6:
        whole = all(isinstance(value, int) for value in numbers)
        shown = _round_numbers(low, high, logarithmic, whole)
    return Scale(
        (along(plain) - start) / (span or 1.0),
        [(float((along(value) - start) / (span or 1.0)), f"{value:g}") for value in shown],
    )


def _round_numbers(low: float, high: float, logarithmic: bool, whole: bool) -> np.ndarray:
    from matplotlib.ticker import LogLocator, MaxNLocator

    locator = LogLocator(numticks=6) if logarithmic else MaxNLocator(5, integer=whole)
    ticks = np.asarray(locator.tick_values(low, high))
    return ticks[(ticks >= low) & (ticks <= high)]


def text(value: Any) -> str:
    """A setting's value as people write it."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value))
    return str(value)


def shorten(name: str) -> str:
    """A text that fits into a chart."""
    return name if len(name) <= LABEL else f"{name[: LABEL // 2 - 1]}…{name[-LABEL // 2 :]}"


@styled
def panels(comparison: Comparison) -> str:
    """The metric over each parameter, one panel each."""
    shown = comparison.parameters[:PANELS]
    columns = min(4, len(shown))
    lines = -(-len(shown) // columns)
    figure = new_figure(11, 2.5 * lines)
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    values = np.array(comparison.values)
    ended = np.array([run.status == "finished" for run in comparison.runs])
    for axes, parameter in zip(grid.ravel(), shown, strict=False):
        placed = scale(parameter.values)
        axes.scatter(placed.places[ended], values[ended], s=26, facecolors="none", edgecolors=OTHERS)
        axes.scatter(placed.places[~ended], values[~ended], s=22, color=OTHERS, marker="x", linewidths=1)
        if comparison.best is not None:
            axes.scatter(placed.places[comparison.best], values[comparison.best], s=46, color=GOOD, zorder=3)
        axes.set_xticks([place for place, _ in placed.ticks], [name for _, name in placed.ticks])
        axes.set_xlim(-0.12, 1.12)
        if sum(len(name) for _, name in placed.ticks) > 120 // columns:
            axes.tick_params(axis="x", labelrotation=20)
            for label in axes.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")
        axes.set_title(shorten(parameter.name), loc="left")
        axes.grid(axis="y", color="#eef1f4")
        axes.set_axisbelow(True)
    for axes in grid.ravel()[len(shown) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(_metric(comparison))
    return svg(figure)


@styled
def parallel(comparison: Comparison) -> str:
    """Every run as a line over all parameters to the metric, coloured by its rank."""
    from matplotlib import colormaps

    values = np.array(comparison.values)
    measured = np.flatnonzero(np.isfinite(values))
    axes_of = [
        *((parameter.name, scale(parameter.values)) for parameter in comparison.parameters[:PANELS]),
        (_metric(comparison), scale(np.where(np.isfinite(values), values, np.nanmin(values)).tolist())),
    ]
    places = np.stack([placed.places for _, placed in axes_of], 1)
    figure = new_figure(11, 3.6)
    axes = figure.subplots()
    for rank in reversed(range(len(measured))):  # the best on top
        color = colormaps["viridis"](0.1 + 0.85 * rank / len(measured))
        axes.plot(places[measured[rank]], color=color, linewidth=0.9)
    if comparison.best is not None:
        axes.plot(places[comparison.best], color=GOOD, linewidth=3, marker="o", markersize=5)
    for column, (_, placed) in enumerate(axes_of):
        axes.axvline(column, color="#c9d1d9", linewidth=0.8, zorder=0)
        for place, name in placed.ticks:
            axes.annotate(
                name, (column, place), (4, 0), textcoords="offset points", fontsize=8, va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5},
            )  # fmt: skip
    axes.set_xticks(range(len(axes_of)), [shorten(name) for name, _ in axes_of])
    if len(axes_of) > 6:
        axes.tick_params(axis="x", labelrotation=20)
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(axes_of) - 0.4)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    return svg(figure)


@styled
def curves(comparison: Comparison, names: Sequence[str]) -> str:
    """Metrics over the epochs of every run; the best run's heavy, those broken off dashed."""
    from matplotlib.ticker import MaxNLocator

    lines = -(-len(names) // 2)
    figure = new_figure(11, 2.9 * lines)
    grid = figure.subplots(lines, min(2, len(names)), squeeze=False)
    for axes, name in zip(grid.ravel(), names, strict=False):
        drawn = [_curve(axes, comparison, row, name) for row in reversed(range(len(comparison.runs)))]
        everything = np.concatenate(drawn)
        if everything.min() > 0 and np.log10(everything.max() / everything.min()) > DECADES:
            logarithmic(axes.yaxis)
        axes.set_title(name, loc="left")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if max(map(len, drawn)) < 2:
            axes.set_xlim(0.5, 1.5)
        axes.grid(color="#eef1f4")
    for axes in grid.ravel()[len(names) :]:
        axes.set_visible(False)
    known = {
        label: handle
        for axes in grid.ravel()
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(known.values(), known, loc="outside right upper", fontsize=8, reverse=True)
    return svg(figure)


def _curve(axes: Axes, comparison: Comparison, row: int, name: str) -> np.ndarray:
    """Draw one run; give what was drawn."""
    run, best, few = comparison.runs[row], row == comparison.best, len(comparison.runs) <= NAMED
    values = course(run, name)
    if len(values):
        label = shorten(label_of(comparison, row)) + (" (best)" if best else "")
        axes.plot(
            values["epoch"] + 1,
            values["value"],
            color=GOOD if best else DISTINCT[row] if few else OTHERS,
            linestyle="-" if run.status in ("finished", "running") else "--",
            linewidth=2.4 if best else 1.1 if few else 0.7,
            marker="o" if len(values) == 1 else None,
            label=label if few or best else None,
        )
    return values["value"].to_numpy()


def label_of(comparison: Comparison, row: int) -> str:
    """A run's name, and its settings where they are few."""
    settings = [text(item.values[row]) for item in comparison.parameters]
    return comparison.names[row] + (f": {', '.join(settings)}" if 0 < len(settings) <= 3 else "")


def _metric(comparison: Comparison) -> str:
    return comparison.metric.name if comparison.metric else ""
