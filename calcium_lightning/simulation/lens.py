"""The round picture of a lens: a soft edge that stays with the sensor, and what it hides of the cells.

Lengths are pixels. Knows nothing of tissue or of motion.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_matrix, diags_array

from calcium_lightning.simulation.cells import CUT
from calcium_lightning.simulation.settings import SceneSettings

OFF_CENTRE = 0.05  # standard deviation of the picture's middle, relative to its radius
TEN_TO_NINETY = 2 * math.log(9)  # of a logistic edge, in units of its scale


def draw_lens(
    size: tuple[int, int], margin: int, settings: SceneSettings, rng: np.random.Generator
) -> np.ndarray:
    """Draw the lens's transmission over the sensor, float32 (height + 2 margin, width + 2 margin)."""
    radius = settings.lens_radius * 0.5 * min(size)
    middle = 0.5 * np.array(size) + margin - 0.5 + rng.normal(0, OFF_CENTRE, 2) * radius
    y, x = np.arange(size[0] + 2 * margin)[:, None], np.arange(size[1] + 2 * margin)[None, :]
    beyond = np.hypot(y - middle[0], x - middle[1]) - radius
    scale = max(settings.lens_edge_px, 1e-3) / TEN_TO_NINETY
    return (0.5 * (1 - np.tanh(0.5 * beyond / scale))).astype(np.float32)


def seen_through(
    footprints: csr_matrix, lens: np.ndarray, at_centres: np.ndarray
) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
    """What a lens leaves of footprints.

    Parameters
    ----------
    footprints : csr_matrix, float32 (K, height * width)
        Each with a peak of 1.
    lens : ndarray, float32 (height, width)
        Transmission.
    at_centres : ndarray (K,)
        Transmission at the cells' centres.

    Returns
    -------
    footprints : csr_matrix, float32 (K, height * width)
        With a peak of 1 again.
    share : ndarray (K,)
        Brightest pixel, relative to that without the lens.
    over_centre : ndarray (K,)
        The same relative to the light that the lens lets through at the centre.
    """
    shaded = csr_matrix(footprints @ diags_array(lens.ravel()), dtype=np.float32)
    share = shaded.max(1).toarray().ravel() if shaded.shape[0] else np.zeros(0)
    shaded = csr_matrix(diags_array(1 / np.where(share > 0, share, 1)) @ shaded, dtype=np.float32)
    shaded.data[shaded.data < CUT] = 0
    shaded.eliminate_zeros()
    shaded.sort_indices()
    return shaded, share, share / np.maximum(at_centres, 1e-6)
