"""All fields onto one: every two sessions laid on each other, what doesn't match left out, the rest fitted.

Knows places of cells. Whether two fields match at all is judged against mirror images: a field turned over
holds as many cells, as dense, and can't match by any rotation, so what is found there is chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.core.progress import progress
from calcium_lightning.tracking.coarse import coarse_candidates
from calcium_lightning.tracking.refine import Fit, refine
from calcium_lightning.tracking.spline import fit_through

#: rotations tried at first and, where nothing matches, at last, degrees; and scales
NARROW, WIDE, STEP = 20.0, 180.0, 2.0
SCALES, MORE_SCALES = (1.0,), (0.93, 1.0, 1.07)
#: candidates that are refined: so many, of those whose correlation is such a share of the best one's
TRIED, CLOSE = 3, 0.6
#: mirror images in all, at least one a pair
MIRRORS = 8
#: two fields match where they agree so many times better than the best mirror image, and by so many nats
RATIO, LEAST = 1.6, 12.0
#: fewest cells that two fields can be matched by
FEWEST = 6
#: rounds of fitting every session to all others
TOGETHER = 2


@dataclass(frozen=True)
class PairAlignment:
    """Two sessions laid on each other.

    Attributes
    ----------
    first, second : int
        The sessions; the second was brought onto the first.
    fit : Fit or None
        How; None where there are too few cells.
    chance : float
        The score of the best mirror image, nats.
    matches : bool
        Whether it is more than chance.
    """

    first: int
    second: int
    fit: Fit | None
    chance: float
    matches: bool


@dataclass(frozen=True)
class Alignment:
    """How sessions lie.

    Attributes
    ----------
    transforms : tuple of FieldTransform or None
        Of each session, onto the reference's field; None for those that match no other.
    reference : int
        The session that holds the others together best.
    pairs : tuple of PairAlignment
        Every two sessions.
    sigma : tuple of float
        What is left over, of each session against the others: standard deviation of a cell's distance to its
        partner along an axis, pixels; NaN for those left out.
    """

    transforms: tuple[FieldTransform | None, ...]
    reference: int
    pairs: tuple[PairAlignment, ...]
    sigma: tuple[float, ...] = field(default=())

    @property
    def aligned(self) -> list[int]:
        """The sessions that aren't left out."""
        return [row for row, transform in enumerate(self.transforms) if transform is not None]


