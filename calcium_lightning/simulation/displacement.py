"""How the tissue of one day lies in the field: moved, turned, scaled and bent.

For: recordings, and footprints, of several days. Knows points only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

#: highest spatial frequency of a bending, half waves over the field
HALF_WAVES = 3
#: steps of the fixed-point iteration by which a displacement is inverted
INVERSE_STEPS = 30


@dataclass(frozen=True)
class Displacement:
    """How a day's tissue lies in the field: a similarity about the field's middle, then a bending.

    Attributes
    ----------
    shift : ndarray (2,)
        (dy, dx), pixels.
    angle, scale : float
        Rotation, radians from +x towards +y, and scale.
    waves : ndarray (2, n, n)
        Amplitudes of cosines over the field, of the bending along y and x, pixels.
    size : (int, int)
        (H, W) of the field.
    """

    shift: np.ndarray
    angle: float
    scale: float
    waves: np.ndarray
    size: tuple[int, int]

    @classmethod
    def none(cls, size: tuple[int, int]) -> Displacement:
        """The first day's: nothing moves."""
        return cls(np.zeros(2), 0.0, 1.0, np.zeros((2, HALF_WAVES, HALF_WAVES)), size)

    @classmethod
    def draw(
        cls,
        drift_px: float,
        rotation_deg: float,
        scale: float,
        bending_px: float,
        size: tuple[int, int],
        rng: np.random.Generator,
    ) -> Displacement:
        """Draw one; the first four are the most that it may be, as in the settings of days."""
        direction = rng.uniform(0, 2 * math.pi)
        length = drift_px * math.sqrt(rng.uniform(0.1, 1))
        orders = np.hypot(*np.meshgrid(range(HALF_WAVES), range(HALF_WAVES), indexing="ij"))
        waves = rng.standard_normal((2, HALF_WAVES, HALF_WAVES)) / np.maximum(orders, 1) ** 1.5
        waves[:, 0, 0] = 0
        drawn = cls(
            length * np.array([math.sin(direction), math.cos(direction)]),
            math.radians(rng.uniform(-rotation_deg, rotation_deg)),
            1 + rng.uniform(-scale, scale),
            waves,
            size,
        )
        grid = np.stack(np.meshgrid(*(np.linspace(0, n - 1, 24) for n in size), indexing="ij"), -1)
        bent = drawn.bending(grid.reshape(-1, 2))
        waves *= bending_px / max(float(np.sqrt((bent**2).sum(1).max())), 1e-9)
        return drawn

    def bending(self, points: np.ndarray) -> np.ndarray:
        """The bending at (N, 2) places, pixels."""
        height, width = self.size
        # Beyond the field it stays as it is at its border.
        y, x = np.clip(points, 0, [height - 1, width - 1]).T / [[max(height - 1, 1)], [max(width - 1, 1)]]
        orders = np.arange(HALF_WAVES) * math.pi
        down, right = np.cos(np.outer(y, orders)), np.cos(np.outer(x, orders))
        return np.stack([((down @ part) * right).sum(1) for part in self.waves], 1)

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Where points (N, 2) of the tissue lie on this day."""
        cos, sin = self.scale * math.cos(self.angle), self.scale * math.sin(self.angle)
        middle = (np.array(self.size) - 1) / 2
        points = points + self.bending(points)
        return (points - middle) @ np.array([[cos, -sin], [sin, cos]]) + middle + self.shift

    def invert(self, points: np.ndarray) -> np.ndarray:
        """Which points of the tissue lie there: (N, 2)."""
        cos, sin = math.cos(self.angle) / self.scale, math.sin(self.angle) / self.scale
        middle = (np.array(self.size) - 1) / 2
        bent = (points - self.shift - middle) @ np.array([[cos, sin], [-sin, cos]]) + middle
        found = bent
        for _ in range(INVERSE_STEPS):
            found = bent - self.bending(found)
        return found
