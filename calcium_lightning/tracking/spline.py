"""A smooth map fitted to weighted pairs of points: affine, or a thin-plate regression spline.

Knows points and weights. The spline has its knots on a grid, so its cost does not grow with the points
(Wood 2003, "Thin plate regression splines"; Green & Silverman 1994).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from calcium_lightning.core.field_transform import FieldTransform, thin_plate

#: weight of the affine part's distance from a similarity: the tissue hardly shears
SHEAR_PRIOR = 4.0


def fit_similarity(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rotation, scale and shift, in least squares (Umeyama 1991): (2, 3)."""
    total = max(float(weights.sum()), 1e-12)
    from_, to = weights @ source / total, weights @ target / total
    a, b = source - from_, target - to
    along = float((weights * (a * b).sum(1)).sum())
    across = float((weights * (a[:, 1] * b[:, 0] - a[:, 0] * b[:, 1])).sum())
    norm = max(float((weights * (a**2).sum(1)).sum()), 1e-12)
    turn = np.array([[along, across], [-across, along]]) / norm
    return np.column_stack([turn, to - turn @ from_])


@dataclass(frozen=True)
class Spline:
    """A basis of smooth bendings over a part of the common field.

    Attributes
    ----------
    low, high : ndarray (2,)
        The part's corners, (y, x), pixels.
    spacing : float
        Of the knots, pixels.
    """

    low: np.ndarray
    high: np.ndarray
    spacing: float
    knots: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        sides = [
            np.linspace(a, b, max(2, round((b - a) / self.spacing) + 1))
            for a, b in zip(self.low, self.high, strict=True)
        ]
        object.__setattr__(
            self, "knots", np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 2).astype(float)
        )

    @cached_property
    def _null(self) -> np.ndarray:
        """Coefficients that grow no faster than an affine map: (Q, Q - 3), orthonormal."""
        affine = np.column_stack([np.ones(len(self.knots)), self.knots])
        return np.linalg.qr(affine, mode="complete")[0][:, 3:]

    @cached_property
    def _roots(self) -> np.ndarray:
        """The same, of unit bending energy each and uncorrelated: (Q, Q - 3)."""
        energy = self._null.T @ thin_plate(self.knots, self.knots) @ self._null
        values, vectors = np.linalg.eigh(0.5 * (energy + energy.T))
        kept = values > 1e-9 * values.max()
        return self._null @ (vectors[:, kept] / np.sqrt(values[kept]))

    def basis(self, moved: np.ndarray) -> np.ndarray:
        """Bendings at (N, 2) places: (N, B), each of unit bending energy."""
        return thin_plate(moved, self.knots) @ self._roots

    def weights(self, found: np.ndarray) -> np.ndarray:
        """The coefficients of the knots, (Q, 2), of coefficients of :meth:`basis`, (B, 2)."""
        return self._roots @ found

    def about(self, matrix: np.ndarray, source: np.ndarray) -> Bending:
        """What bends points (N, 2) once a matrix (2, 3) has turned and shifted them."""
        moved = source @ matrix[:, :2].T + matrix[:, 2]
        middle, span = 0.5 * (self.low + self.high), 0.5 * float(np.linalg.norm(self.high - self.low))
        plain = np.column_stack([np.ones(len(moved)), (moved - middle) / span])
        return Bending(self, matrix, moved, np.column_stack([plain, self.basis(moved)]), middle, span)


@dataclass(frozen=True)
class Bending:
    """Points to be bent, and the basis at each: it stays while the bending is fitted again and again."""

    spline: Spline
    matrix: np.ndarray
    moved: np.ndarray
    columns: np.ndarray
    middle: np.ndarray
    span: float

    def fit(self, target: np.ndarray, weights: np.ndarray, stiffness: float) -> np.ndarray:
        """Coefficients (B, 2) in weighted penalised least squares.

        Minimises the weighted squared distances plus `stiffness` times the bending energy.

        Parameters
        ----------
        target : ndarray (N, 2)
            Where the points belong.
        weights : ndarray (N,)
            Of each.
        stiffness : float
            Penalty on bending, px^2.
        """
        penalty = np.full(self.columns.shape[1], stiffness)
        penalty[:3] = (1e-9, SHEAR_PRIOR, SHEAR_PRIOR)
        weighted = self.columns * weights[:, None]
        normal = weighted.T @ self.columns + np.diag(penalty)
        return np.linalg.solve(normal, weighted.T @ (target - self.moved))

    def at(self, found: np.ndarray) -> np.ndarray:
        """Where coefficients bring the points: (N, 2)."""
        return self.moved + self.columns @ found

    def transform(self, found: np.ndarray) -> FieldTransform:
        """The same for any point."""
        linear = found[1:3].T / self.span
        stretch = np.column_stack([linear, found[0] - linear @ self.middle])
        return FieldTransform(self.matrix, self.spline.knots, self.spline.weights(found[3:]), stretch)


def fit_through(source: np.ndarray, target: np.ndarray, spacing: float | None = None) -> FieldTransform:
    """One transform that brings points where others have brought them already.

    Parameters
    ----------
    source, target : ndarray (N, 2)
        Points and where they go, pixels.
    spacing : float, optional
        Of the knots, pixels; default: seven along the longer side.
    """
    weights = np.ones(len(source))
    low, high = target.min(0), target.max(0)
    spline = Spline(low, high, spacing or float((high - low).max()) / 7)
    bending = spline.about(fit_similarity(source, target, weights), source)
    return bending.transform(bending.fit(target, weights, stiffness=0.5))
