"""Everything that isn't a cell: haze, neuropil in space, vessels, and what the optics add or take.

Smooth things live on a coarse grid and are interpolated; vessels are drawn whole. Lengths are pixels.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.sparse import csr_matrix, vstack

from calcium_lightning.simulation.cells import CUT, Shapes
from calcium_lightning.simulation.settings import SceneSettings

HALOS_AT_ONCE = 64


class CoarseGrid:
    """A coarse grid over an image and the cubic B-splines that interpolate it.

    Parameters
    ----------
    size : (int, int)
        Height and width of the image.
    stride : float
        Spacing of the grid's nodes.

    Attributes
    ----------
    shape : (int, int)
        Number of nodes along y and x.
    weights_y, weights_x : csr_matrix, float32 (height or width, nodes)
        Interpolation: image = weights_y @ nodes @ weights_x.T. Sparse not only for speed: a dense product's
        last bits depend on where its operands lie in memory, and the same seed must give the same file.
    """

    def __init__(self, size: tuple[int, int], stride: float) -> None:
        self.stride = stride
        self.shape = (math.ceil(size[0] / stride) + 3, math.ceil(size[1] / stride) + 3)
        self.weights_y, self.weights_x = (
            csr_matrix(_spline(np.arange(length)[:, None] / stride + 1 - np.arange(nodes)).astype(np.float32))
            for length, nodes in zip(size, self.shape, strict=True)
        )

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates y (ny, 1) and x (1, nx) of the nodes in the image."""
        y, x = ((np.arange(count) - 1) * self.stride for count in self.shape)
        return y[:, None], x[None, :]

    def interpolate(self, values: np.ndarray) -> np.ndarray:
        """Interpolate node values over the image: (ny * nx, n) to a view (n, height, width), float32."""
        rows, columns = self.shape
        count = values.shape[1]
        values = self.weights_y @ np.asarray(values, np.float32).reshape(rows, columns * count)
        height = len(values)
        values = values.reshape(height, columns, count).transpose(1, 0, 2).reshape(columns, height * count)
        return (self.weights_x @ values).reshape(-1, height, count).transpose(2, 1, 0)


def _spline(x: np.ndarray) -> np.ndarray:
    """Cubic B-spline, support [-2, 2]."""
    x = np.abs(x)
    return np.where(x < 1, (4 - 6 * x**2 + 3 * x**3) / 6, np.maximum(2 - x, 0) ** 3 / 6)


