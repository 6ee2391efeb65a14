"""Which reported cell is which true one: places are matched one to one, and traces of pairs correlated.

Knows arrays of positions and traces: no files, no torch. The figures that are read from a match are
:mod:`~calcium_lightning.metrics.cells`'.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from calcium_lightning.metrics.matching import FloatArray, IntArray, match_after_offset

RADIUS = 6.0  # pixels: how far a centre may lie from the true one


@dataclass(frozen=True)
class CellMatch:
    """Which reported cell is which true one.

    Attributes
    ----------
    found, true : ndarray
        (N,) int64, indices of the paired reported and true cells.
    distance : ndarray
        (N,) float64, pixels, after the global offset.
    correlation : ndarray
        (N,) float64, Pearson's r of each pair's traces; 0 where one is constant, NaN where none were given.
    n_cells, n_true : int
        How many cells were reported, and how many there are.
    offset : ndarray
        (2,) float64, the global (dy, dx) that was added to the reported centres.
    """

    found: IntArray
    true: IntArray
    distance: FloatArray
    correlation: FloatArray
    n_cells: int
    n_true: int
    offset: FloatArray


def match_cells(
    centers: ArrayLike,
    true_centers: ArrayLike,
    traces: ArrayLike | None = None,
    true_traces: ArrayLike | None = None,
    radius: float = RADIUS,
) -> CellMatch:
    """Match reported cells with true ones, one to one, after the best global offset.

    Parameters
    ----------
    centers, true_centers : array_like
        (K, 2) and (M, 2), (y, x) in pixels.
    traces, true_traces : array_like, optional
        (K, T) and (M, T); both or neither.
    radius : float
        The largest distance of a pair, pixels.

    Returns
    -------
    CellMatch

    Raises
    ------
    ValueError
        If the traces' shapes don't fit the centres or each other.
    """
    a, b = np.asarray(centers, float).reshape(-1, 2), np.asarray(true_centers, float).reshape(-1, 2)
    match, offset = match_after_offset(a, b, radius)
    if traces is None or true_traces is None:
        correlation = np.full(len(match.first), np.nan)
    else:
        left, right = np.asarray(traces), np.asarray(true_traces)
        if len(left) != len(a) or len(right) != len(b) or left.shape[1:] != right.shape[1:]:
            raise ValueError(
                f"traces {left.shape} and true traces {right.shape} don't fit "
                f"{len(a)} and {len(b)} cells or each other"
            )
        correlation = correlate_rows(left[match.first], right[match.second])
    return CellMatch(match.first, match.second, match.distance, correlation, len(a), len(b), offset)


def correlate_rows(left: ArrayLike, right: ArrayLike) -> FloatArray:
    """Pearson's r of each row of one (N, T) array with the same row of another; 0 where a row is constant."""
    a, b = (np.asarray(rows, np.float64) for rows in (left, right))
    constant = (a == a[:, :1]).all(1) | (b == b[:, :1]).all(1)
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    constant |= ~(scale > 0)
    return np.where(constant, 0.0, (a * b).sum(1) / np.where(constant, 1.0, scale))
