"""One-to-one matching of points, the ground on which every score of cells and localisations stands.

Knows arrays of (y, x) positions and nothing else: no files, no torch, no cells. Distances are Euclidean, in
the unit of the positions (pixels everywhere in this package).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

OFFSET_REACH = 12  # pixels: a motion template is never further from the truth's origin than this
OFFSET_SOFTNESS = 18.0  # px^2: twice the variance of the bell by which a near miss still speaks for an offset
FAR = 40.0  # pixels: exp(-FAR^2 / OFFSET_SOFTNESS) < 1e-38, nothing beyond it can change a sum
NO_PAIR = 1e3  # cost of leaving a point unmatched; above any radius, so that more pairs always win


@dataclass(frozen=True)
class PointMatch:
    """Pairs of two point sets.

    Attributes
    ----------
    first, second
        (N,) int64, the indices of the paired points; every index occurs at most once.
    distance
        (N,) float64, the distance of each pair.
    """

    first: IntArray
    second: IntArray
    distance: FloatArray


def match_points(
    points: ArrayLike,
    targets: ArrayLike,
    radius: float,
    *,
    frames: ArrayLike | None = None,
    target_frames: ArrayLike | None = None,
) -> PointMatch:
    """Pair two sets of points one to one: as many pairs as possible, then the smallest sum of distances.

    Only pairs within `radius` (inclusive) count, and only of the same frame where frames are given. The
    assignment is optimal; it is solved per connected group of candidates, so that its cost grows with
    crowding and not with the number of points.

    Parameters
    ----------
    points, targets
        (N, 2) and (M, 2), finite or NaN; a NaN position is never matched.
    radius
        The largest distance of a pair, in the positions' unit; positive.
    frames, target_frames
        (N,) and (M,) integers: both or neither.

    Returns
    -------
    PointMatch
        Sorted by `first`.

    Raises
    ------
    ValueError
        If shapes do not fit or the radius is not positive.

    Examples
    --------
    >>> match = match_points([[0, 0], [0, 3]], [[0, 1], [9, 9]], radius=2)
    >>> match.first, match.second, match.distance
    (array([0]), array([0]), array([1.]))
    """
    a, b = _positions(points, "points"), _positions(targets, "targets")
    if not radius > 0:
        raise ValueError(f"radius must be positive, not {radius}")
    if (frames is None) != (target_frames is None):
        raise ValueError("give frames for both sets of points, or for neither")
    known_a, known_b = (np.flatnonzero(np.isfinite(p).all(1)) for p in (a, b))
    if not len(known_a) or not len(known_b):
        return PointMatch(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    place_a, place_b = a[known_a], b[known_b]
    if frames is not None and target_frames is not None:
        # A third axis on which neighbouring frames lie out of each other's reach.
        spacing = 4.0 * radius
        time_a, time_b = _frames(frames, len(a), "frames"), _frames(target_frames, len(b), "target_frames")
        place_a = np.column_stack([place_a, spacing * time_a[known_a]])
        place_b = np.column_stack([place_b, spacing * time_b[known_b]])
    pairs = cKDTree(place_a).sparse_distance_matrix(
        cKDTree(place_b), radius * (1 + 1e-9), output_type="ndarray"
    )
    i, j = pairs["i"].astype(np.int64), pairs["j"].astype(np.int64)
    distance = np.linalg.norm(a[known_a[i]] - b[known_b[j]], axis=1)
    near = distance <= radius
    i, j, distance = i[near], j[near], distance[near]
    chosen = _assign(i, j, distance, len(known_a), len(known_b))
    chosen = chosen[np.argsort(i[chosen], kind="stable")]
    return PointMatch(known_a[i[chosen]], known_b[j[chosen]], distance[chosen])


def best_offset(centers: ArrayLike, true_centers: ArrayLike, reach: int = OFFSET_REACH) -> FloatArray:
    """Whole-pixel shift (dy, dx) that brings `centers` closest to `true_centers`.

    A method's motion template may lie anywhere, so a constant shift of the field is no error. The shift is
    the one of the (2 reach + 1)^2 candidates with the largest sum of exp(-d^2 / 18), d the distance of a
    centre to the nearest true one; the first one, in row order, where several agree equally.

    Parameters
    ----------
    centers, true_centers
        (K, 2) and (M, 2), pixels; NaN rows are left out.
    reach
        The largest shift tried on each axis, pixels.

    Returns
    -------
    ndarray
        (2,) float64; zeros where either set is empty.
    """
    a, b = _positions(centers, "centers"), _positions(true_centers, "true_centers")
    a, b = a[np.isfinite(a).all(1)], b[np.isfinite(b).all(1)]
    if not len(a) or not len(b):
        return np.zeros(2)
    steps = np.arange(-reach, reach + 1, dtype=float)
    tree, scores = cKDTree(b), np.empty((len(steps), len(steps)))
    for row, dy in enumerate(steps):  # a row of offsets at a time keeps memory at a few megabytes
        shifted = a[None] + np.stack([np.full(len(steps), dy), steps], 1)[:, None]
        nearest, _ = tree.query(shifted.reshape(-1, 2), distance_upper_bound=FAR)
        scores[row] = np.exp(-(nearest.reshape(len(steps), -1) ** 2) / OFFSET_SOFTNESS).sum(1)
    best = np.unravel_index(np.argmax(scores), scores.shape)
    return np.array([steps[best[0]], steps[best[1]]])


def match_after_offset(
    centers: ArrayLike, true_centers: ArrayLike, radius: float
) -> tuple[PointMatch, FloatArray]:
    """Match after the best global offset: whole pixels first, then the median over the matches.

    Parameters
    ----------
    centers, true_centers
        (K, 2) and (M, 2), pixels.
    radius
        The largest distance of a pair after the offset, pixels.

    Returns
    -------
    match, offset
        The pairs with their distances after the offset, and the (2,) offset that was added to `centers`.
    """
    a, b = _positions(centers, "centers"), _positions(true_centers, "true_centers")
    offset = best_offset(a, b)
    match = match_points(a + offset, b, radius)
    if len(match.first):
        offset = offset + np.median(b[match.second] - a[match.first] - offset, axis=0)
        match = match_points(a + offset, b, radius)
    return match, offset


def _assign(i: IntArray, j: IntArray, distance: FloatArray, n: int, m: int) -> IntArray:
    """Indices of the candidate pairs (i, j) that the optimal assignment keeps."""
    if not len(i):
        return np.zeros(0, np.int64)
    graph = coo_array((np.ones(len(i), bool), (i, n + j)), shape=(n + m, n + m))
    group = connected_components(graph, directed=False)[1][i]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff(starts, append=len(order))
    kept = [order[starts[sizes == 1]]]  # most candidates have no rival: no assignment to solve
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        edges = order[start : start + size]
        rows, at_row = np.unique(i[edges], return_inverse=True)
        columns, at_column = np.unique(j[edges], return_inverse=True)
        cost = np.full((len(rows), len(columns)), NO_PAIR * max(1.0, float(distance.max())))
        edge_at = np.full(cost.shape, -1, np.int64)
        cost[at_row, at_column], edge_at[at_row, at_column] = distance[edges], edges
        found = edge_at[linear_sum_assignment(cost)]
        kept.append(found[found >= 0])
    return np.concatenate(kept)


def _positions(values: ArrayLike, name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, 2))
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"{name} must have shape (N, 2), not {array.shape}")
    return array


def _frames(values: ArrayLike, count: int, name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (count,):
        raise ValueError(f"{name} must have shape ({count},), not {array.shape}")
    return array
