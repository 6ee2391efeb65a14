"""Two fields laid on each other by their cells' places, and whether that is more than chance.

Chance is told by mirror images, since a field turned over holds as many cells, as dense, and can't match by
any rotation; and by the next best way of laying the fields themselves. Pictures are evidence that comes
second. Knows places of cells and pictures; must not know further sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.tracking.coarse import coarse_candidates
from calcium_lightning.tracking.pictures import Picture, agreement
from calcium_lightning.tracking.refine import Fit, refine

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
#: pictures count no more than this share of what the cells' places tell
SECOND = 0.5
#: ways of laying a field are different ones from so many cell diameters apart
ELSEWHERE = 1.0


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


def mirrored(places: np.ndarray, extent: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The field turned over, and cut anew: what leaves on one side comes in on the other."""
    turned = places * [1, -1] + [0, extent[1] - 1]
    return (turned + rng.uniform(0, extent)) % extent


def align_pair(
    first: int,
    second: int,
    places: Sequence[np.ndarray],
    decoys: Sequence[np.ndarray],
    diameter: float,
    pictures: Sequence[Picture | None],
) -> PairAlignment:
    """Lay one session on another: nearby rotations first, and all where these match no more than chance does.

    Parameters
    ----------
    first, second : int
        Which; the second is brought onto the first.
    places : sequence of ndarray (K, 2)
        (y, x) of each session's cells, pixels.
    decoys : sequence of ndarray (K, 2)
        The second, mirrored.
    diameter : float
        Of a cell, pixels.
    pictures : sequence of Picture or None
        Of each session.
    """
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


def judged_by_all(pairs: list[PairAlignment]) -> list[PairAlignment]:
    """Judge each pair by the mirror images of all: one alone may be lucky."""
    judged = []
    for pair in pairs:
        beside = [other.chance for other in pairs if {other.first, other.second} & {pair.first, pair.second}]
        chance = max(pair.chance, float(np.median(beside)))
        judged.append(replace(pair, chance=chance, matches=pair.matches and _more(pair.score, chance)))
    return judged
