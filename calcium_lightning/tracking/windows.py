"""How parts of a field are displaced: each part's shift and rotation by a vote, then a smooth map.

Knows points. Bridges the gap between one rotation and shift of a whole field and the distance at which
single cells find their partners: where the tissue has bent by as much as a cell's diameter, most cells'
nearest neighbours are strangers, but those of a whole part agree on one shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.tracking.spline import Spline


@dataclass(frozen=True)
class Level:
    """How large the parts are, and how far they are looked for; lengths in cell diameters.

    Attributes
    ----------
    radius : float
        Standard deviation of a part's extent.
    reach : float
        Greatest shift.
    turn : float
        Greatest rotation, degrees.
    """

    radius: float
    reach: float
    turn: float


LEVELS = (Level(3.5, 1.6, 9.0), Level(3.0, 1.2, 7.0), Level(2.7, 0.9, 5.0))
#: bins of a diameter, and the blur of a vote, in diameters
BINS, BLUR = 8, 0.18
#: a part's vote counts from so many standard deviations on, and fully from so many
FAINT, CLEAR = 4.0, 8.0
#: error of a part's place, and the residual at which it is doubted, in diameters
ERROR, DOUBTED = 0.2, 0.4
#: weight of a part's staying where it is
STAY = 0.05
#: rounds of doubting
ROUNDS = 5


def bend_by_windows(
    source: np.ndarray,
    targets: Sequence[np.ndarray],
    start: FieldTransform,
    diameter: float,
    spline: Spline,
    stiffness: float,
) -> FieldTransform:
    """Bend a transform so that parts of the field lie where most of their cells have partners.

    Parameters
    ----------
    source : ndarray (M, 2)
        Places of cells, pixels.
    targets : sequence of ndarray (N, 2)
        Places of other sessions' cells in the common field.
    start : FieldTransform
        Right in a part of the field.
    diameter : float
        Of a cell, pixels.
    spline : Spline
        The bendings there may be.
    stiffness : float
        Of the tissue, as :meth:`Spline.fit` takes it for errors of one pixel.
    """
    transform = start
    for level in LEVELS:
        moved = transform.apply(source)
        places = _places(moved, level.radius * diameter)
        if not len(places):
            return transform
        to, clear = _displaced(moved, targets, places, diameter, level)
        if not clear.any():
            continue
        from_ = np.tile(transform.invert(places.reshape(-1, 2)), (2, 1))
        weights = np.repeat(np.concatenate([clear, np.full(len(clear), STAY)]), places.shape[1])
        aims = np.concatenate([to, places]).reshape(-1, 2)
        trust = np.ones(len(weights))
        bending = spline.about(start.matrix, from_)
        for _ in range(ROUNDS):
            found = bending.fit(aims, weights * trust, stiffness * (ERROR * diameter) ** 2)
            off = np.linalg.norm(bending.at(found) - aims, axis=1)
            trust = 1 / (1 + (off / (DOUBTED * diameter)) ** 2) ** 2
        transform = bending.transform(found)
    return transform


def _places(moved: np.ndarray, radius: float) -> np.ndarray:
    """Middles of parts that hold enough cells, and four places around each: (W, 5, 2)."""
    low, high = moved.min(0), moved.max(0)
    sides = [np.linspace(a, b, max(2, round((b - a) / radius) + 1)) for a, b in zip(low, high, strict=True)]
    middles = np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 2)
    held = cKDTree(moved).query_ball_point(middles, radius, return_length=True)
    middles = middles[held >= 4]
    around = radius * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    return middles[:, None] + around


def _displaced(
    moved: np.ndarray, targets: Sequence[np.ndarray], places: np.ndarray, diameter: float, level: Level
) -> tuple[np.ndarray, np.ndarray]:
    """Where parts' places belong, (W, 5, 2), and how clear that is, 0 to 1 (W,)."""
    middles, radius = places[:, 0], level.radius * diameter
    near = cKDTree(middles).sparse_distance_matrix(cKDTree(moved), 2.2 * radius, output_type="ndarray")
    part, cell = near["i"].astype(np.int64), near["j"].astype(np.int64)
    weight = np.exp(-0.5 * (near["v"] / radius) ** 2)
    offset = moved[cell] - middles[part]
    angles = np.radians(np.linspace(-level.turn, level.turn, 7))
    half = int(np.ceil(level.reach * BINS))
    side = 2 * half + 1
    votes = np.zeros((len(middles), len(angles), side, side))
    trees = [cKDTree(target) for target in targets]
    for row, angle in enumerate(angles):
        turned = middles[part] + _turned(offset, angle)
        tree = cKDTree(turned)
        for other, target in zip(trees, targets, strict=True):
            pairs = tree.sparse_distance_matrix(other, level.reach * diameter, output_type="ndarray")
            who = pairs["i"].astype(np.int64)
            step = np.rint((target[pairs["j"]] - turned[who]) / diameter * BINS).astype(np.int64) + half
            at = (part[who] * side + step[:, 0]) * side + step[:, 1]
            votes[:, row] += np.bincount(at, weight[who], len(middles) * side**2).reshape(-1, side, side)
    votes = gaussian_filter(votes, (0, 0, BLUR * BINS, BLUR * BINS), mode="constant")
    y, x = np.indices((side, side)) - half
    inside = np.hypot(y, x) <= (level.reach - BLUR) * BINS
    values = votes[:, :, inside]
    spread = values.std((1, 2))
    flat = values.reshape(len(middles), -1)
    best = flat.argmax(1)
    score = (flat.max(1) - flat.mean(1)) / np.maximum(spread, 1e-9)
    turn, at = np.divmod(best, inside.sum())
    shift = np.stack([y[inside][at], x[inside][at]], 1) / BINS * diameter
    around = places - middles[:, None]
    cos, sin = np.cos(angles[turn])[:, None], np.sin(angles[turn])[:, None]
    rotated = np.stack(
        [cos * around[..., 0] + sin * around[..., 1], cos * around[..., 1] - sin * around[..., 0]], -1
    )
    clear = np.clip((score - FAINT) / (CLEAR - FAINT), 0, 1)
    return middles[:, None] + rotated + shift[:, None], clear


def _turned(offset: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return offset @ np.array([[cos, -sin], [sin, cos]])
