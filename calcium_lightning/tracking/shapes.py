"""What a cell looks like, wherever it lies: its footprint in the common field, around its own centre.

Knows footprints and transforms. A shape says nothing of the place, so that the two may be taken for
independent evidence.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.core.footprint_set import FootprintSet

#: points of a shape along each side, and how far it reaches from the centre, in cell diameters
SIDE, REACH = 17, 1.0
#: blur of a shape, in steps
BLUR = 0.8


def shapes(field: FootprintSet, transform: FieldTransform, diameter: float) -> np.ndarray:
    """Shapes of K cells: float32 (K, SIDE^2), each of unit norm.

    Parameters
    ----------
    field : FootprintSet
        The session; no footprint is empty.
    transform : FieldTransform
        Onto the common field.
    diameter : float
        Of a cell in the common field, pixels.
    """
    centers = field.centers
    half = int(np.ceil(REACH * diameter / max(transform.scale, 0.1) * 1.5)) + 2
    patches = _patches(field, centers, half)
    step = REACH * diameter / (SIDE // 2)
    grid = (np.stack(np.meshgrid(*2 * [np.arange(SIDE) - SIDE // 2], indexing="ij"), -1) * step).reshape(-1, 2)
    # The transform is taken for linear over a cell.
    here = transform.apply(centers)
    jacobian = np.stack([transform.apply(centers + 0.5 * unit) - here for unit in np.eye(2)], -1) * 2
    back = np.linalg.inv(jacobian)
    at = np.einsum("kij,gj->kgi", back, grid) + (centers - np.rint(centers))[:, None] + half
    who = np.broadcast_to(np.arange(len(centers))[:, None], at.shape[:2])
    images = map_coordinates(patches, [who, at[..., 0], at[..., 1]], order=1)
    images = gaussian_filter(images.reshape(-1, SIDE, SIDE), (0, BLUR, BLUR)).reshape(len(centers), -1)
    norm = np.linalg.norm(images, axis=1, keepdims=True)
    return (images / np.maximum(norm, 1e-9)).astype(np.float32)


def _patches(field: FootprintSet, centers: np.ndarray, half: int) -> np.ndarray:
    """Footprints around their rounded centres, dense: float32 (K, 2 half + 1, 2 half + 1)."""
    matrix, width = field.footprints, field.frame_shape[1]
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    y, x = np.divmod(matrix.indices, width)
    middle = np.rint(centers).astype(np.int64)
    dy, dx = y - middle[rows, 0] + half, x - middle[rows, 1] + half
    side = 2 * half + 1
    inside = (dy >= 0) & (dy < side) & (dx >= 0) & (dx < side)
    patches = np.zeros((len(centers), side, side), np.float32)
    patches[rows[inside], dy[inside], dx[inside]] = matrix.data[inside]
    return patches
