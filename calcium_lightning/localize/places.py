"""Where cells are: the footprint's centroid and the localisations' mean, put together.

The two err for different reasons. A centroid feels noise in the outer pixels of a footprint and what its
neighbours left there; a mean of localisations feels what the network takes a cell's middle for. Both are off
by more than their formal errors, and how much more shows in how far they are apart. Knows places, standard
errors and localisations only.
"""

from __future__ import annotations

import numpy as np

from calcium_lightning.localize.gather import assign
from calcium_lightning.localize.localizations import StoredLocalizations

#: least standard error of one localisation, network pixels: no single frame decides
SPOT_FLOOR = 0.03
#: variance of a standard Gaussian over the median of its square
MEDIAN_TO_VARIANCE = 1 / 0.4549


def claimed_means(
    localizations: StoredLocalizations, centers: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of the localisations that each cell claims, weighted by their inverse variances.

    Parameters
    ----------
    localizations : StoredLocalizations
        Localisations.
    centers : ndarray (K, 2)
        Of the cells, network pixels.
    reach : float
        How far a localisation may lie from the cell that claims it, network pixels.

    Returns
    -------
    count : ndarray of int (K,)
        How many each claims, or would in all frames.
    mean : ndarray (K, 2)
        Network pixels; the centre where there are none.
    variance : ndarray (K, 2)
        Of the mean, as the localisations tell; infinite where there are none.
    """
    count = np.zeros(len(centers), int)
    weight, moment = np.zeros((len(centers), 2)), np.zeros((len(centers), 2))
    for block in localizations.blocks():
        points = np.stack([block["y"], block["x"]], 1)
        owner = assign(points, centers, reach)
        mine = owner >= 0
        owner, points = owner[mine], points[mine]
        count += np.bincount(owner, minlength=len(centers))
        for axis, std in enumerate(("y_std", "x_std")):
            each = 1 / np.maximum(block[std][mine], SPOT_FLOOR) ** 2
            weight[:, axis] += np.bincount(owner, each, len(centers))
            # Distances from the centre: sums of squares of what is small stay exact.
            offset = points[:, axis] - centers[owner, axis]
            moment[:, axis] += np.bincount(owner, each * offset, len(centers))
    with np.errstate(divide="ignore"):
        variance = 1 / weight
    return count * localizations.every, centers + moment / np.maximum(weight, 1e-12), variance


def put_together(
    centroid: np.ndarray, centroid_std: np.ndarray, mean: np.ndarray, mean_variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Combine two estimates of each place, with errors that hold.

    Both get one more variance, the same for all cells of a session, by which their distances are what they
    should be (the median of squares: cells whose two estimates are of different things don't count for it).

    Parameters
    ----------
    centroid, centroid_std : ndarray (K, 2)
        Of the footprints, and its formal standard error.
    mean, mean_variance : ndarray (K, 2)
        Of the localisations, and its formal variance; infinite where there are none.

    Returns
    -------
    center, std : ndarray, float64 (K, 2)
    """
    formal = np.square(centroid_std, dtype=np.float64)
    known = np.isfinite(mean_variance)
    apart = (mean - centroid)[known]
    expected = (formal + np.where(known, mean_variance, 0))[known]
    extra = 0.0
    if len(apart):
        extra = max(0.0, MEDIAN_TO_VARIANCE * float(np.median(apart**2)) - float(np.median(expected))) / 2
    first, second = 1 / (formal + extra), np.where(known, 1 / (mean_variance + extra), 0.0)
    share = second / (first + second)
    return centroid + share * np.where(known, mean - centroid, 0.0), np.sqrt(1 / (first + second))
