"""What cells look like in the common field, wherever they lie: their footprints around their own centres.

Knows footprints and transforms. A shape says nothing of the place, so that the two may be taken for
independent evidence. Of a cell that one field's border cuts, only what both fields see is compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.scale import CENTROID_LEVEL

#: points of a shape along each side, and how far it reaches from the centre, in cell diameters
SIDE, REACH = 17, 1.0
#: blur of a shape, in steps
BLUR = 0.8
#: a footprint may be cut where its centre is so near to what the field doesn't show, in cell diameters
CUT = 1.0
#: of a cut cell so much of its light must be seen by both to be compared
SEEN = 0.15
#: pairs compared at once: bounds the memory
AT_ONCE = 1 << 11


class Shapes:
    """Cells of several sessions, numbered through all of them.

    Parameters
    ----------
    fields : sequence of FootprintSet
        The sessions; no footprint is empty.
    transforms : sequence of FieldTransform
        Of each, onto the common field.
    diameter : float
        Of a cell in the common field, pixels.

    Attributes
    ----------
    places : list of ndarray, float64 (K, 2)
        Each session's cells in the common field, pixels.
    images : ndarray, float32 (N, SIDE^2)
        What they look like, of unit norm.
    """

    def __init__(
        self, fields: Sequence[FootprintSet], transforms: Sequence[FieldTransform], diameter: float
    ) -> None:
        self._step = REACH * diameter / (SIDE // 2)
        least = min(transform.scale for transform in transforms)
        half = int(np.ceil(1.3 * REACH * diameter / max(least, 0.2))) + 2
        self._half = half
        self.places = [map_.apply(field.centers) for map_, field in zip(transforms, fields, strict=True)]
        self._place = np.concatenate(self.places)
        self._center = np.concatenate([field.centers for field in fields])
        self._session = np.repeat(np.arange(len(fields)), [len(field) for field in fields])
        self._patches = np.concatenate([_patches(field, half) for field in fields])
        self._back = np.concatenate(
            [_inverse_jacobians(map_, field.centers) for map_, field in zip(transforms, fields, strict=True)]
        )
        self._seen = [field.visible for field in fields]
        axis = np.arange(SIDE) - SIDE // 2
        self._grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2) * self._step
        rows = np.arange(len(self._place))
        self.images = np.concatenate(
            [
                _unit(self._sampled(some, np.zeros((len(some), 2)))[0])
                for some in np.array_split(rows, max(1, -(-len(rows) // AT_ONCE)))
            ]
        )
        edge = [
            distance_transform_edt(np.pad(seen, 1))[1:-1, 1:-1][tuple(_inside(field.centers, seen.shape).T)]
            for field, seen in zip(fields, self._seen, strict=True)
        ]
        self._may_be_cut = np.concatenate(edge) < CUT * diameter

    def compare(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances, pixels of the common field, and correlations of shapes, of pairs of cells (E,)."""
        distance = np.linalg.norm(self._place[first] - self._place[second], axis=1)
        likeness = self.correlation(first, second)
        cut = np.flatnonzero(self._may_be_cut[first] | self._may_be_cut[second])
        for begin in range(0, len(cut), AT_ONCE):
            rows = cut[begin : begin + AT_ONCE]
            distance[rows], likeness[rows] = self._compare_cut(
                first[rows], second[rows], distance[rows], likeness[rows]
            )
        return distance, likeness

    def correlation(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Correlations of whole shapes of pairs of cells (E,)."""
        likeness = np.empty(len(first))
        for begin in range(0, len(first), AT_ONCE):
            some = slice(begin, begin + AT_ONCE)
            likeness[some] = np.einsum("ed,ed->e", self.images[first[some]], self.images[second[some]])
        return likeness

    def _compare_cut(
        self, first: np.ndarray, second: np.ndarray, distance: np.ndarray, likeness: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same of what both fields see."""
        middle = 0.5 * (self._place[first] + self._place[second])
        a, seen_a = self._sampled(first, middle - self._place[first])
        b, seen_b = self._sampled(second, middle - self._place[second])
        both = seen_a & seen_b
        center_a, center_b = self._centroid(a * both), self._centroid(b * both)
        enough = ((a * both).sum(1) > SEEN * a.sum(1)) & ((b * both).sum(1) > SEEN * b.sum(1))
        a, seen_a = self._sampled(first, middle + center_a - self._place[first])
        b, seen_b = self._sampled(second, middle + center_b - self._place[second])
        both = seen_a & seen_b
        alike = np.einsum("ed,ed->e", _unit(a * both), _unit(b * both))
        apart = np.linalg.norm(center_a - center_b, axis=1)
        return np.where(enough, apart, distance), np.where(enough, alike, likeness)

    def _sampled(self, rows: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Footprints around their centres and an offset, (n, SIDE^2), and what is seen."""
        center = self._center[rows]
        shift = np.einsum("kij,kgj->kgi", self._back[rows], self._grid[None] + offset[:, None])
        at = shift + (center - np.rint(center))[:, None] + self._half
        who = np.broadcast_to(rows[:, None], at.shape[:2])
        images = map_coordinates(self._patches, [who, at[..., 0], at[..., 1]], order=1)
        images = gaussian_filter(images.reshape(-1, SIDE, SIDE), (0, BLUR, BLUR)).reshape(len(rows), -1)
        seen = np.zeros(images.shape, bool)
        place = np.rint(shift + center[:, None]).astype(np.int64)
        for session, field in enumerate(self._seen):
            here = np.flatnonzero(self._session[rows] == session)
            inside = ((place[here] >= 0) & (place[here] < field.shape)).all(-1)
            y, x = _inside(place[here], field.shape).transpose(2, 0, 1)
            seen[here] = inside & field[y, x]
        return images, seen

    def _centroid(self, images: np.ndarray) -> np.ndarray:
        """Centroid (y, x) of the part of each image above 30 % of its peak, beside the middle, pixels."""
        weight = np.where(images > CENTROID_LEVEL * images.max(1, keepdims=True), images, 0)
        return weight @ self._grid / np.maximum(weight.sum(1), 1e-9)[:, None]


def _inside(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.clip(np.rint(points), 0, np.array(shape) - 1).astype(np.int64)


def _unit(images: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(images, axis=1, keepdims=True)
    return (images / np.maximum(norm, 1e-9)).astype(np.float32)


def _inverse_jacobians(transform: FieldTransform, points: np.ndarray) -> np.ndarray:
    """What a step in the common field is in the session's, (K, 2, 2): a transform is linear over a cell."""
    here = transform.apply(points)
    columns = [2 * (transform.apply(points + 0.5 * unit) - here) for unit in np.eye(2)]
    return np.linalg.inv(np.stack(columns, -1))


def _patches(field: FootprintSet, half: int) -> np.ndarray:
    """Footprints around their rounded centres, dense: float32 (K, 2 half + 1, 2 half + 1)."""
    matrix, width = field.footprints, field.frame_shape[1]
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    y, x = np.divmod(matrix.indices, width)
    middle = np.rint(field.centers).astype(np.int64)
    dy, dx = y - middle[rows, 0] + half, x - middle[rows, 1] + half
    side = 2 * half + 1
    inside = (dy >= 0) & (dy < side) & (dx >= 0) & (dx < side)
    patches = np.zeros((len(middle), side, side), np.float32)
    patches[rows[inside], dy[inside], dx[inside]] = matrix.data[inside]
    return patches
