"""How likely two cells of two sessions are the same: a model of distance and shape, learned from the data.

Neighbours are the same cell or different ones (after CellReg: Sheintuch et al. 2017, "Tracking the same
neurons across multiple days in Ca2+ imaging data"). What different ones look like is measured: distances
between cells of one session, which are different by definition, and shapes of cells that lie too far apart.
What the same look like is learned from what is left, together with who has a partner, one to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.spatial import cKDTree

from calcium_lightning.tracking.association import match_probabilities
from calcium_lightning.tracking.refine import local_density
from calcium_lightning.tracking.shapes import Shapes

#: pairs nearer than this are looked at, and from here on they are different, in cell diameters
REACH, APART = 1.2, 1.2
#: distances of the same cell: a core and a tail so many times as wide, with such a share at first
TAIL, TAIL_SHARE = 3.0, 0.15
#: weight of what all pairs of sessions have in common, in cells
COMMON = 30.0
#: bins of shapes and of distances; different neighbours are never rarer than this, beside chance
SHAPE_BINS, DISTANCE_BINS, RARE = 12, 24, 0.15
#: shapes are compared no more finely than this, as 1 less their correlation
FINEST = 0.003
#: pairs too far apart to be the same whose shapes are compared
FAR = 20000
#: rounds of learning
ROUNDS = 25
#: odds of two cells that are out of each other's reach, log
OUT_OF_REACH = -8.0


@dataclass(frozen=True)
class PairEdges:
    """Pairs of cells of different sessions that may be the same.

    Attributes
    ----------
    first, second : ndarray, int64 (E,)
        Cells, numbered through all sessions; the first's session comes first.
    distance : ndarray (E,)
        In the common field, pixels.
    log_odds : ndarray (E,)
        That they are the same against that both are alone.
    probability : ndarray (E,)
        That they are the same, given all other pairs of the two sessions.
    """

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    log_odds: np.ndarray
    probability: np.ndarray


def model_pairs(shapes: Shapes, diameter: float) -> PairEdges:
    """Learn the model and apply it.

    Parameters
    ----------
    shapes : Shapes
        Cells of all sessions.
    diameter : float
        Of a cell, pixels.
    """
    places = shapes.places
    sizes = [len(place) for place in places]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    session = np.repeat(np.arange(len(sizes)), sizes)
    trees = [cKDTree(one) for one in places]
    density = np.concatenate([local_density(tree, one) for tree, one in zip(trees, places, strict=True)])
    first, second, apart = _near(trees, starts, 2 * APART * diameter)
    # Of those that are too far apart some are enough.
    far = np.flatnonzero(apart > APART * diameter)
    far = far[:: max(1, len(far) // FAR)]
    near = np.flatnonzero(apart <= REACH * diameter)
    likeness_far = _on_scale(shapes.correlation(first[far], second[far]))
    first, second = first[near], second[near]
    distance, correlation = shapes.compare(first, second)
    likeness = _on_scale(correlation)
    spacing = _Spacing(trees, density, starts, diameter)
    couple = session[first] * len(sizes) + session[second]
    learned = _learn(
        _Evidence(
            first=first,
            second=second,
            couple=np.unique(couple, return_inverse=True)[1],
            distance=distance,
            likeness=likeness,
            density=np.sqrt(density[first] * density[second]),
            crowding=spacing.at(distance),
            sizes=np.array(sizes)[np.stack([session[first], session[second]])],
            total=len(density),
        ),
        likeness_far,
        diameter,
    )
    return PairEdges(first, second, distance, *learned)


@dataclass(frozen=True)
class _Evidence:
    first: np.ndarray
    second: np.ndarray
    couple: np.ndarray
    distance: np.ndarray
    likeness: np.ndarray
    density: np.ndarray
    crowding: np.ndarray
    sizes: np.ndarray
    total: int


def _near(
    trees: Sequence[cKDTree], starts: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = []
    for a, one in enumerate(trees):
        for b in range(a + 1, len(trees)):
            found = one.sparse_distance_matrix(trees[b], reach, output_type="ndarray")
            parts.append((found["i"] + starts[a], found["j"] + starts[b], found["v"]))
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    i, j, v = (np.concatenate(part) for part in zip(*parts, strict=True))
    return i.astype(np.int64), j.astype(np.int64), v


def _on_scale(correlation: np.ndarray) -> np.ndarray:
    """Correlations of shapes on a scale that is roughly normal."""
    return -np.log(np.maximum(1 - correlation, 0) + FINEST)


class _Spacing:
    """How much rarer different cells are at a distance than by chance: they don't lie on each other."""

    def __init__(
        self, trees: Sequence[cKDTree], density: np.ndarray, starts: np.ndarray, diameter: float
    ) -> None:
        edges = np.linspace(0, 2 * diameter, DISTANCE_BINS + 1)
        seen, expected = np.zeros(DISTANCE_BINS), np.zeros(DISTANCE_BINS)
        for tree, start in zip(trees, starts[:-1], strict=True):
            pairs = tree.query_pairs(edges[-1], output_type="ndarray")
            apart = np.linalg.norm(tree.data[pairs[:, 0]] - tree.data[pairs[:, 1]], axis=1)
            seen += 2 * np.histogram(apart, edges)[0]
            expected += density[start : start + tree.n].sum() * np.pi * np.diff(edges**2)
        self._middles = 0.5 * (edges[1:] + edges[:-1])
        rate = (seen + 1) / (expected + 1)
        self._rates = np.clip(isotonic_regression(rate, weights=expected + 1).x, RARE, 1.0)

    def at(self, distance: np.ndarray) -> np.ndarray:
        """Rate beside chance, RARE to 1."""
        return np.interp(distance, self._middles, self._rates)


