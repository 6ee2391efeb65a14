"""How many of the accepted cells are false in this recording: targets compete with decoys.

Cells brighten and never darken; what isn't a cell does both alike. Candidates of the recording (targets) and
of its twin, the same frames upside down (decoys), are told apart by a score; as many decoys as pass a
threshold, so many false targets are to be expected above it (Elias & Gygi 2007). The score itself may be
learned from the recording, semi-supervised and cross-validated (Percolator, Käll et al. 2007), so that no
candidate is judged by what it taught. Knows arrays only: properties and places of candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import cKDTree

#: the decoys' upper share that the tail of chance is fitted to, and how many it takes at least, but no more
#: than the upper half: how bad the worst are says nothing of how good chance gets
TAIL, LEAST_TAIL = 0.25, 5
#: folds of the cross-validation, and rounds of choosing examples and learning from them
FOLDS, ROUNDS = 5, 5
#: rate at which a target is taken for an example of a cell while the score is learned
TEACHING_RATE = 0.1
#: a learned score must tell no fewer targets at this rate, either: with a crowd of doubtful ones it may tell
#: more of them at that rate, and none that is beyond doubt
SURE_RATE = 0.025
#: examples of each kind that learning takes at least
LEAST_EXAMPLES = 30
#: logarithm of how many true targets there are for a false one, at most and at least, where scores are usual
RATIO = 20.0
#: penalty on the square of how steeply that rises with the standardised score
STEEPNESS_PENALTY = 0.1
#: penalty on the squares of the coefficients, which belong to standardised properties
PENALTY = 1.0


@dataclass(frozen=True)
class Candidates:
    """Targets or decoys.

    Attributes
    ----------
    centers : ndarray (K, 2)
        Places, pixels.
    properties : ndarray (K, F)
        What may tell cells from chance.
    score : ndarray (K,)
        What is known of them beforehand: the higher, the more like a cell.
    group : ndarray of int (K,), optional
        Where chance is not alike, rates are estimated in each group by itself (Efron 2008); default: one.
    """

    centers: np.ndarray
    properties: np.ndarray
    score: np.ndarray
    group: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.centers)

    @property
    def groups(self) -> np.ndarray:
        """Which group each is in, int (K,)."""
        return np.zeros(len(self), int) if self.group is None else self.group


@dataclass(frozen=True)
class Discovery:
    """What the competition tells of N targets.

    Attributes
    ----------
    rate : ndarray (N,)
        The least false-discovery rate at which each is accepted (its q-value), 0 to 1.
    local_rate : ndarray (N,)
        Probability of each to be false, 0 to 1.
    expected_false : ndarray (N,)
        How many of its group's targets with at least its score are expected to be false.
    learned : bool
        The score was learned from the recording itself.
    targets, decoys : int
        How many there were.
    group : ndarray of int (N,)
        The targets'.
    """

    rate: np.ndarray
    local_rate: np.ndarray
    expected_false: np.ndarray
    learned: bool
    targets: int
    decoys: int
    group: np.ndarray

    @classmethod
    def of_parts(cls, parts: Sequence[tuple[np.ndarray, Discovery]], targets: int, decoys: int) -> Discovery:
        """What was told of parts of N targets, each by itself; what is in none of them is false.

        Parameters
        ----------
        parts : sequence of (ndarray, Discovery)
            Which of the targets, bool (N,), and what is told of them. No group is in two parts.
        targets, decoys : int
            How many there were altogether.
        """
        count = len(parts[0][0])
        rate, local, expected = np.ones((3, count))
        group = np.zeros(count, int)
        for number, (rows, part) in enumerate(parts):
            rate[rows], local[rows], expected[rows] = part.rate, part.local_rate, part.expected_false
            group[rows] = len(parts) * part.group + number
        _, largest = max(parts, key=lambda one: one[1].targets)
        return cls(rate, local, expected, largest.learned, targets, decoys, group)


def discover(
    targets: Candidates, decoys: Candidates, reach: float, seed: int = 0, teach: bool = True
) -> Discovery:
    """Estimate the false-discovery rate of targets.

    Parameters
    ----------
    targets, decoys : Candidates
        Found in the recording and in its twin in the same way.
    reach : float
        Of a target and a decoy closer than this, only the better one counts: the shadow of a cell is no
        decoy, and a target where the twin shows more is no cell.
    seed : int
        Of the folds.
    teach : bool
        The recording may teach a score of its own.
    """
    best, learned = _competed(targets, decoys, reach, targets.score, decoys.score), False
    if teach and min(len(targets), len(decoys)) >= LEAST_EXAMPLES:
        taught = learn(targets, decoys, reach, seed)
        if taught is not None:
            result = _competed(targets, decoys, reach, *taught)
            # The better score tells more of them apart, at rates that nobody asked for.
            more, sure = (
                int((result[0] <= rate).sum()) - int((best[0] <= rate).sum())
                for rate in (TEACHING_RATE, SURE_RATE)
            )
            if more > 0 and sure >= 0:
                best, learned = result, True
    return Discovery(*best, learned, len(targets), len(decoys), targets.groups)


def _competed(
    targets: Candidates, decoys: Candidates, reach: float, score: np.ndarray, chance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q-values, local rates, expected numbers of false ones; 1, 1 and all where a target lost to a decoy."""
    target, decoy = compete(targets.centers, decoys.centers, score, chance, reach)
    rate, local = np.ones(len(score)), np.ones(len(score))
    expected = np.full(len(score), float(len(score)))
    for group in np.unique(targets.groups):
        mine, there = target & (targets.groups == group), decoys.groups == group
        # Where every decoy is some target's shadow, the shadows are the most that chance can be.
        others = chance[decoy & there] if (decoy & there).any() else chance[there]
        rate[mine], expected[mine] = q_values(score[mine], others)
        local[mine] = local_rate(score[mine], others)
    return rate, local, expected


