"""Cells against an annotator's mask: are they inside, more often than chance, and is every part hit.

The mask has its own resolution and covers the same field. Knows centres and arrays, no files.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from skimage.measure import label
from torch import Tensor
from torchmetrics import Metric

ASPECT_TOLERANCE = 1.2  # a mask of the same field may be squashed by rounding, not by a fifth


class MaskAgreement(Metric):
    """Precision, chance, kappa and the parts of the mask that hold a centre.

    kappa = (precision - chance) / (1 - chance), where chance is the share of the known field that the mask
    covers. Over several sessions precision, chance and kappa are means; cells and parts are sums. A session
    without cells in the known field has precision 0.

    Examples
    --------
    >>> mask = np.zeros((10, 10)); mask[:5, :4] = 1
    >>> metric = MaskAgreement()
    >>> metric.update([[2.0, 2.0], [30.0, 30.0]], mask, (40, 40))
    >>> {name: round(float(value), 3) for name, value in metric.compute().items()}
    {'cells': 2.0, 'precision': 0.5, 'chance': 0.2, 'kappa': 0.375, 'parts_hit': 1.0, 'parts': 1.0}
    """

    full_state_update = False
    higher_is_better = True

    def __init__(self) -> None:
        super().__init__()
        self.counts: Tensor
        self.sums: Tensor
        # counts: sessions, cells, parts hit, parts; sums over sessions: precision, chance, kappa
        self.add_state("counts", torch.zeros(4, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("sums", torch.zeros(3, dtype=torch.float64), dist_reduce_fx="sum")

    def update(
        self,
        centers: ArrayLike,
        mask: ArrayLike,
        frame_shape: tuple[int, int],
        unknown: ArrayLike | None = None,
    ) -> None:
        """Add one session.

        Parameters
        ----------
        centers : array_like
            (K, 2), (y, x) in pixels of the frames.
        mask : array_like
            (H', W'), non-zero inside some cell.
        frame_shape : tuple of int
            (H, W) of the frames.
        unknown : array_like, optional
            (H', W'), non-zero where the mask isn't to be trusted: cells and pixels there don't count.

        Raises
        ------
        ValueError
            If the mask can't be one of this field, or marks everything or nothing.
        """
        marked, known = check_mask(mask, frame_shape, unknown)
        places = np.asarray(centers, float).reshape(-1, 2)
        scale = np.array(marked.shape) / np.array(frame_shape)
        # the centre of pixel (0, 0) is at 0, its corner at -0.5
        cell = np.clip(((places + 0.5) * scale).astype(int), 0, np.array(marked.shape) - 1)
        y, x = cell[known[cell[:, 0], cell[:, 1]]].T
        inside = marked[y, x]
        chance = marked[known].mean()
        precision = inside.mean() if len(y) else 0.0
        parts, n_parts = label(marked, return_num=True, connectivity=1)
        hit = len(np.unique(parts[y, x][inside]))
        kappa = (precision - chance) / (1 - chance)
        self.counts += torch.tensor([1, len(y), hit, n_parts], device=self.device)
        self.sums += torch.tensor([precision, chance, kappa], device=self.device, dtype=torch.float64)

    def compute(self) -> dict[str, Tensor]:
        """Scalars ``cells``, ``precision``, ``chance``, ``kappa``, ``parts_hit`` and ``parts``."""
        sessions, cells, hit, parts = self.counts.double()
        precision, chance, kappa = self.sums / sessions
        return {
            "cells": cells,
            "precision": precision,
            "chance": chance,
            "kappa": kappa,
            "parts_hit": hit,
            "parts": parts,
        }


def check_mask(
    mask: ArrayLike, frame_shape: tuple[int, int], unknown: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The mask and the known field as (H', W') bool arrays.

    Raises
    ------
    ValueError
        If the mask isn't two-dimensional, has another aspect ratio than the field, marks nothing or
        everything, or if `unknown` has another shape or leaves nothing.
    """
    array = np.asarray(mask)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"a mask must have two dimensions, this one has shape {array.shape}")
    scale = np.array(array.shape) / np.array(frame_shape)
    if scale.max() / scale.min() > ASPECT_TOLERANCE:
        raise ValueError(f"a mask of {array.shape} pixels doesn't fit a field of {tuple(frame_shape)} pixels")
    marked, known = array > 0, np.ones(array.shape, bool)
    if unknown is not None:
        if np.shape(unknown) != array.shape:
            raise ValueError(f"the unknown pixels have shape {np.shape(unknown)}, the mask has {array.shape}")
        known = np.asarray(unknown) == 0
    if not known.any():
        raise ValueError("every pixel of the mask is unknown")
    if marked[known].all() or not marked[known].any():
        extent = "everything" if marked[known].all() else "nothing"
        raise ValueError(f"the mask marks {extent}: no figure would mean anything")
    return marked, known
