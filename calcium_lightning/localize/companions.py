"""Outlines beside a stronger cell: only what frames show by itself is another cell.

A cell that no Gaussian fits, or whose picture changes, leaves something beside it that gets an outline and a
trace of its own. Frames don't show it: while it is lit, the detector finds the cell, not it. Two cells that
touch are both found, each when it is the brighter one. Knows places and qualities.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial import cKDTree

from calcium_lightning.localize.quality import SHOWN

#: centres of two that touch are nearer than this, network pixels: three quarters of a cell
TOUCHING = 4.5


def unseen_companions(
    quality: Mapping[str, np.ndarray],
    centers: np.ndarray,
    accepted: np.ndarray,
    scatter: float,
) -> np.ndarray:
    """Accepted cells beside a stronger one that frames don't show by themselves.

    Parameters
    ----------
    quality : mapping of str to ndarray (N,)
        ``evidence`` says which is the stronger, and ``coincidence`` how much of its activity frames show.
    centers : ndarray (N, 2)
        Places, network pixels.
    accepted : ndarray, bool (N,)
        Which count.
    scatter : float
        How many times farther than usual localisations lie from their places: where pictures of a cell don't
        differ, a cell leaves nothing beside it, and another one may hide in its light.

    Returns
    -------
    ndarray, bool (N,)
    """
    companion = np.zeros(len(centers), bool)
    index = np.flatnonzero(accepted)
    if len(index) < 2:
        return companion
    evidence, least = quality["evidence"], SHOWN * min(1.0, scatter - 1.0)
    pairs = index[cKDTree(centers[index]).query_pairs(TOUCHING, output_type="ndarray")]
    pairs = np.where((evidence[pairs[:, 0]] < evidence[pairs[:, 1]])[:, None], pairs[:, ::-1], pairs)
    # The strongest decide first; what is dropped drops nobody.
    for stronger, weaker in pairs[np.argsort(-evidence[pairs[:, 0]], kind="stable")]:
        if not companion[stronger] and quality["coincidence"][weaker] < least:
            companion[weaker] = True
    return companion