def _learn(evidence: _Evidence, far: np.ndarray, diameter: float) -> tuple[np.ndarray, np.ndarray]:
    """Log odds and probability of each pair."""
    e = evidence
    couples = int(e.couple.max(initial=-1)) + 1
    if not couples:
        return np.zeros(0), np.zeros(0)
    sizes = np.zeros((2, couples))
    sizes[:, e.couple] = e.sizes
    sigma = np.full(couples, 0.12 * diameter)
    matched = 0.5 * sizes.min(0)
    tail = TAIL_SHARE
    likeness = _LikenessOdds(e.likeness, far)
    # A row is a cell beside one other session.
    rows = np.unique(e.first * couples + e.couple, return_inverse=True)[1]
    columns = np.unique(e.second * couples + e.couple, return_inverse=True)[1]
    counts = int(rows.max()) + 1, int(columns.max()) + 1
    p = np.zeros(len(e.first))
    log_odds = np.zeros(len(e.first))
    for _ in range(ROUNDS):
        share = np.clip(matched / sizes, 0.01, 0.97)
        prior = np.sqrt(share.prod(0)) / (1 - share).prod(0)
        spread = sigma[e.couple]
        core = np.exp(-0.5 * (e.distance / spread) ** 2) / (2 * np.pi * spread**2)
        wide = np.exp(-0.5 * (e.distance / (TAIL * spread)) ** 2) / (2 * np.pi * (TAIL * spread) ** 2)
        same = (1 - tail) * core + tail * wide
        log_odds = (
            np.log(np.maximum(prior[e.couple] * same / (e.density * e.crowding), 1e-12)) + likeness.log_ratio
        )
        before, p = p, match_probabilities(rows, columns, np.exp(log_odds), *counts)
        inner = p * (1 - tail) * core / np.maximum(same, 1e-300)
        tail = float(np.clip(1 - inner.sum() / max(p.sum(), 1e-9), 0.02, 0.4))
        matched = np.bincount(e.couple, p, couples)
        # Each distance's share of the core, and of the tail at its own width.
        square = (inner + (p - inner) / TAIL**2) * e.distance**2
        common = float(square.sum()) / max(2 * float(p.sum()), 1e-9)
        variance = (np.bincount(e.couple, square, couples) / 2 + COMMON * common) / (matched + COMMON)
        sigma = np.maximum(np.sqrt(variance), 0.02 * diameter)
        likeness.update(p)
        if np.abs(p - before).max() < 1e-3:
            break
    return np.maximum(log_odds, OUT_OF_REACH), p


class _LikenessOdds:
    """How much a likeness of shapes speaks for the same cell, by bins, never less for more likeness."""

    def __init__(self, likeness: np.ndarray, far: np.ndarray) -> None:
        edges = np.unique(
            np.quantile(np.concatenate([likeness, far]), np.linspace(0, 1, SHAPE_BINS + 1)[1:-1])
        )
        self._bin = np.searchsorted(edges, likeness)
        self._count = len(edges) + 1
        bins = np.searchsorted(edges, far)
        self._middles = np.bincount(
            np.concatenate([self._bin, bins]), np.concatenate([likeness, far]), self._count
        ) / np.maximum(np.bincount(np.concatenate([self._bin, bins]), minlength=self._count), 1)
        self._likeness = likeness
        self._different = np.bincount(bins, minlength=self._count) + 3.0
        self.log_ratio = np.zeros(len(likeness))

    def update(self, p: np.ndarray) -> None:
        """Learn from who is the same, (E,) probabilities."""
        same = np.bincount(self._bin, p, self._count)
        different = self._different / self._different.sum()
        same = (same + 10 * different) / (same.sum() + 10)
        weights = same + different
        ratio = isotonic_regression(np.log(same / different), weights=weights).x
        self.log_ratio = np.interp(self._likeness, self._middles, ratio)