def align(
    places: Sequence[np.ndarray], diameter: float, extents: Sequence[tuple[int, int]], seed: int = 0
) -> Alignment:
    """Bring all fields onto one.

    Parameters
    ----------
    places : sequence of ndarray (K, 2)
        (y, x) of each session's cells, pixels.
    diameter : float
        Of a cell, pixels.
    extents : sequence of (int, int)
        (H, W) of each field.
    seed : int
        Of the mirror images.
    """
    rng = np.random.default_rng(seed)
    couples = list(combinations(range(len(places)), 2))
    mirrors = max(1, -(-MIRRORS // max(1, len(couples))))
    pairs: list[PairAlignment] = []
    with progress("aligning fields", len(couples), "pairs") as advance:
        for first, second in couples:
            decoys = [_mirrored(places[second], extents[second], rng) for _ in range(mirrors)]
            pairs.append(_align_pair(first, second, places, decoys, diameter))
            advance(1)
    pairs = _judged(pairs)
    return _together(places, diameter, pairs)


def lay(source: np.ndarray, target: np.ndarray, diameter: float, wide: bool = False) -> Fit | None:
    """The best way of laying one field's cells onto another's; None where there are too few.

    Parameters
    ----------
    source, target : ndarray (M, 2), (N, 2)
        Places, pixels.
    diameter : float
        Of a cell, pixels.
    wide : bool
        Try every rotation, and other scales.
    """
    if min(len(source), len(target)) < FEWEST:
        return None
    limit = WIDE if wide else NARROW
    angles = np.radians(np.arange(-limit, limit if wide else limit + STEP, STEP))
    scales = np.array(MORE_SCALES if wide else SCALES)
    starts = coarse_candidates(source, target, diameter, angles=angles, scales=scales, count=TRIED)
    starts = [start for start in starts if start.score > CLOSE * starts[0].score]
    fits = [refine(source, [target], FieldTransform(start.matrix), diameter) for start in starts]
    return max(fits, key=lambda fit: fit.score, default=None)


def _mirrored(places: np.ndarray, extent: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The field turned over, and cut anew: what leaves on one side comes in on the other."""
    turned = places * [1, -1] + [0, extent[1] - 1]
    return (turned + rng.uniform(0, extent)) % extent


def _align_pair(
    first: int, second: int, places: Sequence[np.ndarray], decoys: Sequence[np.ndarray], diameter: float
) -> PairAlignment:
    fit, chance = None, 0.0
    for wide in (False, True):
        fit = lay(places[second], places[first], diameter, wide)
        if fit is None:
            return PairAlignment(first, second, None, 0.0, False)
        laid = [lay(decoy, places[first], diameter, wide) for decoy in decoys]
        chance = max((found.score for found in laid if found is not None), default=0.0)
        if fit.score > max(RATIO * chance, chance + LEAST):
            return PairAlignment(first, second, fit, chance, True)
    return PairAlignment(first, second, fit, chance, False)


def _judged(pairs: list[PairAlignment]) -> list[PairAlignment]:
    """Judge each pair by the mirror images of all: one alone may be lucky."""
    judged = []
    for pair in pairs:
        beside = [other.chance for other in pairs if {other.first, other.second} & {pair.first, pair.second}]
        chance = max(pair.chance, float(np.median(beside)))
        matches = (
            pair.matches and pair.fit is not None and pair.fit.score > max(RATIO * chance, chance + LEAST)
        )
        judged.append(PairAlignment(pair.first, pair.second, pair.fit, chance, matches))
    return judged


def _together(places: Sequence[np.ndarray], diameter: float, pairs: list[PairAlignment]) -> Alignment:
    count = len(places)
    strength = np.zeros((count, count))
    for pair in pairs:
        if pair.matches and pair.fit is not None:
            strength[pair.first, pair.second] = strength[pair.second, pair.first] = pair.fit.score
    groups = connected_components(csr_matrix(strength), directed=False)[1]
    sizes = np.bincount(groups)
    # Of groups as large as each other, the one that holds together best.
    held = np.bincount(groups, strength.sum(1))
    chosen = int(np.lexsort((held, sizes))[-1])
    members = np.flatnonzero(groups == chosen)
    none = (None,) * count
    if len(members) < 2:
        return Alignment(none, 0, tuple(pairs), (float("nan"),) * count)
    reference = int(members[np.argmax(strength[members].sum(1))])
    tree = minimum_spanning_tree(csr_matrix(np.where(strength > 0, 1 / np.maximum(strength, 1e-9), 0)))
    order, parents = breadth_first_order(tree + tree.T, reference, directed=False)
    known = {(pair.first, pair.second): pair for pair in pairs}
    transforms: dict[int, FieldTransform] = {reference: FieldTransform.identity()}
    sigma = {reference: 0.0}
    for session in order[1:].tolist():
        parent = int(parents[session])
        start = _through(places[session], known, session, parent, transforms[parent])
        others = [transforms[other].apply(places[other]) for other in transforms]
        fit = refine(places[session], others, start, diameter, first=0.2)
        transforms[session], sigma[session] = fit.transform, fit.sigma
    for _ in range(TOGETHER if len(members) > 2 else 0):
        for session in order[1:].tolist():
            others = [transforms[other].apply(places[other]) for other in transforms if other != session]
            fit = refine(places[session], others, transforms[session], diameter, first=0.15)
            transforms[session], sigma[session] = fit.transform, fit.sigma
    beside = [sigma[session] for session in order[1:].tolist()]
    sigma[reference] = float(np.median(beside))
    return Alignment(
        tuple(transforms.get(row) for row in range(count)),
        reference,
        tuple(pairs),
        tuple(sigma.get(row, float("nan")) for row in range(count)),
    )


def _through(
    places: np.ndarray,
    known: dict[tuple[int, int], PairAlignment],
    session: int,
    parent: int,
    onward: FieldTransform,
) -> FieldTransform:
    """The session's way onto the reference by its parent's, as one transform fitted to where cells go."""
    pair = known.get((parent, session)) or known[session, parent]
    assert pair.fit is not None
    forward = pair.second == session
    laid = pair.fit.transform.apply(places) if forward else pair.fit.transform.invert(places)
    return fit_through(places, onward.apply(laid))
