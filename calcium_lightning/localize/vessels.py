"""Vessels: dark strands of the mean image, along which flow and motion flicker as cells do.

Knows images and footprints.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import find_objects, gaussian_filter, grey_closing, label

from calcium_lightning.localize.patches import Patches

#: what is dark within so large a disc (radius, network pixels) and bright on two sides of it is a strand:
#: cells are 6 wide, vessels up to twice that
REACH = 8
EDGE = slice(2 * REACH, -2 * REACH)
#: standard deviation of the blur before it is looked for, network pixels
BLUR = 1.0
#: it is so many times as dark as the field is uneven at that scale, and by at least this share of the light
UNEVEN, DARKER = 4.0, 0.015
#: a strand is at least so long, network pixels: three cells
LENGTH = 18
#: below this share of what is bright in the field, there is no brightness to be a share of
DIM = 0.1


def vessels(image: np.ndarray) -> np.ndarray:
    """Where a mean image (h, w) is dark along a strand, bool (h, w).

    How much darker a pixel is than the closing of the image by a disc (the black top-hat of mathematical
    morphology, Meyer 1979). An image without brightness, as ΔF/F has, has no vessels.

    Parameters
    ----------
    image : ndarray (h, w)
        At the network's scale.
    """
    smooth = gaussian_filter(np.asarray(image, np.float64), BLUR, mode="nearest")
    y, x = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
    # A dark strip at the border goes on beyond it.
    wide = np.pad(smooth, 2 * REACH, mode="edge")
    around = grey_closing(wide, footprint=y * y + x * x <= REACH * REACH)[EDGE, EDGE]
    lit = around > max(DIM * float(np.percentile(around, 90)), 0.0)
    depth = np.where(lit, 1 - smooth / np.where(lit, around, 1), 0.0)
    parts, count = label(depth > max(DARKER, UNEVEN * float(np.median(depth))), np.ones((3, 3)))
    long = np.zeros(count + 1, bool)
    for number, (rows, columns) in enumerate(find_objects(parts), 1):
        long[number] = max(rows.stop - rows.start, columns.stop - columns.start) >= LENGTH
    return long[parts]


def share_on(footprints: Patches, mask: np.ndarray) -> np.ndarray:
    """Which share of each footprint lies on a mask (h, w), (K,)."""
    under = footprints.look_up(torch.from_numpy(mask.astype(np.float32)))
    light = footprints.values.square()  # the flanks reach a vessel beside a cell, its middle doesn't
    return ((under * light).sum((1, 2)) / light.sum((1, 2)).clamp_min(1e-9)).numpy()
