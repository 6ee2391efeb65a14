"""From localisations of all frames to the places where cells are.

Localisations gather around a cell's centre within their uncertainty; chance ones spread evenly. Peaks of
their density are candidates, refined by mean shift. Knows positions only: whether a candidate is a cell is
decided by its footprint and trace.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.feature import peak_local_max

from calcium_lightning.localize.localizations import StoredLocalizations

#: pixels of the density map per network pixel
OVERSAMPLE = 2
#: localisations lie about a place with this standard deviation along each axis, network pixels, in recordings
#: that show cells as they are (minisim: 0.16 to 0.24); where it is more, distances are so many times larger
SCATTER = 0.24
#: half of a round Gaussian lies within so many standard deviations
HALF = math.sqrt(2 * math.log(2))
#: rounds in which places and scatter are found by each other
SCATTER_ROUNDS = 3
#: where noise is white, they lie farther than so many times their own standard errors if pictures differ
BEYOND_ERRORS = 1.15
#: localisations that tell that, about: memory doesn't grow with the recording
ENOUGH = 300_000
#: frames of a movie, and the share of the least number of localisations that is asked for in it
FEWER_LOCALIZATIONS = ((100.0, 300.0), (2 / 3, 1.0))
#: so few places don't tell: each could be two cells
LEAST_PLACES = 10


@dataclass(frozen=True)
class GatherSettings:
    """How localisations become candidates.

    Attributes
    ----------
    blur : float
        Least standard deviation with which a localisation is painted into the density, network pixels.
    separation : float
        Least distance of two candidates, network pixels (a cell is 6 wide).
    reach : float
        How far from a candidate's centre its localisations may lie, network pixels.
    least_localizations : float
        How many (their probabilities summed) a candidate needs; two thirds of it in 100 frames or fewer.
    contrast : float
        How many times denser than its surroundings a candidate must be.
    """

    blur: float = 0.35
    separation: float = 1.4
    reach: float = 2.0
    least_localizations: float = 3.0
    contrast: float = 1.2

    def within(self, frames: int) -> GatherSettings:
        """The same for so many frames: in few, chance gathers less, and a cell was lit in fewer."""
        share = float(np.interp(frames, *FEWER_LOCALIZATIONS))
        return replace(self, least_localizations=self.least_localizations * share)

    def wider(self, factor: float) -> GatherSettings:
        """The same where localisations scatter ``factor`` times as far."""
        return replace(self, blur=self.blur * factor, separation=self.separation * factor)


def gather(localizations: StoredLocalizations, settings: GatherSettings | None = None) -> np.ndarray:
    """Centres of candidate cells.

    Parameters
    ----------
    localizations : StoredLocalizations
        Localisations of all frames.
    settings : GatherSettings, optional
        How.

    Returns
    -------
    ndarray, float64 (K, 2)
        (y, x), network pixels, the best-supported first.
    """
    settings = settings or GatherSettings()
    if not len(localizations):
        return np.zeros((0, 2))
    points, weights = localizations.binned()
    density = _density(points, weights, localizations.size, settings.blur)
    around = gaussian_filter(density, 3 * OVERSAMPLE, mode="nearest")
    # A lone localisation's peak in the density, so that thresholds count localisations.
    unit = 1 / (2 * np.pi * (settings.blur * OVERSAMPLE) ** 2)
    strong = (density > settings.contrast * around) & (density > 0.3 * settings.least_localizations * unit)
    peaks = peak_local_max(
        np.where(strong, density, 0),
        min_distance=1,
        exclude_border=False,
    )
    centers = (peaks + 0.5) / OVERSAMPLE - 0.5
    centers, support = _mean_shift(centers, points, weights, settings)
    # Peaks that came together are one, which then has the localisations of all of them.
    centers = _thin(centers[np.argsort(-support, kind="stable")], settings.separation)
    centers, support = _mean_shift(centers, points, weights, settings)
    keep = support >= settings.least_localizations
    order = np.argsort(-support[keep], kind="stable")
    return _thin(centers[keep][order], settings.separation)


def scatter_of(
    localizations: StoredLocalizations, settings: GatherSettings | None = None, white: bool = False
) -> float:
    """How many times farther than :data:`SCATTER` localisations lie from their places, at least 1.

    Pictures of one cell differ where frames were stretched one by one, resampled, denoised or squeezed.
    Places depend on the scatter and it on them, so each is found again with the other.
    Localisations in nobody's reach aren't asked.

    Parameters
    ----------
    localizations : StoredLocalizations
        Singly kept where ``white``.
    settings : GatherSettings, optional
        How places are found.
    white : bool
        The movie's noise is: localisations know their errors then, and what these account for is dim cells'
        and no scatter.
    """
    settings, factor = settings or GatherSettings(), 1.0
    points, weights = localizations.binned()
    for _ in range(SCATTER_ROUNDS):
        centers = gather(localizations, settings.wider(factor))
        if len(centers) < LEAST_PLACES:
            return 1.0
        distance, _ = cKDTree(centers).query(points, distance_upper_bound=settings.reach)
        order = np.argsort(distance)[: np.isfinite(distance).sum()]
        mass = np.cumsum(weights[order])
        median = distance[order][np.searchsorted(mass, mass[-1] / 2)]
        factor = max(1.0, float(median) / HALF / SCATTER)
    if white and factor > 1 and _over_errors(localizations, centers, settings.reach) / HALF < BEYOND_ERRORS:
        return 1.0
    return factor


def _over_errors(localizations: StoredLocalizations, centers: np.ndarray, reach: float) -> float:
    """Median distance of localisations from their places, in their own standard errors along an axis."""
    ratios = [np.zeros(0)]
    step = 1 + len(localizations) // ENOUGH
    for part in (block[::step] for block in localizations.blocks()):
        points = np.stack([part["y"], part["x"]], 1).astype(np.float64)
        owner = assign(points, centers, reach)
        mine = owner >= 0
        error = np.hypot(part["y_std"][mine], part["x_std"][mine]) / math.sqrt(2)
        ratios.append(np.linalg.norm(points[mine] - centers[owner[mine]], axis=1) / error)
    return float(np.median(np.concatenate(ratios)))


def assign(points: np.ndarray, centers: np.ndarray, reach: float) -> np.ndarray:
    """Index of the centre (K, 2) nearest to each point (N, 2) within ``reach``, or -1; int32 (N,)."""
    if not len(centers) or not len(points):
        return np.full(len(points), -1, np.int32)
    distance, index = cKDTree(centers).query(points, distance_upper_bound=reach)
    return np.where(np.isfinite(distance), index, -1).astype(np.int32)


def _density(points: np.ndarray, weights: np.ndarray, size: tuple[int, int], blur: float) -> np.ndarray:
    """Weighted localisations per pixel of the oversampled grid, blurred."""
    shape = (size[0] * OVERSAMPLE, size[1] * OVERSAMPLE)
    index = np.clip(np.round((points + 0.5) * OVERSAMPLE - 0.5).astype(int), 0, np.array(shape) - 1)
    counts = np.bincount(index[:, 0] * shape[1] + index[:, 1], weights, shape[0] * shape[1]).reshape(shape)
    # Nothing lies beyond the border, and what would be blurred there is kept: cells at the border count
    # in full.
    return gaussian_filter(counts, blur * OVERSAMPLE, mode="reflect")


def _mean_shift(
    centers: np.ndarray, points: np.ndarray, weights: np.ndarray, settings: GatherSettings, rounds: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    """Move each centre to the mean of the localisations nearest to it; give their summed weights too."""
    support: np.ndarray = np.zeros(len(centers))
    for _ in range(rounds):
        if not len(centers):
            break
        distance, owner = cKDTree(centers).query(points, distance_upper_bound=settings.reach)
        near = np.isfinite(distance)
        pull = weights[near] * np.exp(-0.5 * (distance[near] / (settings.reach / 2)) ** 2)
        mass = np.bincount(owner[near], pull, len(centers))
        support = np.bincount(owner[near], weights[near], len(centers))
        moved = np.stack(
            [np.bincount(owner[near], pull * points[near, axis], len(centers)) for axis in (0, 1)], 1
        )
        centers = np.where(mass[:, None] > 0, moved / np.maximum(mass, 1e-12)[:, None], centers)
    return centers, support


def _thin(centers: np.ndarray, separation: float) -> np.ndarray:
    """Drop centres closer than ``separation`` to a better one; the input's order is the rank."""
    if not len(centers):
        return centers
    dropped = np.zeros(len(centers), bool)
    for first, second in sorted(cKDTree(centers).query_pairs(separation)):
        if not dropped[first]:
            dropped[second] = True
    return centers[~dropped]
