"""A moving tissue in closed form: texture by Fourier shift, blinking Gaussian cells, a static vignette, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

MARGIN = 24


@dataclass
class Recording:
    """Frames in memory behind the interface of a session."""

    movie: NDArray
    kind: str = "raw"
    read: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.movie.shape

    @property
    def dtype(self) -> np.dtype:
        return self.movie.dtype

    def frames(self, start: int, stop: int) -> NDArray:
        self.read = max(self.read, stop - start)
        return self.movie[start:stop]


def moving_tissue(
    shifts: NDArray,
    size: tuple[int, int] = (96, 80),
    cell_diameter: float = 8.0,
    cells: int = 25,
    texture: float = 8.0,
    brightness: float = 100.0,
    seed: int = 0,
) -> NDArray:
    """Frames (T, H, W), uint8, in which the tissue point c is seen at c + shifts[t]."""
    random = np.random.default_rng(seed)
    count = len(shifts)
    canvas = tuple(n + 2 * MARGIN for n in size)
    pattern = gaussian_filter(random.standard_normal(canvas), 0.4 * cell_diameter, mode="wrap")
    pattern *= texture / pattern.std()
    spectrum = np.fft.fft2(brightness + pattern)
    fy, fx = np.fft.fftfreq(canvas[0])[:, None], np.fft.fftfreq(canvas[1])
    phase = np.exp(-2j * np.pi * (fy * shifts[:, 0, None, None] + fx * shifts[:, 1, None, None]))
    tissue = np.fft.ifft2(spectrum * phase).real[:, MARGIN:-MARGIN, MARGIN:-MARGIN]

    y, x = np.arange(size[0]), np.arange(size[1])
    sigma = cell_diameter / 2.3548
    activity = np.zeros((count, cells))
    for t in range(count):
        activity[t] = 0.9 * activity[t - 1] * (t > 0) + 40 * (random.random(cells) < 0.02)
    for k, center in enumerate(random.uniform(0, size, (cells, 2))):
        row = np.exp(-0.5 * ((y - center[0] - shifts[:, :1]) / sigma) ** 2)
        column = np.exp(-0.5 * ((x - center[1] - shifts[:, 1:]) / sigma) ** 2)
        tissue += activity[:, k, None, None] * row[:, :, None] * column[:, None]

    radius2 = ((y[:, None] / size[0] - 0.5) ** 2 + (x / size[1] - 0.5) ** 2) * 2
    seen = tissue * (1 - 0.5 * radius2)
    return random.poisson(seen.clip(0)).clip(0, 255).astype(np.uint8)


def wandering(count: int, spread: float = 2.0, seed: int = 0) -> NDArray:
    """Shifts (T, 2): correlated from frame to frame, of standard deviation ``spread``."""
    random = np.random.default_rng(seed)
    steps = random.standard_normal((count, 2))
    for t in range(1, count):
        steps[t] = 0.6 * steps[t - 1] + 0.8 * steps[t]
    return (spread * steps).astype(np.float32)


def rmse(estimate: NDArray, truth: NDArray) -> NDArray:
    """Per axis, after removing the constant offset."""
    error = np.asarray(estimate) - truth
    return (error - error.mean(0)).std(0)
