"""Cells in a notebook: their picture, and what is shown of them where they are a cell's last line.

Knows :class:`~calcium_lightning.core.cells.Cells` and matplotlib.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from calcium_lightning.core.cells import Cells
from calcium_lightning.pages.pictures import OUTLINE, contours, contrast, patch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: colours of accepted and rejected cells
ACCEPTED, REJECTED = "#ffb000", "#648fff"
#: cells whose figures are shown in a notebook
FIRST = 5
#: qualities that are shown there, where they are known
SHOWN = ("score", "snr")


def plot_cells(
    cells: Cells,
    ax: Axes | None = None,
    *,
    rejected: bool = False,
    labels: bool = True,
    level: float = OUTLINE,
) -> Axes:
    """Outlines of cells over what lit up: the maximum less the mean image.

    Parameters
    ----------
    cells : Cells
        What was found.
    ax : matplotlib Axes, optional
        Where to draw; default a new figure.
    rejected : bool
        Draw the cells that failed the quality tests too, thinner and in another colour.
    labels : bool
        Write each cell's row beside it.
    level : float
        Share of a footprint's peak at which it is outlined.

    Returns
    -------
    matplotlib Axes
        In pixels of the session; y points down.
    """
    from matplotlib import pyplot
    from matplotlib.collections import LineCollection

    if ax is None:
        height, width = cells.frame_shape
        ax = pyplot.subplots(figsize=(6 * width / max(height, width), 6 * height / max(height, width)))[1]
    lit = cells.lit_image
    low, high = contrast(lit)
    ax.imshow(lit, cmap="gray", vmin=low, vmax=high)
    accepted = np.asarray(cells.accepted, bool)
    groups = [(~accepted, REJECTED, 0.6)] if rejected else []
    for chosen, colour, width_pt in [*groups, (accepted, ACCEPTED, 1.0)]:
        rows = np.flatnonzero(chosen).tolist()
        lines = [
            line[:, ::-1]
            for row in rows
            for line in contours(patch(cells.footprints, row, cells.frame_shape[1]), level)
        ]
        ax.add_collection(LineCollection(lines, colors=colour, linewidths=width_pt))
        for row in rows if labels else ():
            y, x = cells.centers[row]
            if not np.isfinite([y, x]).all():
                continue  # an empty footprint has none
            ax.text(x, y, str(row), color=colour, fontsize=6, ha="center", va="center", clip_on=True)
    ax.set(xlabel="x (px)", ylabel="y (px)", title=f"{accepted.sum()} cells accepted of {len(cells)} found")
    return ax


def cells_html(cells: Cells) -> str:
    """How many there are, of which recording, and the figures of the first few, as HTML."""
    height, width = cells.frame_shape
    accepted = int(np.sum(cells.accepted))
    length = f"{cells.n_frames:,} frames of {height} × {width} px at {cells.fps:g} Hz"
    lines = [
        f"<p><b>{accepted} cells accepted of {len(cells)} found</b><br>{length}, {escape(cells.session)}</p>"
    ]
    if len(cells):
        names = [name for name in SHOWN if name in cells.quality]
        head = "".join(f"<th>{name}</th>" for name in ("cell", "y (px)", "x (px)", *names, "accepted"))
        lines.append(f"<table><tr>{head}</tr>")
        for row in range(min(FIRST, len(cells))):
            y, x = cells.centers[row]
            figures = [f"{cells.quality[name][row]:.2f}" for name in names]
            texts = [str(row), f"{y:.1f}", f"{x:.1f}", *figures, "yes" if cells.accepted[row] else "no"]
            lines.append("<tr>" + "".join(f"<td>{text}</td>" for text in texts) + "</tr>")
        lines.append("</table>")
    return "\n".join(lines)
