"""From a rough idea of how two fields lie on each other to a fine one: robust, smooth point-set registration.

Knows points. Expectation: who may be whom, one to one, with a uniform density of cells that have no partner.
Maximisation: a similarity at first, then a thin-plate spline that softens as the distances shrink (after
coherent point drift, Myronenko & Song 2010, with one-to-one matching in place of its normalisation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.tracking.association import match_probabilities
from calcium_lightning.tracking.spline import Spline, fit_similarity
from calcium_lightning.tracking.windows import bend_by_windows

#: pairs farther apart than so many standard deviations can't be
REACH = 3.5
#: distances at which it begins and can't go below, in cell diameters
FIRST, LEAST = 0.45, 0.025
#: knots are so many diameters apart
KNOTS = 4.0
#: how stiff the tissue is: standard deviation of its bending, in diameters, over a length of ten diameters
BEND = 0.5
#: rounds of each stage
ROUNDS = {"similarity": 10, "spline": 25}
#: share of cells that have a partner, at first; later, it is what it is within so many diameters
PARTNERS, LOCAL = 0.5, 3.0


@dataclass(frozen=True)
class Fit:
    """One field laid onto others.

    Attributes
    ----------
    transform : FieldTransform
        How.
    sigma : float
        Standard deviation of a cell's distance to its partner along each axis, pixels.
    matched : float
        Expected number of cells with a partner, over all the others' fields.
    score : float
        How much better the places agree than places drawn at random would, nats.
    """

    transform: FieldTransform
    sigma: float
    matched: float
    score: float


@dataclass(frozen=True)
class _Pairs:
    """Possible partners in one of the fields."""

    moving: np.ndarray
    still: np.ndarray
    square: np.ndarray


def refine(
    source: np.ndarray,
    targets: Sequence[np.ndarray],
    start: FieldTransform,
    diameter: float,
    *,
    bend: bool = True,
    windows: bool = True,
    first: float = FIRST,
) -> Fit:
    """Fit a transform that brings `source` onto one or several `targets`.

    Parameters
    ----------
    source : ndarray (M, 2)
        Places of cells, pixels.
    targets : sequence of ndarray (N, 2)
        The places of other sessions' cells, each in the common field.
    start : FieldTransform
        Roughly how.
    diameter : float
        Of a cell, pixels.
    bend : bool
        Bend too, not only turn and shift.
    first : float
        Distance at which partners are looked for at first, in diameters.
    """
    trees = [cKDTree(target) for target in targets]
    sigma = first * diameter
    transform = start
    share = np.full(len(source), PARTNERS)
    stages = ["similarity"] if not len(start.knots) else []
    stages += ["spline"] if bend else []
    moved = transform.apply(source)
    low = np.minimum(moved.min(0), np.min([target.min(0) for target in targets], axis=0))
    high = np.maximum(moved.max(0), np.max([target.max(0) for target in targets], axis=0))
    spline = Spline(low - diameter, high + diameter, KNOTS * diameter)
    # Of a field whose bending has the standard deviation BEND over ten diameters: energy is 1/px^2 here.
    stiffness = (10 * diameter) ** 2 / (BEND * diameter) ** 2
    matched = score = 0.0
    for stage in stages:
        if stage == "spline" and windows:
            transform = bend_by_windows(source, targets, transform, diameter, spline, stiffness)
            sigma = 0.2 * diameter
        for _ in range(ROUNDS[stage]):
            moved = transform.apply(source)
            weights, aims, spread, matched, score = _expect(moved, trees, targets, sigma, share)
            if matched < 3:
                return Fit(transform, sigma, matched, score)
            share = _smooth(source, weights / len(targets), LOCAL * diameter)
            if stage == "similarity":
                transform = FieldTransform(fit_similarity(source, aims, weights))
            else:
                transform = spline.fit(transform.matrix, source, aims, weights, stiffness * sigma**2)
            least = LEAST if stage == "spline" else 0.2
            sigma = max(float(np.clip(np.sqrt(spread), 0.75 * sigma, 1.05 * sigma)), least * diameter)
    moved = transform.apply(source)
    weights, aims, spread, matched, score = _expect(moved, trees, targets, sigma, share)
    return Fit(transform, max(np.sqrt(spread), LEAST * diameter), matched, score)


def _expect(
    moved: np.ndarray, trees: Sequence[cKDTree], targets: Sequence[np.ndarray], sigma: float, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    """Weight and aim of each point, the mean square distance along an axis, partners, and the score."""
    tree = cKDTree(moved)
    weight, aim = np.zeros(len(moved)), np.zeros_like(moved)
    square, score = 0.0, 0.0
    for other, target in zip(trees, targets, strict=True):
        near = tree.sparse_distance_matrix(other, REACH * sigma, output_type="ndarray")
        i, j, distance = near["i"].astype(np.int64), near["j"].astype(np.int64), near["v"]
        density = local_density(target, other, moved)
        chance = 2 * np.pi * sigma**2 * density[i]
        odds = (share / (1 - share))[i] * np.exp(-0.5 * (distance / sigma) ** 2) / chance
        p = match_probabilities(i, j, odds, len(moved), len(target), rounds=30)
        weight += np.bincount(i, p, len(moved))
        aim += np.stack([np.bincount(i, p * target[j, axis], len(moved)) for axis in (0, 1)], 1)
        square += float((p * distance**2).sum())
        score += float(np.log1p(np.bincount(i, odds, len(moved))).sum() + np.log(1 - share).sum())
    total = float(weight.sum())
    aim = np.where(weight[:, None] > 1e-9, aim / np.maximum(weight, 1e-9)[:, None], moved)
    return weight, aim, square / max(2 * total, 1e-9), total, score


def _smooth(places: np.ndarray, values: np.ndarray, length: float) -> np.ndarray:
    """Mean of values (M,) around each place, within 0.02 and 0.95."""
    tree = cKDTree(places)
    near = tree.sparse_distance_matrix(tree, 2.5 * length, output_type="ndarray")
    weight = np.exp(-0.5 * (near["v"] / length) ** 2)
    total = np.bincount(near["i"], weight * values[near["j"]], len(places))
    return np.clip(total / np.bincount(near["i"], weight, len(places)), 0.02, 0.95)


def local_density(target: np.ndarray, tree: cKDTree, places: np.ndarray, neighbours: int = 12) -> np.ndarray:
    """Points per square pixel around places: (M,)."""
    count = min(neighbours, len(target))
    distance = tree.query(places, k=[count])[0][:, 0]
    return count / (np.pi * np.maximum(distance, 1e-6) ** 2)
