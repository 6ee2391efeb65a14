"""Where places of the tissue lie in the frames: whether they show it, and how far from a lens's edge.

Knows a prepared session and points; must not know what is at them.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from calcium_lightning.preprocess.prepared import Prepared

#: share of the frames in which a cell must be clear of what shows no tissue
SHOWN = 0.8
#: frames that are looked at, spread evenly
FRAMES = 512


def shows(prepared: Prepared, points: np.ndarray) -> np.ndarray:
    """Whether points (K, 2), session pixels, show tissue most of the time, bool (K,)."""
    usable = prepared.usable
    if usable is None or not len(points):
        return np.ones(len(points), bool)
    return usable.numpy()[_pixels_of(prepared, points)].mean(0) >= SHOWN


def from_edge(prepared: Prepared, points: np.ndarray) -> np.ndarray | None:
    """How far points (K, 2), session pixels, lie from a lens's edge, whose shade moves against them.

    Cell diameters, in half of the frames at least, (K,); None where no lens shows.
    """
    view = getattr(prepared.session, "view", None)
    if view is None or not view.outside.any():
        return None
    distance = distance_transform_edt(~view.outside) / prepared.cell_diameter
    return np.median(distance[_pixels_of(prepared, points)], 0)


def _pixels_of(prepared: Prepared, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (n, K) where points (K, 2) of the tissue lay in the frames that are looked at."""
    index = np.unique(np.linspace(0, len(prepared.shifts) - 1, FRAMES).astype(int))
    shifts = prepared.shifts_at(points)[index]
    places = np.round(np.nan_to_num(points)[None] + shifts).astype(int)
    row, column = (
        np.clip(places[..., axis], 0, length - 1) for axis, length in enumerate(prepared.scale.field)
    )
    return row, column
