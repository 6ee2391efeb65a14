"""Pictures: which cells a method found, missed and invented, one panel for each method.

The colours are Okabe and Ito's, which colour-blind readers tell apart, and each has its own stroke.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from scipy.sparse import csr_matrix
from scores import Folders, Row, read_all
from skimage.measure import find_contours
from summary import in_order

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells, footprint_centers
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session import Session, Truth
from calcium_lightning.metrics.cell_match import match_cells
from calcium_lightning.pages.pictures import OUTLINE, contrast, patch

#: colour, width and line style of a stroke
STROKES: dict[str, tuple[str, float, Any]] = {
    "mask": ("white", 0.7, "solid"),
    "found": ("#56b4e9", 1.0, "solid"),
    "missed": ("#f0e442", 1.2, (0, (2, 1.2))),
    "false": ("#d55e00", 1.6, "solid"),
}
COLUMNS, PANEL = 4, 3.9  # most panels in a row; inches
GAMMA = 0.6  # of the picture beneath, so that dim cells show
Lines = list[np.ndarray]


@dataclass(frozen=True)
class Outlines:
    """The cells of one method, as lines of (N, 2) places (x, y) in the truth's field."""

    title: str
    lines: dict[str, Lines]


def draw_all(folders: Folders, anew: bool = False) -> None:
    """Draw every recording that has scores; those whose picture is newer than them only ``anew``."""
    rows = [row for row in in_order(read_all(folders)) if "error" not in row]
    for name, group in groupby(sorted(rows, key=lambda row: row["recording"]), lambda row: row["recording"]):
        own, target = list(group), folders.pictures / f"{name}.png"
        there = [row for row in own if Path(row["cells_file"]).is_file()]
        scores = list(folders.scores.glob(f"{name}.*.json"))
        session = folders.session(name)
        if not there or not session.is_file():
            continue
        newest = max(path.stat().st_mtime for path in scores)
        if anew or not target.is_file() or target.stat().st_mtime < newest:
            draw(target, session, there)


