"""How one session's field of view is brought onto another: an affine map and a smooth bending.

Knows points (y, x) in pixels; knows nothing of cells, sessions or of how a transform was found.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import xlogy

#: the inverse is exact to so many pixels, after at most so many steps
INVERSE_PX, INVERSE_STEPS = 1e-3, 50


def thin_plate(points: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """The thin-plate kernel r^2 log r between (N, 2) points and (Q, 2) knots: float64 (N, Q)."""
    square = cdist(points, knots, "sqeuclidean")
    return 0.5 * xlogy(square, square)


@dataclass(frozen=True)
class FieldTransform:
    """A map from pixels of one field to pixels of the common one.

    A point p goes to u + s(u) with u = matrix · (y, x, 1) and s a thin-plate spline, which has an affine part
    too.

    Attributes
    ----------
    matrix : ndarray, float64 (2, 3)
        Rotation, scale and shift, of (y, x, 1).
    knots : ndarray, float64 (Q, 2)
        Knots of the spline in the common field, pixels; none for a transform without bending.
    weights : ndarray, float64 (Q, 2)
        The spline's coefficients, (y, x) of each knot.
    stretch : ndarray, float64 (2, 3)
        The spline's affine part, of (u, 1): what is added.

    Examples
    --------
    >>> FieldTransform.identity().apply(np.array([[3.0, 4.0]]))
    array([[3., 4.]])
    """

    matrix: np.ndarray
    knots: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    weights: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    stretch: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))

    @classmethod
    def identity(cls) -> FieldTransform:
        """The transform that moves nothing."""
        return cls(np.eye(2, 3))

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Bring (N, 2) points of the field onto the common one: float64 (N, 2)."""
        moved = np.asarray(points, np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return moved + self.bending(moved)

    def bending(self, moved: np.ndarray) -> np.ndarray:
        """What the spline adds at (N, 2) places of the common field, before it: float64 (N, 2)."""
        affine = moved @ self.stretch[:, :2].T + self.stretch[:, 2]
        return affine + thin_plate(moved, self.knots) @ self.weights if len(self.knots) else affine

    def invert(self, points: np.ndarray) -> np.ndarray:
        """Bring (N, 2) points of the common field back: float64 (N, 2)."""
        target = np.asarray(points, np.float64)
        before = target
        for _ in range(INVERSE_STEPS):
            after = target - self.bending(before)
            step = np.abs(after - before).max(initial=0.0)
            before = after
            if step < INVERSE_PX:
                break
        return (before - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T

    @property
    def rotation_deg(self) -> float:
        """Rotation of the affine parts, degrees, from +x towards +y."""
        (yy, yx), (xy, xx) = self._linear
        return float(np.degrees(np.arctan2(yx - xy, yy + xx)))

    @property
    def scale(self) -> float:
        """Scale of the affine parts: the square root of their determinant."""
        return float(np.sqrt(abs(np.linalg.det(self._linear))))

    @property
    def _linear(self) -> np.ndarray:
        return (np.eye(2) + self.stretch[:, :2]) @ self.matrix[:, :2]

    def bending_px(self, frame_shape: tuple[int, int]) -> float:
        """Root mean square of what is no rotation, scale or shift, over a field of (H, W) pixels."""
        grid = np.stack(np.meshgrid(*(np.linspace(0, n - 1, 12) for n in frame_shape), indexing="ij"), -1)
        points = grid.reshape(-1, 2) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return float(np.sqrt((self.bending(points) ** 2).sum(1).mean()))

    def shift_px(self, frame_shape: tuple[int, int]) -> tuple[float, float]:
        """Displacement (dy, dx) of the middle of a field of (H, W) pixels."""
        middle = (np.array(frame_shape, float)[None] - 1) / 2
        dy, dx = (self.apply(middle) - middle)[0]
        return float(dy), float(dx)
