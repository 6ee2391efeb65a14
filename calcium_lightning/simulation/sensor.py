"""From light to numbers: photons, noise, levels, and what earlier processing made of them.

Knows nothing of tissue. Light is relative: 1 is the background in the middle of the field.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from calcium_lightning.simulation.settings import SceneSettings
from calcium_lightning.simulation.streams import correlated_normals, stream


class Sensor:
    """One sensor with its own fixed pattern.

    Parameters
    ----------
    settings : SceneSettings
        Photons, noise and levels.
    seed : int
        Seed of the scene.

    Attributes
    ----------
    full_scale : int
        Largest level.
    levels_per_light : float
        Levels per unit of light.
    """

    def __init__(self, settings: SceneSettings, seed: int) -> None:
        self.settings = settings
        self.seed = seed
        self.size = (settings.height_px, settings.width_px)
        self.full_scale = 2**settings.bit_depth - 1
        self.levels_per_light = settings.mean_level * self.full_scale
        rng = stream(seed, "sensor")
        gain = 1 + settings.pixel_gain_std * rng.standard_normal(self.size)
        offset = np.full(self.size, settings.black_level * self.full_scale)
        gain[rng.random(self.size) < settings.dead_pixels_per_million * 1e-6] = 0
        hot = rng.random(self.size) < settings.hot_pixels_per_million * 1e-6
        offset[hot] += rng.uniform(0.2, 0.9, self.size)[hot] * self.full_scale
        self.gain = np.maximum(gain, 0).astype(np.float32) * np.float32(self.levels_per_light)
        self.offset = offset.astype(np.float32)

    def noisy(self, light: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Add shot and read noise to light, float32 (n, height, width), in place.

        The Poisson distribution by its Cornish-Fisher expansion to second order: mean, variance and skewness
        are right, which at the counts of these sensors (above about 5) can't be told from drawing photons.

        Parameters
        ----------
        light : ndarray, float32 (n, height, width)
            Without noise, not negative. Overwritten.
        frames : ndarray of int (n,)
            Frame numbers: each has its own noise.
        """
        settings = self.settings
        correlation = settings.noise_autocorrelation
        normal = correlated_normals(self.seed, frames, self.size, correlation)
        if settings.noise_smoothing_px > 0:
            sigma = settings.noise_smoothing_px
            normal = gaussian_filter(normal, (0, sigma, sigma), mode="reflect", truncate=3.0)
            # unit variance again: that of a Gaussian blur of white noise
            middle = 4 * round(sigma) + 8
            taps = gaussian_filter(np.eye(1, 2 * middle + 1, middle)[0], sigma, truncate=3.0)
            normal /= np.float32((taps**2).sum())
        photons = np.float32(settings.photons_per_px)
        light *= photons
        variance = light + np.float32(settings.read_noise_photons**2)
        skew = light / np.maximum(variance, np.float32(1e-6))
        light += np.sqrt(variance, out=variance) * normal
        normal *= normal
        normal -= 1
        normal *= skew
        normal *= np.float32(1 / 6)
        light += normal
        light /= photons
        return light

    def levels(self, light: np.ndarray) -> np.ndarray:
        """Convert light to levels, uint8 or uint16 (n, height, width). Overwrites `light`."""
        light *= self.gain
        light += self.offset
        return self.quantised(demosaicked(light) if self.settings.demosaicked else light)

    def quantised(self, levels: np.ndarray) -> np.ndarray:
        """Round and clip to the sensor's levels. Overwrites `levels`."""
        np.rint(levels, out=levels)
        np.clip(levels, 0, self.full_scale, out=levels)
        return levels.astype(np.uint8 if self.full_scale < 256 else np.uint16)


def demosaicked(levels: np.ndarray) -> np.ndarray:
    """Fill the pixels of a Bayer sensor that see no green with the mean of their four neighbours.

    Parameters
    ----------
    levels : ndarray, float32 (n, height, width)
        What every pixel would have seen through a green filter; used is every second one, as on a chessboard.
    """
    height, width = levels.shape[1:]
    padded = np.pad(levels, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    around = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    green = (np.arange(height)[:, None] + np.arange(width)) % 2 == 0
    return np.where(green, levels, around * np.float32(0.25))


def relative_change(light: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """ΔF/F against the mean image: (n, height, width). Overwrites `light`."""
    light /= mean
    light -= 1
    return light


def stretch_range(change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest value and span of each frame, (n, 1, 1) both."""
    low = change.min((1, 2), keepdims=True)
    return low, np.maximum(change.max((1, 2), keepdims=True) - low, np.float32(1e-6))
