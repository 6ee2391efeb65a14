"""Places at which two cells are lit at different times.

Two cells closer than a localisation's cloud is wide make one peak of the density, and one place. While only
one of them is lit, its localisations lie around its own centre: the place's localisations are two groups.
Knows positions, their standard errors and frames; whether both have a footprint and a trace of their own is
the regression's to say, which is also what merges two that are lit together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from calcium_lightning.localize.gather import assign
from calcium_lightning.localize.localizations import RECORD, StoredLocalizations
from calcium_lightning.localize.mixture import Clouds, fit
from calcium_lightning.localize.turns import seconds, turns

#: most localisations of a place that are looked at, about: memory doesn't grow with the recording
MOST = 1000
#: rounds in which groups are fitted: more find them a thousandth of a pixel elsewhere
ROUNDS = 30
#: parameters that two groups have more than one: a centre (y, x) and a share
MORE_PARAMETERS = 3
#: least number of runs (seconds in which the same group is lit) over that of chance; one cell that has moved
#: has fewer
FEWEST_TURNS = 0.4


@dataclass(frozen=True)
class SplitSettings:
    """When one place is two cells.

    Attributes
    ----------
    separation : float
        Least distance of the two, network pixels (a cell is 6 wide).
    sigmas : float
        Least distance of the two in standard errors of it.
    evidence : float
        By how much the logarithm of the likelihood of two must exceed that of one, beyond what their
        further parameters cost, nats.
    events : int
        In how many different seconds each of the two must be what is lit.
    """

    separation: float = 0.9
    sigmas: float = 4.0
    evidence: float = 0.0
    events: int = 4

    def wider(self, factor: float) -> SplitSettings:
        """The same where localisations scatter ``factor`` times as far."""
        return replace(self, separation=self.separation * factor)

    def eased(self) -> SplitSettings:
        """The same where pictures of a cell are alike: half as many seconds tell two apart."""
        return replace(self, events=math.ceil(self.events / 2))


def split(
    localizations: StoredLocalizations,
    centers: np.ndarray,
    reach: float,
    fps: float,
    settings: SplitSettings | None = None,
) -> np.ndarray:
    """Put two centres where the localisations of a place are two groups, lit at different times.

    One group and two (:mod:`~calcium_lightning.localize.mixture`) are compared by the Bayesian information
    criterion (Schwarz 1978, Ann. Stat. 6, 461). Frames of one transient are no independent witnesses, so the
    likelihood is scaled to as many as there are seconds in which the place is lit, as that of dependent data
    must be (Gao & Song 2010, J. Am. Stat. Assoc. 105, 1531). Groups that don't take turns (runs of Wald &
    Wolfowitz 1940, Ann. Math. Stat. 11, 147) are one cell that has moved.

    Parameters
    ----------
    localizations : StoredLocalizations
        Localisations, singly kept.
    centers : ndarray (K, 2)
        Places, network pixels.
    reach : float
        How far a place's localisations may lie from its centre, network pixels.
    fps : float
        Hz.
    settings : SplitSettings, optional
        When.

    Returns
    -------
    ndarray, float64 (K + number of splits, 2)
        The places, in order, where they are one, and the first of two where they are two; then the second
        ones.
    """
    settings = settings or SplitSettings()
    if not len(centers):
        return centers
    clouds, second = _claimed(localizations, centers, reach, fps)
    one, two = (fit(clouds, reach, groups, rounds=ROUNDS) for groups in (1, 2))
    lit, runs = turns(two.member, clouds.cloud, second, len(centers))
    number = np.maximum(lit.sum(1), 1)
    repeats = np.maximum(1, clouds.sizes / number)
    gain = (two.likelihood - one.likelihood) / repeats
    pairs = two.centers.T  # (K, 2 groups, 2 axes)
    distance = np.linalg.norm(pairs[:, 1] - pairs[:, 0], axis=1)
    error = np.sqrt(repeats * two.variance.sum((0, 1)) / 2)
    chosen = (
        (gain > settings.evidence + 0.5 * MORE_PARAMETERS * np.log(number))
        & (distance >= np.maximum(settings.separation, settings.sigmas * error))
        & (lit.min(1) >= settings.events)
        & (runs >= FEWEST_TURNS)
        & ~_taken(pairs, centers, settings.separation)
    )
    placed = np.where(chosen[:, None], pairs[:, 0], centers)
    return np.concatenate([placed, pairs[chosen, 1]])


def _claimed(
    localizations: StoredLocalizations, centers: np.ndarray, reach: float, fps: float
) -> tuple[Clouds, np.ndarray]:
    """Localisations of every place, thinned evenly in time where they are many, and their seconds."""
    counts = np.zeros(len(centers), int)
    for block in localizations.blocks():
        owner = assign(_positions(block), centers, reach)
        counts += np.bincount(owner[owner >= 0], minlength=len(centers))
    stride = 1 + counts // MOST
    records, owners = [np.zeros(0, RECORD)], [np.zeros(0, np.int32)]
    for block in localizations.blocks():
        owner = assign(_positions(block), centers, reach)
        mine = (owner >= 0) & (block["frame"] % stride[owner] == 0)
        records.append(block[mine])
        owners.append(owner[mine])
    found, place = np.concatenate(records), np.concatenate(owners)
    # In one order, whatever order they came in: sums are then the same to the last bit.
    order = np.lexsort((found["x"], found["y"], found["frame"], place))
    found, place = found[order], place[order]
    errors = np.stack([found["y_std"], found["x_std"]]).astype(np.float64)
    weight = found["probability"].astype(np.float64)
    second = seconds(found["frame"], fps)
    return Clouds(_positions(found).T, errors, weight, place, centers.T), second


def _positions(found: np.ndarray) -> np.ndarray:
    return np.stack([found["y"], found["x"]], 1).astype(np.float64)


def _taken(pairs: np.ndarray, centers: np.ndarray, separation: float) -> np.ndarray:
    """Whether one of two centres (K, 2, 2) is where another place is, bool (K,)."""
    if len(centers) < 2:
        return np.zeros(len(centers), bool)
    distance, index = cKDTree(centers).query(pairs, k=2)
    other = index != np.arange(len(centers))[:, None, None]
    return (other & (distance < separation)).any((1, 2))
