"""The form that cells take where pixels are regressed on their activity: footprints, and what tells of them.

For: every alternation of traces and footprints. Must not know: where cells come from, what becomes of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from calcium_lightning.core.scale import CELL_SIGMA
from calcium_lightning.localize.demix import Demixer, Model
from calcium_lightning.localize.footprints import consistency, focus, footprints_from_filtered
from calcium_lightning.localize.patches import Patches
from calcium_lightning.localize.scratch import ScratchTraces


@dataclass(frozen=True)
class Forms:
    """Of K cells.

    Attributes
    ----------
    footprints : Patches
        Peak 1, in the middle of their patches.
    center_std : Tensor, float32 (K, 2)
        Standard error of the centres, network pixels.
    consistency : ndarray (K,)
        Correlation of each footprint with its picture regressed from the frames.
    focus : ndarray (K,)
        How strong that picture is within a cell over how strong it is around it.
    """

    footprints: Patches
    center_std: Tensor
    consistency: np.ndarray
    focus: np.ndarray

    def __len__(self) -> int:
        return len(self.footprints)

    def __getitem__(self, rows: np.ndarray) -> Forms:
        return Forms(
            self.footprints[rows],
            self.center_std[torch.from_numpy(rows)],
            self.consistency[rows],
            self.focus[rows],
        )

    def replaced(self, rows: np.ndarray, others: Forms) -> Forms:
        """The same with others' forms in some rows (n,)."""
        values, corner = self.footprints.values.clone(), self.footprints.corner.clone()
        center_std = self.center_std.clone()
        alike, sharp = self.consistency.copy(), self.focus.copy()
        values[rows], corner[rows] = others.footprints.values, others.footprints.corner
        center_std[rows], alike[rows], sharp[rows] = others.center_std, others.consistency, others.focus
        return Forms(Patches(values, corner, self.footprints.size), center_std, alike, sharp)


def regressed(
    demixer: Demixer,
    model: Model,
    denoised: ScratchTraces,
    which: np.ndarray | None = None,
    places: np.ndarray | None = None,
) -> tuple[Forms, np.ndarray]:
    """Regress pixels on activity.

    Parameters
    ----------
    demixer : Demixer
        Knows the movie.
    model : Model
        Where all cells are now.
    denoised : ScratchTraces
        Their activity without noise, which would be copied from the movie into the footprints.
    which : ndarray of int (n,), optional
        Rows of the cells whose forms are wanted; default: all.
    places : ndarray (n, 2), optional
        Where those were found, network pixels: they stay near.

    Returns
    -------
    Forms
        Of those that took a form.
    ndarray of int
        Their rows.
    """
    which = np.arange(len(model)) if which is None else which
    before = model.footprints[which]
    filtered, error = demixer.footprints(model, denoised, which)
    shaped, moments, center_std = footprints_from_filtered(
        before, filtered, error, demixer.surround, CELL_SIGMA, places=places
    )
    alike = consistency(shaped, filtered, error, demixer.surround)
    sharp = focus(shaped, filtered, error, demixer.noise, moments[:, :2])
    took = torch.isfinite(moments).all(1) & (shaped.values.flatten(1).amax(1) > 0)
    rows = np.flatnonzero(took.numpy())
    centred = shaped[took].recentred(moments[took, :2])
    return Forms(centred, center_std[took], alike[rows], sharp[rows]), which[rows]
