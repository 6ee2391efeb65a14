"""One or two groups of points with known errors, fitted to many clouds of points at once.

Each cloud is a mixture of one or two Gaussians and of chance points that are spread evenly over a disc. A
group's points scatter by their own known errors and by a covariance that the groups of a cloud have in common
(extreme deconvolution: Bovy, Hogg & Roweis 2011, Ann. Appl. Stat. 5, 1657). Knows points, not what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

#: no point is better placed than this, pixels
FLOOR = 0.15
#: chance points at the start, share of a cloud
CHANCE = 0.05
#: how far from the middle two groups start, pixels: neither close nor distant ones are missed
STARTS = (0.5, 1.0)
#: variance within a group at the start, square pixels
SCATTER = 0.05
#: rounds of expectation and maximisation
ROUNDS = 60
#: points that are fitted together, about: few calls, and their figures stay in the processor's cache
TOGETHER = 1 << 14
#: added to a precision (yy, yx, xx): a group without points has an inverse, too
TINY = 1e-9 * np.array([1, 0, 1])[:, None, None]


@dataclass(frozen=True)
class Clouds:
    """N points of K clouds, cloud by cloud.

    Attributes
    ----------
    points, errors : ndarray, float64 (2, N)
        Positions (y, x) and their standard errors, pixels.
    weight : ndarray, float64 (N,)
        How much each counts.
    cloud : ndarray of int (N,)
        Whose each is; ascending.
    middle : ndarray, float64 (2, K)
        Where each cloud is.
    """

    points: np.ndarray
    errors: np.ndarray
    weight: np.ndarray
    cloud: np.ndarray
    middle: np.ndarray

    @cached_property
    def sizes(self) -> np.ndarray:
        """How many points each has, int (K,)."""
        return np.bincount(self.cloud, minlength=self.middle.shape[1])

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Each cloud's value (..., K) at each of its points, (..., N)."""
        return np.repeat(values, self.sizes, axis=-1)

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sums over the points of each cloud, (..., K), of values (..., N)."""
        sums = np.zeros((*values.shape[:-1], self.middle.shape[1]))
        used, start = self._starts
        if len(used):
            sums[..., used] = np.add.reduceat(values, start, axis=-1)
        return sums

    @cached_property
    def _starts(self) -> tuple[np.ndarray, np.ndarray]:
        """Which clouds have points, and where the first of each is."""
        return np.unique(self.cloud, return_index=True)

    def parts(self) -> Iterator[Clouds]:
        """Yield them in order, some whole clouds at a time."""
        ends = np.cumsum(self.sizes)
        first = 0
        while first < len(ends):
            begin = ends[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(ends, begin + TOGETHER, side="right")))
            mine = slice(begin, ends[last - 1])
            yield Clouds(
                self.points[:, mine],
                self.errors[:, mine],
                self.weight[mine],
                self.cloud[mine] - first,
                self.middle[:, first:last],
            )
            first = last


@dataclass(frozen=True)
class Mixture:
    """What was fitted to K clouds of N points; G groups each.

    Attributes
    ----------
    centers : ndarray, float64 (2, G, K)
        Of the groups (y, x), pixels.
    variance : ndarray, float64 (2, G, K)
        Of the centres, were the points independent.
    likelihood : ndarray, float64 (K,)
        Its logarithm.
    member : ndarray, float64 (G, N)
        Probability that a point is a group's; the rest is chance.
    """

    centers: np.ndarray
    variance: np.ndarray
    likelihood: np.ndarray
    member: np.ndarray


def fit(
    clouds: Clouds,
    radius: float,
    groups: int,
    starts: Sequence[float] = STARTS,
    rounds: int = ROUNDS,
) -> Mixture:
    """Fit one or two groups to every cloud.

    Parameters
    ----------
    clouds : Clouds
        Points.
    radius : float
        Of the disc over which chance points are spread, pixels.
    groups : {1, 2}
        How many.
    starts : sequence of float
        How far from the middle two groups start, pixels.
    rounds : int
        Of expectation and maximisation.

    Returns
    -------
    Mixture
        The likeliest of several starts, cloud by cloud.
    """
    # One after the other: threads that compute with arrays as small as these wait for each other.
    found = [_fit(part, radius, groups, starts, rounds) for part in clouds.parts()]
    if not found:
        return _fit(clouds, radius, groups, starts, rounds)
    return Mixture(
        *(np.concatenate([getattr(part, name.name) for part in found], axis=-1) for name in fields(Mixture))
    )


def _fit(clouds: Clouds, radius: float, groups: int, starts: Sequence[float], rounds: int) -> Mixture:
    """The same of clouds that are few."""
    middle, axis = _principal(clouds)
    sides = [[0.0]] if groups == 1 else [[-step, step] for step in starts]
    best, *others = (
        _climb(clouds, radius, middle[:, None] + np.array(side)[:, None] * axis[:, None], rounds)
        for side in sides
    )
    for found in others:
        better = found.likelihood > best.likelihood
        best = Mixture(
            np.where(better, found.centers, best.centers),
            np.where(better, found.variance, best.variance),
            np.where(better, found.likelihood, best.likelihood),
            np.where(better[clouds.cloud], found.member, best.member),
        )
    return best


def _principal(clouds: Clouds) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each cloud, and the direction in which it scatters more than its errors tell, (2, K) each."""
    certain = clouds.weight / (np.square(clouds.errors).sum(0) + FLOOR**2)
    mass = np.maximum(clouds.total(certain), 1e-9)
    offset = clouds.points - clouds.middle[:, clouds.cloud]
    mean = clouds.total(certain * offset) / mass
    y, x = offset - mean[:, clouds.cloud]
    y_var, x_var = np.square(clouds.errors)
    yy, yx, xx = clouds.total(certain * np.stack([y * y - y_var, y * x, x * x - x_var]))
    angle = 0.5 * np.arctan2(2 * yx, yy - xx)
    return clouds.middle + mean, np.stack([np.cos(angle), np.sin(angle)])