def draw(target: Path, session: Path, rows: list[Row]) -> None:
    """Write one recording's picture."""
    with Session(session) as opened:
        truth, pixel_size, shape = opened.truth, opened.pixel_size_um, (opened.height, opened.width)
    assert truth is not None
    background, origin, panels = None, np.zeros(2), []
    for row in rows:
        cells = read_cells(row["cells_file"])
        offset = np.array([row["figures"].get(name) or 0.0 for name in ("offset_y", "offset_x")])
        panels.append(outlines(row, cells, truth, offset))
        if background is None and cells.max_image.any():
            background, origin = _flashes(cells), offset
    if background is None:  # no method that tells how the field looks
        background = np.zeros(shape)
    panels.insert(0, _plain(truth, shape))
    lines = math.ceil(len(panels) / COLUMNS)
    columns = math.ceil(len(panels) / lines)
    size = (PANEL * columns, (PANEL * shape[0] / shape[1] + 0.35) * lines + 0.3)
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    grid = np.ravel(figure.subplots(lines, columns, squeeze=False))
    for axes, panel in zip(grid, panels, strict=False):
        _panel(axes, panel, background, origin, shape)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    _scale_bar(grid[0], shape, pixel_size)
    handles = [
        Line2D([], [], color=color, linewidth=width, linestyle=style, label=_names(truth)[kind])
        for kind, (color, width, style) in STROKES.items()
        if kind in _names(truth)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    with atomic_path(target, overwrite=True) as temporary:
        figure.savefig(temporary, dpi=110, bbox_inches="tight", pad_inches=0.1)


def outlines(row: Row, cells: Cells, truth: Truth, offset: np.ndarray) -> Outlines:
    """What a method found, missed and invented, moved by the offset to the truth's field."""
    chosen = np.flatnonzero(np.asarray(cells.accepted, bool))
    centers = np.asarray(cells.centers, float)[chosen]
    if truth.footprints is not None:
        footprints = csr_matrix(truth.footprints)
        match = match_cells(centers, footprint_centers(footprints, cells.frame_shape))
        right = np.isin(np.arange(len(chosen)), match.found)
        lost = np.setdiff1d(np.arange(match.n_true), match.true)
        missed = contours(footprints, lost, cells.frame_shape[1], np.zeros(2))
    else:
        assert truth.mask is not None
        right, missed = _in_mask(centers, truth.mask, cells.frame_shape)
    lines = {
        "found": contours(cells.footprints, chosen[right], cells.frame_shape[1], offset),
        "missed": missed,
        "false": contours(cells.footprints, chosen[~right], cells.frame_shape[1], offset),
    }
    return Outlines(_title(row, int(right.sum()), int((~right).sum())), lines)


def contours(footprints: csr_matrix, rows: Iterable[int], width: int, offset: np.ndarray) -> Lines:
    """Lines (x, y) around the part of each footprint above half of its peak."""
    lines = []
    for row in rows:
        part = patch(footprints, int(row), width)
        corner = np.array([part.top, part.left]) + offset
        for contour in find_contours(part.image, OUTLINE * part.image.max()) if part.image.any() else []:
            lines.append((contour + corner)[:, ::-1])
    return lines


def _in_mask(centers: np.ndarray, mask: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, Lines]:
    """Which centres are inside the mask, and the outlines of its parts that hold none."""
    from skimage.measure import label

    scale = np.array(mask.shape) / np.array(shape)
    y, x = np.clip(((centers + 0.5) * scale).astype(int), 0, np.array(mask.shape) - 1).T
    parts = label(mask > 0, connectivity=1)
    empty = (mask > 0) & ~np.isin(parts, parts[y, x])
    return mask[y, x] > 0, _edges(empty, shape)


def _edges(mask: np.ndarray, shape: tuple[int, int]) -> Lines:
    """Lines (x, y), in pixels of frames (H, W), around what a mask of the same field marks."""
    scale = np.array(mask.shape) / np.array(shape)
    around = find_contours(np.pad(mask > 0, 1).astype(float), 0.5)
    return [((line - 1 + 0.5) / scale - 0.5)[:, ::-1] for line in around]


def _plain(truth: Truth, shape: tuple[int, int]) -> Outlines:
    if truth.mask is None:
        return Outlines("brightest less mean", {})
    return Outlines("brightest less mean, annotators' mask", {"mask": _edges(truth.mask, shape)})


def _title(row: Row, right: int, wrong: int) -> str:
    figures = row["figures"]
    if figures.get("f1") is not None:
        missed = int(figures["true_cells"]) - right
        return f"{row['method']}: F1 {figures['f1']:.2f}\n{right} found, {missed} missed, {wrong} false"
    hit = f"{figures['mask_parts_hit']:.0f} of {figures['mask_parts']:.0f} parts hit"
    return f"{row['method']}: κ {figures['mask_kappa']:.2f}\n{right} inside, {wrong} outside, {hit}"


def _names(truth: Truth) -> dict[str, str]:
    if truth.footprints is not None:
        return {"found": "found", "missed": "missed (true outline)", "false": "false"}
    return {"found": "inside the mask", "missed": "part of the mask without a cell", "false": "outside"}


def _flashes(cells: Cells) -> np.ndarray:
    """The brightest less the mean, 0 to 1: what has lit up, without what is always bright."""
    lit = np.asarray(cells.lit_image, float)
    low, high = contrast(lit, 0.5)
    return np.clip((lit - low) / (high - low), 0, 1) ** GAMMA


def _panel(
    axes: Axes, panel: Outlines, background: np.ndarray, origin: np.ndarray, shape: tuple[int, int]
) -> None:
    height, width = shape
    box = (origin[1] - 0.5, origin[1] + width - 0.5, origin[0] + height - 0.5, origin[0] - 0.5)
    white = 1.6 if "found" in panel.lines else 1.0  # outlines need dark ground
    axes.imshow(background, cmap="gray", vmin=0, vmax=white, extent=box)
    for kind, (color, linewidth, style) in STROKES.items():
        lines = panel.lines.get(kind, [])
        axes.add_collection(LineCollection(lines, colors=color, linewidths=linewidth, linestyles=[style]))
    axes.set_title(panel.title, fontsize=10, loc="left")
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[], facecolor="black")


def _scale_bar(axes: Axes, shape: tuple[int, int], pixel_size: float | None) -> None:
    """A bar of a round length, a fifth of the field or less."""
    height, width = shape
    unit, size = ("px", 1.0) if pixel_size is None else ("µm", pixel_size)
    most = 0.2 * width * size
    length = max(step for step in _round_steps() if step <= most)
    bar, margin = length / size, 0.04 * width
    ground = (width - bar - 2 * margin, height - 0.12 * height)
    axes.add_patch(Rectangle(ground, bar + 2 * margin, 0.12 * height, color="black", alpha=0.6, linewidth=0))
    bottom = height - margin
    axes.add_patch(Rectangle((width - bar - margin, bottom), bar, 0.012 * height, color="white", linewidth=0))
    middle = width - margin - bar / 2
    axes.text(middle, bottom - 0.01 * height, f"{length:g} {unit}", color="white", ha="center", va="bottom")


def _round_steps() -> Iterator[float]:
    return (digit * 10.0**power for power in range(-2, 5) for digit in (1, 2, 5))
