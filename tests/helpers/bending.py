"""Tissue that moves and stretches, in closed form: the moving tissue, seen through a displacement field."""

from __future__ import annotations

import numpy as np
from helpers.moving import moving_tissue
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

AROUND = 12


def displacement(shifts: NDArray, stretch: NDArray, y: NDArray, x: NDArray, size: tuple[int, int]) -> NDArray:
    """Displacement (T, 2, ...) of points: rigid shifts (T, 2), and a stretch (T, 2), pixels at the borders."""
    v, u = (2 * c / (n - 1) - 1 for c, n in zip((y, x), size, strict=True))
    down = shifts[:, 0, None] + stretch[:, :1] * v.ravel() + 0.5 * stretch[:, 1:] * u.ravel()
    right = shifts[:, 1, None] + stretch[:, 1:] * u.ravel() - 0.5 * stretch[:, :1] * v.ravel()
    return np.stack([down, right], 1).reshape(len(shifts), 2, *np.shape(y))


def bending_tissue(shifts: NDArray, stretch: NDArray, size: tuple[int, int], **how: float) -> NDArray:
    """Frames (T, H, W), float32, in which the tissue point c is seen at c + displacement(c)."""
    wide = tuple(n + 2 * AROUND for n in size)
    still = moving_tissue(np.zeros_like(shifts), wide, **how).astype(np.float32)
    grid = np.stack(np.meshgrid(*(np.arange(float(n)) for n in size), indexing="ij"))
    origin = np.repeat(grid[None], len(shifts), 0)
    for _ in range(6):  # where on the tissue each pixel looks
        for t in range(len(shifts)):
            span = slice(t, t + 1)
            origin[t] = grid - displacement(shifts[span], stretch[span], *origin[t], size)[0]
    return np.stack(
        [map_coordinates(f, o + AROUND, order=3, mode="nearest") for f, o in zip(still, origin, strict=True)]
    )
