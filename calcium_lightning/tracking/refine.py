"""From a rough idea of how two fields lie on each other to a fine one: robust, smooth point-set registration.

Knows points. Expectation: who may be whom, one to one, with a uniform density of cells that have no partner.
Maximisation: a similarity at first, then a thin-plate spline that softens as the distances shrink (after
coherent point drift, Myronenko & Song 2010, with one-to-one matching in place of its normalisation, and a
share of cells with a partner that may differ over the field, as it does where a part has left the lens).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix, diags_array
from scipy.spatial import cKDTree

from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.tracking.association import match_probabilities
from calcium_lightning.tracking.spline import Spline, fit_similarity
from calcium_lightning.tracking.windows import bend_by_windows

#: pairs farther apart than so many standard deviations can't be
REACH = 3.5
#: in cell diameters: the distance at which it begins, that of a similarity at its end and of a bending at
#: its begin, and the least there can be
FIRST, MIDDLE, LEAST = 0.45, 0.2, 0.025
#: knots are so many diameters apart
KNOTS = 4.0
#: how stiff the tissue is: how far it bends, in diameters, over ten diameters
BEND = 0.35
#: rounds at most of each stage, and the movement in pixels at which it ends
ROUNDS, SETTLED = {"similarity": 10, "spline": 30}, 0.02
#: share of cells that have a partner, at first; later, it is what it is within so many diameters
PARTNERS, LOCAL = 0.5, 4.0
#: neighbours by whose distance a density is told
NEIGHBOURS = 12


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
    matched: float = 0.0
    score: float = -np.inf


def refine(
    source: np.ndarray,
    targets: Sequence[np.ndarray],
    start: FieldTransform,
    diameter: float,
    *,
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
        Roughly how. One without bending is fitted as a similarity first.
    diameter : float
        Of a cell, pixels.
    first : float
        Distance at which partners are looked for at first, in diameters.
    """
    problem = _Problem(source, targets, start, diameter)
    fit = Fit(start, first * diameter)
    if len(start.knots):
        return problem.settle("spline", fit)
    fit = problem.settle("similarity", fit)
    parts = bend_by_windows(source, targets, fit.transform, diameter, problem.spline, problem.stiffness)
    starts = [fit, replace(fit, transform=parts, sigma=MIDDLE * diameter)]
    return max((problem.settle("spline", item) for item in starts), key=lambda item: item.score)


class _Problem:
    """One source and its targets, with all that doesn't change while the transform does."""

    def __init__(
        self, source: np.ndarray, targets: Sequence[np.ndarray], start: FieldTransform, diameter: float
    ) -> None:
        self.source, self.targets, self.diameter = source, targets, diameter
        self._trees = [cKDTree(target) for target in targets]
        self._densities = [
            local_density(tree, target) for tree, target in zip(self._trees, targets, strict=True)
        ]
        around = cKDTree(source).sparse_distance_matrix(
            cKDTree(source), 2.5 * LOCAL * diameter, output_type="ndarray"
        )
        weight = np.exp(-0.5 * (around["v"] / (LOCAL * diameter)) ** 2)
        near = csr_matrix((weight, (around["i"], around["j"])), (len(source), len(source)))
        self._mean = csr_matrix(diags_array(1 / np.asarray(near.sum(1)).ravel()) @ near)
        corners = [start.apply(source), *targets]
        low, high = np.min([part.min(0) for part in corners], 0), np.max([part.max(0) for part in corners], 0)
        self.spline = Spline(low - diameter, high + diameter, KNOTS * diameter)
        # A bending of BEND over ten diameters has about unit energy then.
        self.stiffness = (10 / BEND) ** 2

    def settle(self, stage: str, fit: Fit) -> Fit:
        """Alternate the two steps until little moves."""
        transform, sigma = fit.transform, fit.sigma
        least = (MIDDLE if stage == "similarity" else LEAST) * self.diameter
        share = np.full(len(self.source), PARTNERS)
        moved = transform.apply(self.source)
        bending = self.spline.about(transform.matrix, self.source) if stage == "spline" else None
        found = None
        for _ in range(ROUNDS[stage]):
            weights, aims, spread, _ = self._expect(moved, sigma, share)
            if weights.sum() < 3:
                break
            share = np.clip(self._mean @ (weights / len(self.targets)), 0.02, 0.95)
            before = moved
            if bending is None:
                transform = FieldTransform(fit_similarity(self.source, aims, weights))
                moved = transform.apply(self.source)
            else:
                found = bending.fit(aims, weights, self.stiffness * sigma**2)
                moved = bending.at(found)
            after = max(float(np.clip(np.sqrt(spread), 0.75 * sigma, 1.05 * sigma)), least)
            still = abs(after - sigma) < SETTLED and np.abs(moved - before).max() < SETTLED
            sigma = after
            if still:
                break
        if bending is not None and found is not None:
            transform = bending.transform(found)
        weights, _, spread, score = self._expect(moved, sigma, share)
        return Fit(transform, max(float(np.sqrt(spread)), least), float(weights.sum()), score)

    def _expect(
        self, moved: np.ndarray, sigma: float, share: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Weight and aim of each point, the mean square distance along an axis, and the score."""
        tree = cKDTree(moved)
        weight, aim = np.zeros(len(moved)), np.zeros_like(moved)
        square, score = 0.0, 0.0
        for other, target, density in zip(self._trees, self.targets, self._densities, strict=True):
            near = tree.sparse_distance_matrix(other, REACH * sigma, output_type="ndarray")
            i, j, distance = near["i"].astype(np.int64), near["j"].astype(np.int64), near["v"]
            chance = 2 * np.pi * sigma**2 * density[j]
            odds = (share / (1 - share))[i] * np.exp(-0.5 * (distance / sigma) ** 2) / chance
            p = match_probabilities(i, j, odds, len(moved), len(target), rounds=15)
            weight += np.bincount(i, p, len(moved))
            aim += np.stack([np.bincount(i, p * target[j, axis], len(moved)) for axis in (0, 1)], 1)
            square += float((p * distance**2).sum())
            score += float(np.log1p(np.bincount(i, odds, len(moved))).sum() + np.log(1 - share).sum())
        aim = np.where(weight[:, None] > 1e-9, aim / np.maximum(weight, 1e-9)[:, None], moved)
        return weight, aim, square / max(2 * float(weight.sum()), 1e-9), score


def local_density(tree: cKDTree, places: np.ndarray) -> np.ndarray:
    """Points of a tree per square pixel around places (M, 2): (M,)."""
    count = min(NEIGHBOURS, tree.n)
    distance = tree.query(places, k=[count])[0][:, 0]
    return count / (np.pi * np.maximum(distance, 1e-6) ** 2)
