"""All fields onto one: every two sessions laid on each other, what doesn't match left out, the rest fitted.

Knows places of cells, and pictures as evidence that comes second. Whether two fields match at all is judged
against chance: mirror images, since a field turned over holds as many cells, as dense, and can't match by any
rotation; and the next best way of laying the fields themselves. Whether it holds is judged by the others: a
session that lies elsewhere by the sessions that it matches is left out, and not forced.
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
from calcium_lightning.tracking.coarse import coarse_candidates
from calcium_lightning.tracking.pictures import Picture, agreement
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
#: pictures count no more than this share of what the cells' places tell
SECOND = 0.5
#: ways of laying a field are different ones from so many cell diameters apart, and two sessions disagree from
#: so many
ELSEWHERE, DISAGREE = 1.0, 0.5


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
        The score of the best mirror image, or of the next best way, nats.
    matches : bool
        Whether it is more than chance.
    pictures : float
        How much the fields' pictures speak for it, nats; 0 where they tell nothing.
    """

    first: int
    second: int
    fit: Fit | None
    chance: float
    matches: bool
    pictures: float = 0.0

    @property
    def score(self) -> float:
        """What places and pictures tell together, nats."""
        if self.fit is None:
            return float("-inf")
        most = SECOND * max(self.fit.score, 0.0)
        return self.fit.score + float(np.clip(self.pictures, -most, most))


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
            decoys = [_mirrored(places[second], extents[second], rng) for _ in range(mirrors)]
            pairs.append(_align_pair(first, second, places, decoys, diameter, seen))
            advance(1)
    pairs = _judged(pairs)
    return checked(places, diameter, pairs)


def lay(source: np.ndarray, target: np.ndarray, diameter: float, wide: bool = False) -> list[Fit]:
    """Ways of laying one field's cells onto another's, the best first; none where there are too few cells.

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
        return []
    limit = WIDE if wide else NARROW
    angles = np.radians(np.arange(-limit, limit if wide else limit + STEP, STEP))
    scales = np.array(MORE_SCALES if wide else SCALES)
    starts = coarse_candidates(source, target, diameter, angles=angles, scales=scales, count=TRIED)
    starts = [start for start in starts if start.score > CLOSE * starts[0].score]
    fits = [refine(source, [target], FieldTransform(start.matrix), diameter) for start in starts]
    return sorted(fits, key=lambda fit: -fit.score)


def _mirrored(places: np.ndarray, extent: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The field turned over, and cut anew: what leaves on one side comes in on the other."""
    turned = places * [1, -1] + [0, extent[1] - 1]
    return (turned + rng.uniform(0, extent)) % extent


def _align_pair(
    first: int,
    second: int,
    places: Sequence[np.ndarray],
    decoys: Sequence[np.ndarray],
    diameter: float,
    pictures: Sequence[Picture | None],
) -> PairAlignment:
    best = PairAlignment(first, second, None, 0.0, False)
    one, other = pictures[first], pictures[second]

    def seen(fit: Fit) -> float:
        if one is None or other is None:
            return 0.0
        return agreement(one, other, fit.transform, diameter)

    for wide in (False, True):
        ways = lay(places[second], places[first], diameter, wide)
        if not ways:
            return best
        mirrored = [laid[0].score for decoy in decoys if (laid := lay(decoy, places[first], diameter, wide))]
        told = [PairAlignment(first, second, fit, 0.0, False, seen(fit)) for fit in ways]
        told = sorted(told, key=lambda pair: -pair.score)
        others = [
            pair.score for pair in told[1:] if _apart(told[0], pair, places[second]) > ELSEWHERE * diameter
        ]
        chance = max([*mirrored, *others], default=0.0)
        best = replace(told[0], chance=chance, matches=_more(told[0].score, chance))
        if best.matches:
            return best
    return best


def _more(score: float, chance: float) -> bool:
    return score > max(RATIO * chance, chance + LEAST)


def _apart(one: PairAlignment, other: PairAlignment, places: np.ndarray) -> float:
    """Median distance of where two ways of laying a field bring its cells, pixels."""
    if one.fit is None or other.fit is None:
        return 0.0
    ends = one.fit.transform.apply(places) - other.fit.transform.apply(places)
    return float(np.median(np.linalg.norm(ends, axis=1)))


def _judged(pairs: list[PairAlignment]) -> list[PairAlignment]:
    """Judge each pair by the mirror images of all: one alone may be lucky."""
    judged = []
    for pair in pairs:
        beside = [other.chance for other in pairs if {other.first, other.second} & {pair.first, pair.second}]
        chance = max(pair.chance, float(np.median(beside)))
        judged.append(replace(pair, chance=chance, matches=pair.matches and _more(pair.score, chance)))
    return judged


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
