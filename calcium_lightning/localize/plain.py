"""Plain recordings, which show cells as they are: which they are, and whose traces noise limits there.

White noise went through preprocessing's high-pass filter as cells did, so the best probe of a lone cell is
nearer to its footprint than to what the filter left of it (generalised least squares). What is left of the
background, and what bright neighbours don't fit, is projected more by such a probe: it is for dim cells that
have no bright neighbour, in recordings whose noise is white and whose pictures of a cell are alike. Knows
places and how much of a cell there is.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

#: where localisations scatter more times farther than usual, pictures of one cell differ
ALIKE = 1.1
#: a cell with more evidence is bright: what of it doesn't fit is more than its neighbours' noise
BRIGHT = 60.0
#: neighbours are nearer than this, network pixels: a cell is 6 wide
REACH = 6.0


def plain(scatter: float, wander: float) -> bool:
    """Whether a recording shows cells as they are: its noise is white, and pictures of a cell are alike.

    Parameters
    ----------
    scatter : float
        How many times farther than usual localisations lie from their places.
    wander : float
        What neighbouring frames and pixels miss of the noise: a factor, 1 for white noise.
    """
    return scatter <= ALIKE and not wanders(wander)


def squeezed(scatter: float, wander: float) -> bool:
    """Whether neither holds: a codec, or denoising, has gone over the recording."""
    return scatter > ALIKE and wanders(wander)


def wanders(wander: float) -> bool:
    """Whether noise is alike in neighbouring frames and pixels, by what they miss of it."""
    return wander > 1


def noise_limited(centers: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Cells that neither are bright nor have a bright neighbour.

    Parameters
    ----------
    centers : ndarray (K, 2)
        Network pixels.
    evidence : ndarray (M,)
        Root of the energy over the noise of the first M <= K of them; that of new ones isn't known yet.

    Returns
    -------
    ndarray, bool (K,)
    """
    bright = centers[: len(evidence)][evidence > BRIGHT]
    if not len(bright):
        return np.ones(len(centers), bool)
    distance, _ = cKDTree(bright).query(centers)
    return np.asarray(distance >= REACH)
