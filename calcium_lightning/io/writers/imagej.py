"""Outlines of cells as a zip of ROIs that ImageJ's and Fiji's ROI manager opens.

ImageJ counts from the corner of the first pixel, we from its centre: half a pixel is added.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.writers.measures import patch_of
from calcium_lightning.io.writers.table import Export

#: outlines are where a footprint has this share of its peak
LEVEL = 0.5


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write the zip, atomically.

    Raises
    ------
    InputError
        If the target exists, or there is no footprint to outline.
    """
    from roifile import ImagejRoi, roiwrite

    rois = []
    for k, number in enumerate(export.numbers(cells)):
        places = outline(cells, k)
        if len(places):
            name = f"cell_{number:04d}" + ("" if cells.accepted[k] else "_rejected")
            rois.append(ImagejRoi.frompoints(places[:, ::-1] + 0.5, name=name))
    if not rois:
        raise InputError(f"{export.source or target}: no cells to export")
    with atomic_path(target, export.overwrite) as temporary:
        # the library tells a zip by the name, and ours is temporary
        named = temporary.with_name(f"{temporary.name}.zip")
        try:
            roiwrite(named, rois, mode="w")
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)


def outline(cells: Cells, row: int, level: float = LEVEL) -> np.ndarray:
    """The longest outline (y, x) of a footprint at a share of its peak, float64 (N, 2)."""
    from skimage.measure import find_contours

    y, x, weights = patch_of(cells, row)
    if not len(y) or not weights.max() > 0:
        return np.zeros((0, 2))
    corner = np.array([y.min(), x.min()]) - 1
    image = np.zeros((np.ptp(y) + 3, np.ptp(x) + 3))  # a margin, so that outlines close
    image[y - corner[0], x - corner[1]] = weights
    lines = find_contours(image, level * weights.max())
    return max(lines, key=len) + corner if lines else np.zeros((0, 2))
