"""Footprints as a regression on noisy frames would give them.

Knows footprints; knows neither cells nor days.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_matrix


def regressed(
    footprints: csr_matrix, size: tuple[int, int], noise: float, diameter: float, rng: np.random.Generator
) -> csr_matrix:
    """Footprints as regression on noisy frames gives them: smooth errors, cut where they are faint."""
    field = gaussian_filter(rng.standard_normal((2, *size)), (0, diameter / 6, diameter / 6))
    field /= field.std()
    count = footprints.shape[0]
    rows = np.repeat(np.arange(count), np.diff(footprints.indptr))
    # Neighbours share noise where they overlap, as they do in a regression, but not all of it.
    mix = rng.uniform(0, 2 * math.pi, count)
    flat = field.reshape(2, -1)[:, footprints.indices]
    error = np.cos(mix[rows]) * flat[0] + np.sin(mix[rows]) * flat[1]
    values = footprints.data + noise * error * np.sqrt(np.maximum(footprints.data, 0))
    peaks = np.zeros(count)
    np.maximum.at(peaks, rows, values)
    values = values / np.maximum(peaks[rows], 1e-6)
    values[values < 0.1] = 0
    found = csr_matrix((values.astype(np.float32), footprints.indices, footprints.indptr), footprints.shape)
    found.eliminate_zeros()
    return found
