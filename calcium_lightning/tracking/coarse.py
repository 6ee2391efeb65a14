"""Where two fields may lie on each other: every rotation and shift, by correlation of their cells' places.

Knows points. Each cell counts alike, however bright, and what has the cells' own density at a coarser scale
(the lens's edge, a crowded half) cancels: what is left are the places of single cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import maximum_filter

#: grid steps in a cell diameter; blur of a place, and of the density that is subtracted, in diameters
STEPS, FINE, BROAD = 4.0, 0.45, 1.6
#: peaks are looked for among pixels of such a share of the highest, and in all where these hold too few
HIGH = 0.6
#: rotations correlated at once: bounds the memory
AT_ONCE = 8


@dataclass(frozen=True)
class Candidate:
    """One way of laying the first field onto the second.

    Attributes
    ----------
    matrix : ndarray, float64 (2, 3)
        Rotation, scale and shift, of (y, x, 1).
    score : float
        Correlation, in standard deviations over all shifts of all rotations tried.
    """

    matrix: np.ndarray
    score: float


def similarity(angle: float, scale: float, center: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The matrix (2, 3) that turns by `angle` (radians, +x towards +y) about `center` and then shifts."""
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([turn, center - turn @ center + shift])


def coarse_candidates(
    source: np.ndarray,
    target: np.ndarray,
    diameter: float,
    *,
    angles: np.ndarray,
    scales: np.ndarray,
    count: int = 6,
) -> list[Candidate]:
    """The best few of all rotations, scales and shifts that bring `source` onto `target`.

    Parameters
    ----------
    source, target : ndarray (M, 2), (N, 2)
        Places of cells, pixels.
    diameter : float
        Of a cell, pixels.
    angles : ndarray
        Rotations to try, radians.
    scales : ndarray
        Scales to try.
    count : int
        How many to give, best first, none of them near a better one.
    """
    step = diameter / STEPS
    middle = 0.5 * (source.min(0) + source.max(0))
    reach = np.linalg.norm(source - middle, axis=1).max() * scales.max()
    low, high = target.min(0), target.max(0)
    # Large enough for every shift that leaves an overlap, without wrapping around.
    size = [
        fft.next_fast_len(int(np.ceil((b - a + 2 * reach) / step)) + 2, True)
        for a, b in zip(low, high, strict=True)
    ]
    window = _window(size, step, diameter)
    spectrum = fft.rfft2(_splat((target - low)[None] / step, size), workers=1)[0]
    turns = [(angle, scale) for scale in scales for angle in angles]
    found: list[tuple[float, int, np.ndarray]] = []
    total = square = 0.0
    for begin in range(0, len(turns), AT_ONCE):
        some = turns[begin : begin + AT_ONCE]
        matrices = np.stack([similarity(angle, scale, middle, -middle)[:, :2] for angle, scale in some])
        places = np.einsum("rij,mj->rmi", matrices, source - middle) / step
        moving = fft.rfft2(_splat(places, size), workers=1)
        maps = fft.irfft2(spectrum * np.conj(moving) * window, size, workers=1)
        total += float(maps.sum())
        square += float((maps**2).sum())
        for row, image in enumerate(maps):
            best = _peaks(image, count)
            found += [
                (float(image.ravel()[at]), begin + row, np.array(np.unravel_index(at, size))) for at in best
            ]
    number = len(turns) * size[0] * size[1]
    spread = np.sqrt(max(square / number - (total / number) ** 2, 1e-30))
    chosen: list[Candidate] = []
    ends: list[np.ndarray] = []
    corners = np.array([source.min(0), source.max(0), middle])
    for score, turn, at in sorted(found, key=lambda item: -item[0]):
        shift = np.where(at > np.array(size) - reach / step, at - np.array(size), at) * step + low
        angle, scale = turns[turn]
        matrix = similarity(angle, scale, middle, shift - middle)
        end = corners @ matrix[:, :2].T + matrix[:, 2]
        if all(np.abs(end - other).max() > 1.5 * diameter for other in ends):
            chosen.append(Candidate(matrix, float((score - total / number) / spread)))
            ends.append(end)
        if len(chosen) == count:
            break
    return chosen


def _peaks(image: np.ndarray, count: int) -> np.ndarray:
    """Flat indices of the highest few local maxima, the highest first."""
    flat = image.ravel()
    # The highest are among the highest pixels: few, so that neighbours are looked at for these alone.
    high = np.flatnonzero(flat > HIGH * flat.max())
    y, x = np.unravel_index(high, image.shape)
    around = np.arange(-2, 3)
    rows, columns = (y[:, None] + around) % image.shape[0], (x[:, None] + around) % image.shape[1]
    peaks = high[image[rows[:, :, None], columns[:, None]].max((1, 2)) == flat[high]]
    if len(peaks) < count:
        peaks = np.flatnonzero((image == maximum_filter(image, 5, mode="wrap")).ravel())
    return peaks[np.argsort(-flat[peaks])[:count]]


def _window(size: list[int], step: float, diameter: float) -> np.ndarray:
    """What the correlation is filtered with: a difference of Gaussians, of unit power in both fields."""
    ky, kx = fft.fftfreq(size[0], step)[:, None], fft.rfftfreq(size[1], step)[None]
    square = 2 * np.pi**2 * (ky**2 + kx**2) * diameter**2
    # Two of each: both fields are blurred.
    return np.exp(-2 * FINE**2 * square) - np.exp(-(FINE**2 + BROAD**2) * square)


def _splat(places: np.ndarray, size: list[int]) -> np.ndarray:
    """Points (R, M, 2), in grid steps, as images (R, *size), each point over its four nearest pixels."""
    count = len(places)
    whole = np.floor(places).astype(np.int64)
    part = places - whole
    images = np.zeros(count * size[0] * size[1])
    offset = (np.arange(count) * size[0] * size[1])[:, None]
    for dy in (0, 1):
        for dx in (0, 1):
            weight = np.abs(1 - dy - part[..., 0]) * np.abs(1 - dx - part[..., 1])
            at = offset + (whole[..., 0] + dy) % size[0] * size[1] + (whole[..., 1] + dx) % size[1]
            images += np.bincount(at.ravel(), weight.ravel(), len(images))
    return images.reshape(count, *size)