def smooth_field(shape: tuple[int, int], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """White noise blurred by `sigma` nodes, mean 0 and variance 1: float64 of `shape`."""
    field = gaussian_filter(rng.standard_normal(shape), sigma, mode="reflect")
    return (field - field.mean()) / max(float(field.std()), 1e-9)


def draw_haze(grid: CoarseGrid, settings: SceneSettings, rng: np.random.Generator) -> np.ndarray:
    """Draw the resting background on the grid's nodes, mean about 1, positive."""
    large = smooth_field(grid.shape, 0.2 * max(grid.shape), rng)
    small = smooth_field(grid.shape, max(1.0, 1.2 * settings.mean_diameter_px / grid.stride), rng)
    return np.maximum(1 + settings.haze_contrast * (0.8 * large + 0.6 * small), 0.2)


def draw_neuropil(grid: CoarseGrid, settings: SceneSettings, rng: np.random.Generator) -> np.ndarray:
    """Draw the neuropil's fields on the grid's nodes: (components, ny, nx).

    The first is what the whole field has in common; larger ones are stronger. Scaled so that time courses of
    unit variance give `neuropil_std`.
    """
    count = settings.neuropil_components
    low, high = np.log(settings.neuropil_scale_px).tolist()
    scale = np.exp(rng.uniform(low, high, count))
    fields = np.stack([smooth_field(grid.shape, sigma / grid.stride, rng) for sigma in scale])
    share = settings.neuropil_global_share if count > 1 else 1.0
    weight = np.sqrt(scale)
    weight[0] = 0.0
    weight *= math.sqrt((1 - share) / max(float((weight**2).sum()), 1e-9))
    fields *= weight[:, None, None]
    common = 1 + 0.25 * smooth_field(grid.shape, 0.25 * max(grid.shape), rng)
    fields[0] = math.sqrt(share) * np.maximum(common, 0.1)
    return settings.neuropil_std * fields


def draw_halos(
    shapes: Shapes,
    grid: CoarseGrid,
    origin: tuple[int, int],
    settings: SceneSettings,
    rng: np.random.Generator,
) -> csr_matrix:
    """Draw the scattered light around each cell on the grid's nodes: float32 (K, ny * nx).

    Relative to the cell's own peak in focus.
    """
    strength = rng.uniform(*settings.halo_fraction, len(shapes))
    sigma = shapes.diameter * rng.uniform(*settings.halo_diameters, len(shapes))
    return _gaussians(grid, shapes.centers - np.asarray(origin), node_sigma(grid, sigma), strength)


def draw_blobs(
    grid: CoarseGrid, origin: tuple[int, int], pad: float, settings: SceneSettings, rng: np.random.Generator
) -> csr_matrix:
    """Draw cells far out of focus on the grid's nodes: float32 (N, ny * nx), each with a peak of 1."""
    size = np.array([settings.height_px, settings.width_px]) + 2 * pad
    count = rng.poisson(settings.blobs_per_1000_px2 * size.prod() / 1000)
    centers = rng.uniform(-pad, size - pad, (count, 2))
    sigma = settings.mean_diameter_px * rng.uniform(*settings.blob_sigma_diameters, count)
    narrow = node_sigma(grid, sigma)
    return _gaussians(grid, centers - np.asarray(origin), narrow, (sigma / narrow) ** 2)


def node_sigma(grid: CoarseGrid, sigma: np.ndarray) -> np.ndarray:
    """Widths on the nodes of Gaussians that are as wide as `sigma` when they are interpolated.

    The spline's own blur has a variance of 1/3 node.
    """
    return np.sqrt(np.maximum(sigma**2 - grid.stride**2 / 3, 0.25 * grid.stride**2))


def _gaussians(grid: CoarseGrid, center: np.ndarray, sigma: np.ndarray, strength: np.ndarray) -> csr_matrix:
    """Round Gaussians on the nodes: float32 (N, ny * nx). They separate."""
    y, x = (axis.ravel() for axis in grid.nodes())
    along_y = np.exp(-0.5 * ((y - center[:, :1]) / sigma[:, None]) ** 2)
    along_x = np.exp(-0.5 * ((x - center[:, 1:]) / sigma[:, None]) ** 2)
    parts = []
    for begin in range(0, len(center), HALOS_AT_ONCE):
        rows = slice(begin, begin + HALOS_AT_ONCE)
        halos = along_y[rows, :, None] * along_x[rows, None, :]
        halos[halos < CUT] = 0
        halos *= strength[rows, None, None]
        parts.append(csr_matrix(halos.reshape(len(halos), -1).astype(np.float32)))
    return csr_matrix(vstack(parts)) if parts else csr_matrix((0, math.prod(grid.shape)), dtype=np.float32)


def draw_vessels(size: tuple[int, int], settings: SceneSettings, rng: np.random.Generator) -> np.ndarray:
    """Draw the vessels' transmission over an image: float32 (height, width), 1 where there is none.

    A vessel is an absorbing cylinder (Beer-Lambert) along a winding path, out of focus; branches are thinner.
    """
    absorbance = np.zeros(size)
    for _ in range(settings.vessel_count):
        side = rng.integers(4)
        along = rng.uniform(0.1, 0.9)
        start = np.array([(along, 0.0), (along, 1.0), (0.0, along), (1.0, along)][side]) * size
        heading = [0.0, math.pi, 0.5 * math.pi, 1.5 * math.pi][side] + rng.normal(0, 0.5)
        width = rng.uniform(*settings.vessel_width_px)
        strength = rng.uniform(*settings.vessel_absorbance)
        tree = [(start, heading, width)]
        for place, direction, diameter in tree:  # grows as branches sprout
            path = _path(place, direction, 2.5 * max(size), rng)
            absorbance = np.maximum(absorbance, _cylinder(path, diameter, size) * strength * diameter / width)
            if len(tree) < 6 and diameter > 0.35 * width:
                for _ in range(rng.integers(1, 3)):
                    at = int(rng.integers(len(path) // 8, max(len(path) // 2, len(path) // 8 + 1)))
                    turn = rng.choice([-1, 1]) * rng.uniform(0.5, 1.1)
                    step = path[min(at + 1, len(path) - 1)] - path[at - 1]
                    branch = diameter * rng.uniform(0.45, 0.8)
                    tree.append((path[at], math.atan2(step[0], step[1]) + turn, branch))
    return np.exp(-absorbance).astype(np.float32)


def _path(start: np.ndarray, heading: float, length: float, rng: np.random.Generator) -> np.ndarray:
    """A winding line of points 1 px apart: (n, 2)."""
    count = max(4, int(length))
    wind = gaussian_filter(rng.standard_normal(count), 20.0, mode="reflect")
    wind *= 0.012 / max(float(wind.std()), 1e-9)
    direction = heading + np.cumsum(wind)
    return start + np.cumsum(np.stack([np.sin(direction), np.cos(direction)], 1), 0)


def _cylinder(path: np.ndarray, diameter: float, size: tuple[int, int]) -> np.ndarray:
    """Path of light through a cylinder, 1 along its diameter, blurred."""
    at = np.rint(path).astype(int)
    at = at[((at >= 0) & (at < size)).all(1)]
    if not len(at):
        return np.zeros(size)
    line = np.ones(size, bool)
    line[at[:, 0], at[:, 1]] = False
    distance = distance_transform_edt(line) / (0.5 * diameter)
    return gaussian_filter(np.sqrt(np.maximum(1 - distance**2, 0)), 0.2 * diameter + 2.0, mode="nearest")


def draw_optics(
    size: tuple[int, int], margin: int, settings: SceneSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw what stays with the sensor: transmission and stray light, float32 (height + 2 margin, ...).

    The vignette follows the fourth power of the cosine of the angle under which a pixel sees the lens.
    """
    height, width = size[0] + 2 * margin, size[1] + 2 * margin
    middle = 0.5 * np.array(size) + margin - 0.5 + rng.normal(0, 0.06, 2) * size
    y, x = np.arange(height)[:, None] - middle[0], np.arange(width)[None, :] - middle[1]
    corner = 0.25 * (size[0] ** 2 + size[1] ** 2)
    tangent = (1 / math.sqrt(1 - settings.vignette) - 1) / corner
    transmission = 1 / (1 + tangent * (y**2 + x**2)) ** 2
    count = rng.poisson(settings.debris_per_1000_px2 * height * width / 1000)
    place = rng.uniform(0, [height, width], (count, 2)) - middle
    sigma = rng.uniform(0.15, 0.35, count) * settings.mean_diameter_px
    depth = rng.uniform(-0.05, 0.2, count)
    angle, ratio = rng.uniform(0, math.pi, count), rng.uniform(1, 3, count)
    for (cy, cx), s, d, a, r in zip(place, sigma, depth, angle, ratio, strict=True):
        along = (x - cx) * math.cos(a) + (y - cy) * math.sin(a)
        across = (y - cy) * math.cos(a) - (x - cx) * math.sin(a)
        transmission *= 1 - d * np.exp(-0.5 * ((along / (s * r)) ** 2 + (across / s) ** 2))
    grid = CoarseGrid((height, width), 32.0)
    stray = np.maximum(1 + 0.5 * smooth_field(grid.shape, 2.0, rng), 0)
    return transmission.astype(np.float32), settings.leakage * grid.interpolate(stray.reshape(-1, 1))[0]