def _climb(clouds: Clouds, radius: float, centers: np.ndarray, rounds: int) -> Mixture:
    """Expectation and maximisation from given centres (2, G, K)."""
    groups, number = centers.shape[1:]
    weight = clouds.weight
    # Symmetric matrices are (yy, yx, xx).
    error = np.insert(np.square(clouds.errors) + FLOOR**2, 1, 0, axis=0)
    mass = np.maximum(clouds.total(weight), 1e-9)
    share = np.full((groups, number), (1 - CHANCE) / groups)
    scatter = SCATTER * np.ones((3, number)) * [[1], [0], [1]]
    even = 1 / (np.pi * radius**2)
    for left in reversed(range(rounds + 1)):
        about = clouds.spread(scatter)
        precision, determinant = _inverse(about + error)
        offset = clouds.points[:, None] - clouds.spread(centers)
        pull = _apply(precision[:, None], offset)
        height = clouds.spread(share) / (2 * np.pi * np.sqrt(determinant))
        density = height * np.exp(-0.5 * (offset[0] * pull[0] + offset[1] * pull[1]))
        whole = density.sum(0) + clouds.spread(1 - share.sum(0)) * even
        member = density / whole
        counted = member * weight
        variance, _ = _inverse(clouds.total(counted * precision[:, None]) + TINY)
        if not left:
            break
        step = _apply(variance, clouds.total(counted * pull))
        centers = centers + step
        counts = clouds.total(counted)
        share = (1 - 1e-6) * counts / mass
        # Where each point would lie without its error: its mean about the new centres, and its covariance,
        # which is the group's, times the precision, times the error's.
        y, x = _apply(about[:, None], pull - _apply(precision[:, None], clouds.spread(step)))
        y_error, x_error = counted.sum(0) * error[[0, 2]]
        spread = np.stack(
            [
                (counted * y * y).sum(0) + (about[0] * precision[0] + about[1] * precision[1]) * y_error,
                (counted * y * x).sum(0) + (about[0] * precision[1] + about[1] * precision[2]) * x_error,
                (counted * x * x).sum(0) + (about[1] * precision[1] + about[2] * precision[2]) * x_error,
            ]
        )
        scatter = clouds.total(spread) / np.maximum(counts.sum(0), 1e-9)
    return Mixture(centers, variance[[0, 2]], clouds.total(weight * np.log(whole)), member)


def _apply(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Product of symmetric matrices (3, ...) and vectors (2, ...)."""
    (yy, yx, xx), (y, x) = matrix, vector
    product = np.empty((2, *np.broadcast_shapes(yy.shape, y.shape)))
    np.multiply(yy, y, out=product[0])
    product[0] += yx * x
    np.multiply(yx, y, out=product[1])
    product[1] += xx * x
    return product


def _inverse(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse (3, ...) and determinant (...) of symmetric matrices (3, ...)."""
    yy, yx, xx = matrix
    determinant = np.maximum(yy * xx - yx * yx, 1e-12)
    return np.stack([xx, -yx, yy]) / determinant, determinant
