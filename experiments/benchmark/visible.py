"""Cells that anybody would see, and by how many outlines each is told.

    python experiments/benchmark/visible.py CELLS.h5=DIAMETER... [--pictures FOLDER]

A cell is taken for visible where the peak to noise (``/images/peak_to_noise``) has a blob as wide as a cell
that rises above its surroundings by more than 19 in 20 of the field's hollows sink below theirs. Nothing that
was found goes into it. Two blobs closer together than a diameter are left out: which is whose nobody can
say. One cell, one outline: a visible cell should lie inside exactly one accepted outline, drawn at half of
the footprint's peak.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from overlays import contours
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.scale import FWHM
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.pages.pictures import OUTLINE

#: share of the hollows that sink less than a blob rises
HOLLOWS = 0.95
#: colours of what no outline tells, one, several
COLOURS = ("#d55e00", "#009e73", "#f0e442")
COUNTED = {"visible": "visible", "by_one": "by one outline", "by_none": "by none", "by_several": "by several"}


def main() -> None:
    """Count visible cells, and draw them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", nargs="+", metavar="CELLS.h5=DIAMETER", help="diameter in pixels")
    parser.add_argument("--pictures", type=Path, help="where pictures go; default: none are drawn")
    args = parser.parse_args()
    print("| cells |", " | ".join(COUNTED.values()), "|\n| --- | --- | --- | --- | --- |")
    for text in args.cells:
        path, _, diameter = text.rpartition("=")
        cells, name = read_cells(path), Path(path).stem
        peaks = visible(cells.lit_image, float(diameter))
        counts = outlines_over(cells, peaks)
        print(f"| {name} |", " | ".join(map(str, told(counts).values())), "|")
        if args.pictures:
            args.pictures.mkdir(parents=True, exist_ok=True)
            draw(args.pictures / f"{name}_visible.png", cells, peaks, counts)


def visible(image: np.ndarray, diameter: float) -> np.ndarray:
    """Places of blobs that stand by themselves, int (N, 2).

    Parameters
    ----------
    image : ndarray (H, W)
        Peak to noise.
    diameter : float
        Of a cell, full width at half maximum, pixels.
    """
    sigma = diameter / FWHM
    rise = gaussian_filter(image.astype(float), sigma / 2) - gaussian_filter(image.astype(float), 2 * sigma)
    side = int(diameter) | 1
    hollow = -rise[(rise == minimum_filter(rise, side)) & (rise < 0)]
    least = float(np.quantile(hollow, HOLLOWS)) if len(hollow) else 0.0
    blobs = np.argwhere((rise == maximum_filter(rise, side)) & (rise > least))
    if len(blobs) < 2:
        return blobs
    return blobs[cKDTree(blobs).query(blobs, k=2)[0][:, 1] >= diameter]


def outlines_over(cells: Cells, places: np.ndarray) -> np.ndarray:
    """In how many accepted outlines each place (N, 2) lies, int (N,)."""
    kept = csr_matrix(cells.footprints)[np.flatnonzero(cells.accepted)]
    peaks = kept.max(axis=1).toarray()
    here = np.ravel_multi_index(tuple(places.T), cells.frame_shape)
    inside: np.ndarray = kept[:, here].toarray() > OUTLINE * np.maximum(peaks, 1e-9)
    return inside.sum(0)


def told(counts: np.ndarray) -> dict[str, int]:
    """How many visible cells there are, and how many lie in exactly one outline, in none, in several."""
    none, one, several = (int((np.minimum(counts, 2) == number).sum()) for number in range(3))
    return dict(zip(COUNTED, (len(counts), one, none, several), strict=True))


def draw(target: Path, cells: Cells, peaks: np.ndarray, counts: np.ndarray) -> None:
    """Accepted outlines over the peak to noise, and the visible cells by how many tell them."""
    lit = cells.lit_image
    low, high = np.percentile(lit, [20, 98.5])
    height, width = lit.shape
    figure = Figure(figsize=(16, 16 * height / width), layout="constrained")
    axes = figure.subplots()
    axes.imshow(lit, cmap="gray", vmin=low, vmax=high)
    for line in contours(cells.footprints, np.flatnonzero(cells.accepted), width, np.zeros(2)):
        axes.plot(*line.T, color="#56b4e9", linewidth=1)
    for number, colour in enumerate(COLOURS):
        y, x = peaks[np.minimum(counts, 2) == number].T
        axes.plot(x, y, "+", color=colour, markersize=9, markeredgewidth=2)
    axes.set_axis_off()
    with atomic_path(target, overwrite=True) as temporary:
        figure.savefig(temporary, dpi=80, format="png")


if __name__ == "__main__":
    main()
