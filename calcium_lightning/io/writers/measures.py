"""What exports say of cells that a cells file doesn't hold, but follows from it.

Knows :class:`~calcium_lightning.core.cells.Cells` and scikit-image's region properties; no format.
"""

from __future__ import annotations

import numpy as np

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.scale import CENTROID_LEVEL
from calcium_lightning.core.standing import ORIGINS

#: region properties of scikit-image -> their column
SHAPES = {
    "area": "area_px",
    "equivalent_diameter_area": "diameter_px",
    "axis_major_length": "major_axis_px",
    "axis_minor_length": "minor_axis_px",
    "eccentricity": "eccentricity",
    "orientation": "orientation_rad",
    "solidity": "solidity",
}


def unit_of(cells: Cells) -> str:
    """What traces are measured in: ``dff`` of frames that were ratios, else ``au``, the frames' units."""
    return "dff" if cells.kind == "dff" else "au"


def dff(cells: Cells) -> np.ndarray:
    """ΔF/F, float32 (K, T): the traces over the baseline F0; ``nan`` for cells without one above 0.

    Traces of frames that were ratios are ΔF/F already.
    """
    if cells.kind == "dff":
        return np.asarray(cells.traces, np.float32)
    base = np.where(cells.baseline > 0, cells.baseline, np.nan)
    return (cells.traces / base[:, None]).astype(np.float32)


def decisions(cells: Cells) -> dict[str, tuple[np.ndarray, str]]:
    """What a person left: column -> (values (K,), what it means); empty where nobody has decided."""
    standing = cells.curation
    if standing is None:
        return {}
    return {
        "by_hand": (standing.verdict, "1 accepted by hand, -1 rejected by hand, 0 neither"),
        "origin": (np.array([ORIGINS[k] for k in standing.origin], object), f"one of {', '.join(ORIGINS)}"),
        "regressed": (
            standing.regressed,
            "its trace was measured on the recording; otherwise put together from others', or, of what was "
            "drawn, none is known (nan)",
        ),
        "replaced": (~standing.present, "others that a person made have taken its place"),
        "labels": (np.array(["; ".join(some) for some in standing.labels], object), "labels given by hand"),
        "note": (np.array(standing.notes, object), "a person's words"),
    }


def patch_of(cells: Cells, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of a footprint: y, x and weight, (N,) each."""
    matrix = cells.footprints
    span = slice(matrix.indptr[row], matrix.indptr[row + 1])
    y, x = np.divmod(matrix.indices[span], cells.frame_shape[1])
    return y, x, matrix.data[span]


def footprint_shapes(cells: Cells, level: float = CENTROID_LEVEL) -> dict[str, np.ndarray]:
    """Size and shape of each footprint's part above `level` of its peak: column -> (K,) float64.

    As :func:`skimage.measure.regionprops` measures them; NaN for an empty footprint.
    """
    from skimage.measure import regionprops

    values = {column: np.full(len(cells), np.nan) for column in SHAPES.values()}
    for k in range(len(cells)):
        y, x, weights = patch_of(cells, k)
        bright = weights > level * weights.max(initial=0)
        if not bright.any():
            continue
        y, x = y[bright], x[bright]
        region = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1), np.uint8)  # the bounding box, not the field
        region[y - y.min(), x - x.min()] = 1
        (properties,) = regionprops(region)
        for name, column in SHAPES.items():
            # the hull of a region one pixel wide doesn't exist: such a region is convex
            flat = name == "solidity" and min(region.shape) < 2
            values[column][k] = 1.0 if flat else properties[name]
    return values