def compete(
    targets: np.ndarray, decoys: np.ndarray, score: np.ndarray, chance: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Which targets (N,) and decoys (M,) are left where those near each other have competed, bool.

    Parameters
    ----------
    targets, decoys : ndarray (N, 2) and (M, 2)
        Places.
    score, chance : ndarray (N,) and (M,)
        Of targets and of decoys.
    reach : float
        How near.
    """
    target, decoy = np.ones(len(targets), bool), np.ones(len(decoys), bool)
    if not len(targets) or not len(decoys):
        return target, decoy
    pairs = cKDTree(targets).sparse_distance_matrix(cKDTree(decoys), reach, output_type="ndarray")
    first, second = pairs["i"], pairs["j"]
    won = score[first] >= chance[second]
    decoy[second[won]] = False
    target[first[~won]] = False
    return target, decoy


def expected_false(score: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """How many chance candidates are expected to have at least each score, (N,).

    As many as there are decoys (Elias & Gygi 2007). Where decoys are few or none are left, their upper tail
    is continued: exceedances over a high threshold are exponential. Neither is one added to the count nor
    the tail made heavier for how little a few decoys tell (Levitsky et al. 2017): a field of a dozen cells
    would lose them all.

    Parameters
    ----------
    score, chance : ndarray (N,) and (M,)
        Of targets and of decoys.
    """
    count = len(chance)
    if not count:
        return np.ones(len(score))
    chance = np.sort(chance)
    above = count - np.searchsorted(chance, score, side="left").astype(float)
    number = max(min(LEAST_TAIL, (count + 1) // 2), round(TAIL * count))
    start = chance[count - number - 1] if count > number else chance[0]
    mean = max(float((chance[count - number :] - start).mean()), 1e-9)
    tail = number * np.exp(-np.maximum(score - start, 0) / mean)
    return np.where(score > start, tail, above)


def q_values(score: np.ndarray, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least false-discovery rate at which each target is accepted, and how many are then expected false.

    Parameters
    ----------
    score, chance : ndarray (N,) and (M,)
        Of targets and of decoys.
    """
    order = np.argsort(-score, kind="stable")
    expected = expected_false(score, chance)
    rank = np.empty(len(score))
    # Equal scores are accepted together.
    rank[order] = np.searchsorted(-score[order], -score[order], side="right")
    rate = np.empty(len(score))
    rate[order] = np.minimum.accumulate((expected / np.maximum(rank, 1))[order][::-1])[::-1]
    return np.minimum(rate, 1), expected


def local_rate(score: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Probability of each target to be false, (N,): density of decoys at its score over that of targets.

    False targets are as many as decoys at every score; for each of them there are ``exp(a + b score)`` true
    ones, a ratio that never falls, fitted by how likely it makes targets and decoys to be what they are.

    Parameters
    ----------
    score, chance : ndarray (N,) and (M,)
        Of targets and of decoys.
    """
    if not len(score):
        return np.zeros(0)
    if not len(chance):
        return np.full(len(score), 1 / (len(score) + 1))
    both = np.concatenate([score, chance])
    middle, spread = both.mean(), max(float(both.std()), 1e-9)
    scaled, is_target = (both - middle) / spread, np.arange(len(both)) < len(score)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        start, slope = parameters
        ratio = start + slope * scaled
        one_more, two_more = np.logaddexp(0, ratio), np.logaddexp(np.log(2), ratio)
        value = two_more.sum() - one_more[is_target].sum() + 0.5 * STEEPNESS_PENALTY * slope**2
        pull = np.exp(ratio - two_more) - is_target * np.exp(ratio - one_more)
        return float(value), np.array([pull.sum(), pull @ scaled + STEEPNESS_PENALTY * slope])

    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=((-RATIO, RATIO), (0, None)))
    start, slope = found.x
    return np.exp(-np.logaddexp(0, start + slope * scaled[: len(score)]))


def learn(
    targets: Candidates, decoys: Candidates, reach: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray] | None:
    """Scores of targets and decoys, each by a classifier that has not seen it; None where nothing is learned.

    The best targets by the last score are the examples of cells, all decoys those of chance; a logistic
    regression tells them apart and gives those of the fold that was left out their next score.

    Parameters
    ----------
    targets, decoys : Candidates
        As in :func:`discover`.
    reach : float
        As there.
    seed : int
        Of the folds.
    """
    number = len(targets)
    table = np.concatenate([targets.properties, decoys.properties]).astype(np.float64)
    table = (table - table.mean(0)) / np.maximum(table.std(0), 1e-9)
    centers = np.concatenate([targets.centers, decoys.centers])
    is_target = np.arange(len(table)) < number
    score = np.concatenate([targets.score, decoys.score]).astype(np.float64)
    fold = _folds(centers, reach, seed)
    for _ in range(ROUNDS):
        after = np.empty(len(table))
        for left_out in range(FOLDS):
            taught = fold != left_out
            target, decoy = np.flatnonzero(taught & is_target), np.flatnonzero(taught & ~is_target)
            won, chance = compete(centers[target], centers[decoy], score[target], score[decoy], reach)
            rate, _ = q_values(score[target[won]], score[decoy[chance]])
            examples = target[won][rate <= TEACHING_RATE]
            if len(examples) < LEAST_EXAMPLES / 2 or len(decoy) < LEAST_EXAMPLES / 2:
                return None
            rows = np.concatenate([examples, decoy])
            cell = np.repeat([1.0, 0.0], [len(examples), len(decoy)])
            weight = np.where(cell > 0, 0.5 / len(examples), 0.5 / len(decoy)) * len(rows)
            bias, *slopes = _logistic(table[rows], cell, weight)
            told = bias + table @ np.array(slopes)
            # Folds are brought to one scale by their decoys: half of them lie below 0, nine in ten below 1.
            middle, high = np.quantile(told[decoy], [0.5, 0.9])
            mine = fold == left_out
            after[mine] = (told[mine] - middle) / max(high - middle, 1e-9)
        score = after
    return score[:number], score[number:]


def _folds(centers: np.ndarray, reach: float, seed: int) -> np.ndarray:
    """Which fold each candidate is in, int (K,): what lies close together isn't taken apart."""
    block = np.floor(centers / (4 * reach)).astype(int)
    _, index = np.unique(block, axis=0, return_inverse=True)
    random = np.random.default_rng(seed)
    return (random.permutation(int(index.max(initial=0)) + 1) % FOLDS)[index.ravel()]


def _logistic(table: np.ndarray, label: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Coefficients of a penalised logistic regression, the intercept first, (F + 1,)."""
    design = np.column_stack([np.ones(len(table)), table])
    sign = 2 * label - 1

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (design @ coefficients)
        pull = coefficients.copy()
        pull[0] = 0
        value = weight @ np.logaddexp(0, -margin) + 0.5 * PENALTY * pull @ pull
        # 1 / (1 + exp(margin)), without overflow
        slope = weight * sign * 0.5 * (1 - np.tanh(0.5 * margin))
        return float(value), PENALTY * pull - design.T @ slope

    result = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B")
    coefficients: np.ndarray = result.x
    return coefficients
