"""What cells look like: irregular somata at sub-pixel places, blurred by the optics, some far out of focus.

Knows shapes and places, nothing of activity or of the background. Lengths are pixels; places (y, x) are in
the field's coordinates and may lie outside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.sparse import csr_matrix, vstack
from scipy.spatial import cKDTree

from calcium_lightning.simulation.settings import SceneSettings

CUT = 0.01  # footprints end where they fall below this share of their peak
HARMONICS = np.arange(2, 7)  # of the outline; the first would only move it
PATCH_VALUES = 4_000_000  # shapes drawn at once: bounds the memory


@dataclass(frozen=True)
class Shapes:
    """Outlines of K blobs and how far each is blurred.

    Attributes
    ----------
    centers : ndarray (K, 2)
        (y, x).
    diameter, elongation, angle, blur : ndarray (K,)
        Geometric mean diameter, ratio of the axes, direction of the long axis (radians, from +x towards +y),
        and the standard deviation of the blur that comes after the one in focus.
    outline : ndarray, complex (K, len(HARMONICS))
        Fourier coefficients of the relative radius around the outline.
    """

    centers: np.ndarray
    diameter: np.ndarray
    elongation: np.ndarray
    angle: np.ndarray
    blur: np.ndarray
    outline: np.ndarray

    def __len__(self) -> int:
        return len(self.centers)


def draw_cells(settings: SceneSettings, pad: float, rng: np.random.Generator) -> Shapes:
    """Draw the cells of the field and of `pad` pixels around it."""
    size = np.array([settings.height_px, settings.width_px]) + 2 * pad
    count = rng.poisson(settings.density_per_1000_px2 * size.prod() / 1000)
    spacing = settings.spacing_diameters * settings.mean_diameter_px
    centers = _scatter(count, size, spacing, settings, rng) - pad
    count = len(centers)
    low, high = settings.defocus_sigma_px
    axis = rng.uniform(0, math.pi)
    spread = settings.cell_orientation_spread_deg
    angle = rng.uniform(0, math.pi, count) if spread >= 90 else rng.normal(axis, math.radians(spread), count)
    return Shapes(
        centers,
        diameter=rng.uniform(*settings.cell_diameter_px, count),
        elongation=rng.uniform(*settings.cell_elongation, count),
        angle=angle,
        blur=low + (high - low) * rng.random(count) ** settings.defocus_power,
        outline=_outlines(count, settings.boundary_irregularity, rng),
    )


def draw_distractors(settings: SceneSettings, pad: float, rng: np.random.Generator) -> Shapes:
    """Draw elongated things that aren't cells: processes and fibres as wide as a cell or thinner."""
    size = np.array([settings.height_px, settings.width_px]) + 2 * pad
    count = rng.poisson(settings.distractors_per_1000_px2 * size.prod() / 1000)
    elongation = rng.uniform(4, 9, count)
    width = settings.mean_diameter_px * rng.uniform(0.3, 0.8, count)
    return Shapes(
        rng.uniform(-pad, size - pad, (count, 2)),
        diameter=width * np.sqrt(elongation),
        elongation=elongation,
        angle=rng.uniform(0, math.pi, count),
        blur=rng.uniform(0, 0.3, count) * settings.mean_diameter_px,
        outline=_outlines(count, 0.5 * settings.boundary_irregularity, rng),
    )


def _outlines(count: int, irregularity: float, rng: np.random.Generator) -> np.ndarray:
    falling = 1.0 / (HARMONICS - 1.0)
    falling *= irregularity / np.sqrt((falling**2).sum())
    return (rng.standard_normal((count, len(HARMONICS), 2)) @ [1, 1j]) * falling


def _scatter(
    count: int, size: np.ndarray, spacing: float, settings: SceneSettings, rng: np.random.Generator
) -> np.ndarray:
    """Places with an uneven density and a least distance: (about count, 2)."""
    if not count:
        return np.zeros((0, 2))
    grid = np.maximum(4, np.ceil(size / max(4.0, 0.5 * settings.mean_diameter_px)).astype(int))
    log_density = gaussian_filter(rng.standard_normal(grid), 0.12 * max(grid), mode="reflect")
    log_density = (
        settings.clustering * (log_density - log_density.mean()) / max(float(log_density.std()), 1e-9)
    )
    density = np.exp(np.minimum(log_density, 2 * settings.clustering))
    kept = np.zeros((0, 2))
    for _ in range(20):  # darts until the board is full enough
        darts = rng.uniform(0, size, (4 * count, 2))
        at = darts / size * grid - 0.5
        local = map_coordinates(density, at.T, order=1, mode="nearest")
        darts = darts[rng.random(len(darts)) < local / density.max()]
        kept = np.concatenate([kept, darts])
        kept = kept[_apart(kept, spacing)]
        if len(kept) >= count:
            break
    return kept[:count]


def _apart(places: np.ndarray, spacing: float) -> np.ndarray:
    """First come, first kept: which places keep their distance from all kept before them."""
    keep = np.ones(len(places), bool)
    pairs = cKDTree(places).query_pairs(spacing, output_type="ndarray")
    for early, late in pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]:
        if keep[early]:
            keep[late] = False
    return keep


