"""Vessels whose walls flicker: pulse, dilation and flow change the light along them, here up and there down.

Knows the vessels' transmission, nothing of cells or of the sensor.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude
from scipy.sparse import csr_matrix

from calcium_lightning.simulation.activity import slow_courses
from calcium_lightning.simulation.settings import SceneSettings

COMPONENTS = 16  # pieces of wall with a time course of their own
TIME_S = (0.1, 3.0)  # correlation times of these
LEAST = 0.02  # where a wall is less steep than this share of the steepest, it doesn't flicker


class Flicker:
    """Relative change of the light along vessels, in every frame.

    Parameters
    ----------
    transmission : ndarray, float32 (H, W)
        Of the vessels; 1 where there is none.
    settings : SceneSettings
        How strong: `vessel_flicker`.
    rng : callable
        Gives the random generator of a part by its name.

    Attributes
    ----------
    walls : csr_matrix, float32 (H * W, components)
        How much each piece changes the light of each pixel.
    courses : ndarray, float32 (components, T)
        By what in each frame; of mean 0 and variance 1.
    """

    def __init__(
        self,
        transmission: np.ndarray,
        settings: SceneSettings,
        rng: Callable[[str], np.random.Generator],
    ) -> None:
        steep = gaussian_gradient_magnitude(transmission.astype(float), 1.0, mode="nearest")
        steep /= max(float(steep.max()), 1e-9)
        steep[steep < LEAST] = 0
        random = rng("vessel flicker")
        fields = gaussian_filter(
            random.standard_normal((COMPONENTS, *transmission.shape)),
            (0, settings.mean_diameter_px, settings.mean_diameter_px),
            mode="nearest",
        )
        fields /= np.sqrt((fields**2).sum(0))  # so the variances of all add up to 1 everywhere
        flat = (settings.vessel_flicker * steep * fields).reshape(COMPONENTS, -1)
        self.walls = csr_matrix(flat.T.astype(np.float32))
        self.courses = slow_courses(
            COMPONENTS, settings.n_frames, settings.fps, TIME_S, rng("vessel flicker's courses")
        ).astype(np.float32)

    def factor(self, frames: np.ndarray) -> np.ndarray:
        """What the light is multiplied with, float32 (n, H * W), never negative."""
        return np.maximum(1 + (self.walls @ self.courses[:, frames]).T, np.float32(0))
