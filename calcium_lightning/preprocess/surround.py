"""What frames show where there is no tissue: the nearest tissue, so that no edge is left to be mistaken.

Thin gaps (dead lines) are filled from both sides; wide ones (outside a lens) by the mean of the tissue at
their nearest border. Knows arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from calcium_lightning.preprocess.defects import Defects
from calcium_lightning.preprocess.field import thin_parts

#: how far from a pixel of the border the tissue is averaged, pixels
REACH = 2


@dataclass(frozen=True)
class Surround:
    """Pixels without tissue, and what they are filled with.

    Attributes
    ----------
    usable : ndarray, bool (H, W)
        Pixels that show tissue, or are filled from both sides.
    thin : Defects
        Those.
    wide : ndarray of int (M,)
        All others, flat indices.
    source : ndarray of int (M,)
        For each of them, which row of ``border`` it takes.
    border : Defects
        Pixels at the field's border; their ``neighbours`` are averaged.
    """

    usable: np.ndarray
    thin: Defects
    wide: np.ndarray
    source: np.ndarray
    border: Defects

    @classmethod
    def of(cls, missing: np.ndarray, defects: Defects) -> Surround:
        """Fill where ``missing``, bool (H, W), is set, and single ``defects`` elsewhere."""
        none = Defects.at(np.zeros(missing.shape, bool))
        defective = np.zeros(missing.size, bool)
        defective[defects.pixels] = True
        if not missing.any():
            return cls(~missing, defects, np.zeros(0, np.intp), np.zeros(0, np.intp), none)
        narrow = thin_parts(missing)
        broad = missing & ~narrow
        unsound = missing | defective.reshape(missing.shape)
        thin = Defects.at(unsound & ~broad, sound=~unsound)
        if not broad.any():
            return cls(~broad, thin, np.zeros(0, np.intp), np.zeros(0, np.intp), none)
        nearest = distance_transform_edt(unsound, return_distances=False, return_indices=True)
        wide = np.flatnonzero(broad)
        pixels, source = np.unique(
            np.ravel_multi_index(tuple(part[broad] for part in nearest), missing.shape), return_inverse=True
        )
        return cls(~broad, thin, wide, source.ravel(), _around(pixels, ~unsound))

    def fill(self, frames: np.ndarray) -> None:
        """Fill frames (n, H, W), contiguous, of any type, in place."""
        self.thin.fill(frames)
        if len(self.wide):
            flat = frames.reshape(len(frames), -1)
            filled = (flat[:, self.border.neighbours] * self.border.weights).sum(-1)
            filled = np.rint(filled) if frames.dtype.kind in "iu" else filled
            flat[:, self.wide] = filled.astype(frames.dtype)[:, self.source]


def _around(pixels: np.ndarray, sound: np.ndarray) -> Defects:
    """Sound pixels (flat indices) with all sound ones around them, themselves included."""
    height, width = sound.shape
    steps = np.arange(-REACH, REACH + 1)
    y, x = np.divmod(pixels, width)
    rows, columns = (part.ravel() for part in np.meshgrid(steps, steps, indexing="ij"))
    near_y = np.clip(y[:, None] + rows, 0, height - 1)
    near_x = np.clip(x[:, None] + columns, 0, width - 1)
    known = sound[near_y, near_x]
    weights = known / known.sum(1, keepdims=True)
    return Defects(pixels, np.where(known, near_y * width + near_x, pixels[:, None]), weights)