def draw_footprints(
    shapes: Shapes, origin: tuple[int, int], size: tuple[int, int], psf_sigma: float
) -> tuple[csr_matrix, np.ndarray]:
    """Render shapes as sparse images.

    A soma is a disc with an irregular outline and a soft edge, blurred by the optics and scaled to a peak of
    1; the blur out of focus spreads the same light over more pixels.

    Parameters
    ----------
    shapes : Shapes
        What to draw.
    origin : (int, int)
        The field's coordinates of the image's top left pixel.
    size : (int, int)
        Height and width of the image.
    psf_sigma : float
        Blur in focus, pixels.

    Returns
    -------
    images : csr_matrix, float32 (K, height * width)
        Values below 1 % of the peak are left out.
    peaks : ndarray (K,)
        The peak of each whole shape, 1 in focus, wherever it lies.
    """
    reach = (
        0.5 * shapes.diameter * np.sqrt(shapes.elongation) * 1.3 + 3.1 * np.hypot(shapes.blur, psf_sigma) + 2
    )
    order = np.argsort(reach, kind="stable")
    parts: list[csr_matrix] = []
    peaks = np.empty(len(shapes))
    done = 0
    while done < len(order):  # from small to large, so that patches fit their shapes
        count = 1
        while done + count < len(order) and count * (2 * reach[order[done + count]] + 1) ** 2 < PATCH_VALUES:
            if reach[order[done + count]] > 1.4 * reach[order[done]] + 2:
                break
            count += 1
        rows = order[done : done + count]
        radius = math.ceil(reach[rows].max())
        patches = _patches(shapes, rows, radius, psf_sigma)
        peaks[rows] = patches.max((1, 2))
        parts.append(_placed(patches, np.rint(shapes.centers[rows]).astype(int), radius, origin, size))
        done += count
    if not parts:
        return csr_matrix((0, size[0] * size[1]), dtype=np.float32), peaks
    back = np.empty(len(order), int)
    back[order] = np.arange(len(order))
    return csr_matrix(vstack(parts, format="csr")[back]), peaks


def _patches(shapes: Shapes, rows: np.ndarray, radius: int, psf_sigma: float) -> np.ndarray:
    """Draw shapes around their rounded centres: (n, 2 radius + 1, 2 radius + 1)."""
    side = 2 * radius + 1
    center = shapes.centers[rows] - np.rint(shapes.centers[rows])
    grid = np.arange(-radius, radius + 1.0)
    y = grid[None, :, None] - center[:, 0, None, None]
    x = grid[None, None, :] - center[:, 1, None, None]
    cos, sin = (part[:, None, None] for part in (np.cos(shapes.angle[rows]), np.sin(shapes.angle[rows])))
    stretch = np.sqrt(shapes.elongation[rows])[:, None, None]
    along, across = (x * cos + y * sin) / stretch, (y * cos - x * sin) * stretch
    # The outline is a Fourier series of the direction, evaluated as powers of the unit vector.
    unit = along + 1j * across
    distance = np.abs(unit)
    unit /= np.maximum(distance, 1e-6)
    relative = np.ones_like(distance)
    power = unit.copy()
    for index in range(len(HARMONICS)):
        power = power * unit
        relative += (power * shapes.outline[rows, index, None, None]).real
    outline = 0.5 * shapes.diameter[rows, None, None] * np.maximum(relative, 0.4)
    edge = np.maximum(0.06 * shapes.diameter[rows], 0.35)[:, None, None]
    soma = 0.5 * (1 + np.tanh((outline - distance) / edge))
    spectrum = np.fft.rfft2(soma)
    frequency = (2 * math.pi) ** 2 * (
        np.fft.fftfreq(side)[:, None] ** 2 + np.fft.rfftfreq(side)[None, :] ** 2
    )
    spectrum *= np.exp(-0.5 * psf_sigma**2 * frequency)
    focused = np.fft.irfft2(spectrum, (side, side)).max((1, 2))
    spectrum *= np.exp(-0.5 * shapes.blur[rows, None, None] ** 2 * frequency)
    return np.maximum(np.fft.irfft2(spectrum, (side, side)), 0) / focused[:, None, None]


def _placed(
    patches: np.ndarray, centers: np.ndarray, radius: int, origin: tuple[int, int], size: tuple[int, int]
) -> csr_matrix:
    """Put patches into images as sparse rows; what lies outside is lost."""
    floor = CUT * patches.max((1, 2))
    row, dy, dx = np.nonzero(patches >= floor[:, None, None])
    y = centers[row, 0] - origin[0] + dy - radius
    x = centers[row, 1] - origin[1] + dx - radius
    inside = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
    values = patches[row, dy, dx][inside].astype(np.float32)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row[inside], minlength=len(patches)))])
    return csr_matrix((values, (y * size[1] + x)[inside], indptr), shape=(len(patches), size[0] * size[1]))
