"""All fields onto one: every two sessions laid on each other, what doesn't match left out, the rest fitted.

Knows places of cells. Whether two fields match at all is judged by themselves
(:mod:`~calcium_lightning.tracking.pair_alignment`); whether it holds, by the others: a session that lies
elsewhere by each of the sessions that it matches is left out, and not forced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.core.progress import progress
from calcium_lightning.tracking.pair_alignment import (
    MIRRORS,
    PairAlignment,
    align_pair,
    judged_by_all,
    mirrored,
)
from calcium_lightning.tracking.pictures import Picture
from calcium_lightning.tracking.refine import refine
from calcium_lightning.tracking.spline import fit_through

#: rounds of fitting every session to all others
TOGETHER = 2
#: two sessions disagree where a third lies from so many cell diameters
DISAGREE = 0.5


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
    closure : tuple of float
        How far each session lies from where each other one that it matches would put it by itself, the median
        over both, pixels; NaN for those left out, and where there are only two.
    doubted : tuple of int
        Sessions that match others, which don't agree where it lies: left out.
    """

    transforms: tuple[FieldTransform | None, ...]
    reference: int
    pairs: tuple[PairAlignment, ...]
    sigma: tuple[float, ...] = field(default=())
    closure: tuple[float, ...] = field(default=())
    doubted: tuple[int, ...] = ()

    @property
    def aligned(self) -> list[int]:
        """The sessions that aren't left out."""
        return [row for row, transform in enumerate(self.transforms) if transform is not None]


def align(
    places: Sequence[np.ndarray],
    diameter: float,
    extents: Sequence[tuple[int, int]],
    seed: int = 0,
    pictures: Sequence[Picture | None] = (),
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
    pictures : sequence of Picture or None
        Of each field, where there is one; default: of none.
    """
    seen = list(pictures) or [None] * len(places)
    rng = np.random.default_rng(seed)
    couples = list(combinations(range(len(places)), 2))
    mirrors = max(1, -(-MIRRORS // max(1, len(couples))))
    pairs: list[PairAlignment] = []
    with progress("aligning fields", len(couples), "pairs") as advance:
        for first, second in couples:
            decoys = [mirrored(places[second], extents[second], rng) for _ in range(mirrors)]
            pairs.append(align_pair(first, second, places, decoys, diameter, seen))
            advance(1)
    pairs = judged_by_all(pairs)
    return checked(places, diameter, pairs)


def checked(places: Sequence[np.ndarray], diameter: float, pairs: Sequence[PairAlignment]) -> Alignment:
    """All sessions together by the pairs that others bear out.

    A pair that any third session could bear out, and none does, isn't trusted: going around by way of the
    third must end where it began. Of sessions that nobody bears out the two that match best are kept.
    """
    matching = [pair for pair in pairs if pair.matches]
    held = [pair for pair in matching if _borne_out(pair, matching, places, DISAGREE * diameter)]
    if matching and not held:
        held = [max(matching, key=lambda pair: pair.score)]
    kept = {(pair.first, pair.second) for pair in held}
    found = _together(
        places, diameter, [replace(pair, matches=(pair.first, pair.second) in kept) for pair in pairs]
    )
    matched, borne = (
        {row for pair in some for row in (pair.first, pair.second)} for some in (matching, held)
    )
    doubted = tuple(sorted(matched - borne))
    closures = _closures(places, found)
    closure = tuple(
        float(np.median(closures[row])) if row in closures else float("nan") for row in range(len(places))
    )
    return replace(found, pairs=tuple(pairs), closure=closure, doubted=doubted)


def _borne_out(
    pair: PairAlignment, matching: Sequence[PairAlignment], places: Sequence[np.ndarray], reach: float
) -> bool:
    """Whether some third session leads to the same place, or none could."""
    ways = {
        (way.first, way.second) if forth else (way.second, way.first): (way.fit.transform, forth)
        for way in matching
        if way.fit is not None
        for forth in (True, False)
    }

    def onto(one: int, other: int, points: np.ndarray) -> np.ndarray:
        transform, forth = ways[one, other]
        return transform.apply(points) if forth else transform.invert(points)

    low, high = places[pair.first].min(0), places[pair.first].max(0)
    direct = onto(pair.first, pair.second, places[pair.second])
    shared = ((direct >= low) & (direct <= high)).all(1)
    thirds = [
        row
        for row in range(len(places))
        if row not in (pair.first, pair.second) and (pair.first, row) in ways and (row, pair.second) in ways
    ]
    if not thirds or not shared.any():
        return True
    cells, ends = places[pair.second][shared], direct[shared]
    around = [onto(pair.first, row, onto(row, pair.second, cells)) for row in thirds]
    return any(float(np.median(np.linalg.norm(end - ends, axis=1))) < reach for end in around)


def _closures(places: Sequence[np.ndarray], found: Alignment) -> dict[int, list[float]]:
    """How far each session lies from where each that it matches puts it, pixels; of three or more."""
    distances: dict[int, list[float]] = {}
    if len(found.aligned) < 3:
        return distances
    for pair in found.pairs:
        ends = [found.transforms[row] for row in (pair.first, pair.second)]
        if not pair.matches or pair.fit is None or ends[0] is None or ends[1] is None:
            continue
        cells = places[pair.second]
        by_itself, together = ends[0].apply(pair.fit.transform.apply(cells)), ends[1].apply(cells)
        apart = float(np.median(np.linalg.norm(by_itself - together, axis=1)))
        for row in (pair.first, pair.second):
            distances.setdefault(row, []).append(apart)
    return distances


def _together(places: Sequence[np.ndarray], diameter: float, pairs: list[PairAlignment]) -> Alignment:
    count = len(places)
    strength = np.zeros((count, count))
    for pair in pairs:
        if pair.matches and pair.fit is not None:
            strength[pair.first, pair.second] = strength[pair.second, pair.first] = pair.score
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
