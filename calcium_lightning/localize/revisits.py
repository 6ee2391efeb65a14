"""How much of a trace comes back whenever the tissue does.

A codec that throws away what is faint in each of its blocks shows tissue otherwise wherever it lies in them:
something brightens as a cell does, and the recording's twin doesn't know it. But it is a matter of where the
tissue lies, and a cell's activity isn't. Knows traces and motion.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from calcium_lightning.localize.scratch import ScratchTraces

#: so many other frames in which the tissue lay nearest to where it lies in one
VISITS = 5
#: among so many that are looked at; those less than so many seconds away are the same visit, and transient
LOOKED_AT, APART_S = 64, 2.0
#: frames that are looked at together: memory doesn't grow with what is looked at among
TOGETHER = 4096
#: tissue that moves less than this (root of the mean square, pixels) always lies in the same place
MOVED = 0.5


def told_by_place(traces: ScratchTraces, shifts: np.ndarray, fps: float) -> np.ndarray:
    """Correlation of each trace with its mean at other times when the tissue lay in the same place, (K,).

    Parameters
    ----------
    traces : ScratchTraces
        (K, T).
    shifts : ndarray (T, 2)
        Where the tissue lay, pixels.
    fps : float
        Hz.

    Returns
    -------
    ndarray, float64 (K,)
        0 where the tissue hardly moves, or next to no place is visited twice.
    """
    told, number = np.zeros(len(traces)), len(shifts)
    if not len(traces) or number <= VISITS or np.sqrt(shifts.var(0).sum()) < MOVED:
        return told
    enough, visits = _visits(shifts, APART_S * fps)
    if len(enough) < number / 2:
        return told
    for rows in traces.groups():
        trace = traces.rows(rows)
        there = np.zeros((len(trace), len(enough)))
        for column in visits.T:
            there += trace[:, column]
        told[rows] = _correlation(trace[:, enough], there)
    return told


def _visits(shifts: np.ndarray, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Frames (N,) that have enough others in the same place, and which these are, int32 (N, VISITS)."""
    tree, number = cKDTree(shifts), len(shifts)
    frames, visits = [], []
    for start in range(0, number, TOGETHER):
        index = np.arange(start, min(start + TOGETHER, number))
        near = tree.query(shifts[index], k=min(LOOKED_AT, number))[1]
        other = np.abs(near - index[:, None]) > apart
        rows = np.flatnonzero(other.sum(1) >= VISITS)
        # The nearest come first in each row, and of equals the stable sort keeps the order.
        order = np.argsort(~other[rows], axis=1, kind="stable")[:, :VISITS]
        frames.append(index[rows])
        visits.append(np.take_along_axis(near[rows], order, axis=1).astype(np.int32))
    return np.concatenate(frames), np.concatenate(visits)


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of each row of the one with that of the other; 0 where one is constant."""
    first, second = (part - part.mean(1, keepdims=True, dtype=np.float64) for part in (first, second))
    scale = np.sqrt(np.square(first).sum(1) * np.square(second).sum(1))
    return np.where(scale > 0, (first * second).sum(1) / np.maximum(scale, 1e-30), 0.0)
