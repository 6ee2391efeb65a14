"""Vessels: dark lines of the mean image, along which flow and motion flicker as cells do.

Knows images and footprints.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from calcium_lightning.localize.patches import Patches

#: widths of the lines that are looked for (standard deviations), network pixels: a cell's is 2.5
WIDTHS = (1.0, 1.5, 2.5)
#: brightness that a line's darkness is compared with is that of so wide a neighbourhood, network pixels
AROUND = 6.0


def dark_lines(image: np.ndarray) -> np.ndarray:
    """How dark a line each pixel (h, w) lies on, as a share of the brightness around it; 0 where on none.

    The curvature across the line less that along it, at the scale at which it is greatest (the ridges of
    Lindeberg 1998). An image without brightness, as ΔF/F has, has no lines.
    """
    image = np.asarray(image, np.float64)
    brightness = gaussian_filter(image, AROUND, mode="nearest")
    lines = np.zeros(image.shape)
    for width in WIDTHS:
        yy, xx, yx = (
            width**2 * gaussian_filter(image, width, order=order, mode="nearest")
            for order in ((2, 0), (0, 2), (1, 1))
        )
        middle, half = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
        across, along = middle + half, middle - half
        np.maximum(lines, np.where(across > 0, across - np.abs(along), 0), out=lines)
    floor = 0.1 * np.percentile(brightness, 90)
    return np.where(brightness > max(floor, 0), lines / np.maximum(brightness, 1e-9), 0.0).clip(0, 1)


def on_lines(footprints: Patches, lines: np.ndarray) -> np.ndarray:
    """Mean of :func:`dark_lines` under each footprint, weighted by it, (K,)."""
    import torch

    if not len(footprints):
        return np.zeros(0)
    under = footprints.look_up(torch.from_numpy(lines.astype(np.float32)))
    weight = footprints.values
    return ((under * weight).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1e-9)).numpy()
