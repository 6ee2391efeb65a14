"""Where two cells are that were found as one, when a person says that they are two.

The same mixture as in :mod:`~calcium_lightning.localize.split`, of the localisations that the cell has in its
file. Whether there are two isn't asked, only whether the localisations tell where and when. Knows positions
and frames; must not know files, pages, nor Torch: a page answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcium_lightning.core.scale import NETWORK_DIAMETER
from calcium_lightning.localize.mixture import STARTS, Clouds, fit
from calcium_lightning.localize.turns import seconds, turns

#: most localisations that are looked at, evenly in time
MOST = 2000
#: over which disc chance localisations are spread, network pixels: what a cell claims
REACH = 2.0
#: nearer than this, network pixels, or than so many standard errors, localisations tell of one place
SEPARATION, SIGMAS = 0.5, 2.0
#: in how many seconds each of the two must be what is lit
FEWEST_SECONDS = 2


@dataclass(frozen=True)
class Pair:
    """Two cells that were one.

    Attributes
    ----------
    centers : ndarray, float64 (2, 2)
        (y, x), pixels.
    frame : ndarray of int (F,)
        Frames with localisations, ascending.
    share : ndarray, float64 (2, F)
        How much of what is lit in each is the one's and the other's; sums to 1.
    """

    centers: np.ndarray
    frame: np.ndarray
    share: np.ndarray

    def share_of(self, n_frames: int) -> np.ndarray:
        """The same of every frame, float64 (2, T): what was lit last fades until something else is."""
        last = np.searchsorted(self.frame, np.arange(n_frames), side="right") - 1
        return self.share[:, np.maximum(last, 0)]


def find_pair(
    points: np.ndarray, errors: np.ndarray, frame: np.ndarray, diameter: float, fps: float
) -> Pair | None:
    """Two groups among one cell's localisations.

    Parameters
    ----------
    points, errors : ndarray (N, 2)
        (y, x) and their standard errors, pixels.
    frame : ndarray of int (N,)
        Their frames.
    diameter : float
        Full width at half maximum of a cell, pixels.
    fps : float
        Hz.

    Returns
    -------
    Pair or None
        None where they lie in one place, or too few seconds show either of the two.
    """
    order = np.argsort(frame, kind="stable")[:: 1 + len(frame) // MOST]
    if len(order) < 2 * FEWEST_SECONDS:
        return None
    scale, frame = NETWORK_DIAMETER / diameter, frame[order]
    places = scale * points[order].astype(np.float64).T
    around = scale * errors[order].astype(np.float64).T
    one = np.zeros(len(frame), int)
    middle = np.median(places, axis=1, keepdims=True)
    reach = max(REACH, float(np.linalg.norm(places - middle, axis=0).max()))
    # A person's two may lie farther apart than those that are split unasked.
    starts = (*STARTS, float(np.sqrt(places.var(1).sum())))
    two = fit(Clouds(places, around, np.ones(len(frame)), one, middle), reach, 2, starts)
    lit, _ = turns(two.member, one, seconds(frame, fps), 1)
    centers = two.centers[..., 0].T
    distance = float(np.linalg.norm(centers[1] - centers[0]))
    error = float(np.sqrt(two.variance.sum((0, 1))[0] / 2))
    if lit.min() < FEWEST_SECONDS or distance < max(SEPARATION, SIGMAS * error):
        return None
    known, index = np.unique(frame, return_inverse=True)
    mass = np.stack([np.bincount(index.ravel(), row, len(known)) for row in two.member]) + 1e-9
    return Pair(centers / scale, known, mass / mass.sum(0))
