"""Localisations of single frames against their labels, the figure to watch while a network learns.

Knows batches of positions; frames of a batch are matched independently, as in the localisation-microscopy
challenge (Sage et al., Nature Methods 16, 2019), whose Jaccard index and RMSE these are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from calcium_lightning.metrics.matching import match_points


class FrameLocalization(Metric):
    """Precision, recall, F1, Jaccard index and RMSE of localisations within a radius of labels.

    Parameters
    ----------
    radius : float
        How far a localisation may lie from its label, in the positions' unit (network pixels while training).

    Examples
    --------
    >>> metric = FrameLocalization(radius=2.0)
    >>> metric.update(torch.tensor([[[4.0, 4.0], [9.0, 9.0]]]), torch.tensor([[[4.0, 5.0], [20.0, 3.0]]]))
    >>> {name: round(float(value), 3) for name, value in metric.compute().items()}
    {'precision': 0.5, 'recall': 0.5, 'f1': 0.5, 'jaccard': 0.333, 'rmse': 1.0}
    """

    full_state_update = False
    higher_is_better = True

    def __init__(self, radius: float = 3.0) -> None:
        super().__init__()
        if not radius > 0:
            raise ValueError(f"radius must be positive, not {radius}")
        self.radius = radius
        self.hits: Tensor
        self.found: Tensor
        self.existing: Tensor
        self.squared_error: Tensor
        for name in ("hits", "found", "existing"):
            self.add_state(name, torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("squared_error", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(
        self,
        positions: Tensor,
        true_positions: Tensor,
        valid: Tensor | None = None,
        true_valid: Tensor | None = None,
    ) -> None:
        """Add a batch of frames.

        Parameters
        ----------
        positions : Tensor
            (B, N, 2), localisations (y, x).
        true_positions : Tensor
            (B, M, 2), labels (y, x).
        valid, true_valid : Tensor, optional
            (B, N) and (B, M) bool, which of the padded entries exist; default all.

        Raises
        ------
        ValueError
            If shapes don't fit.
        """
        if positions.ndim != 3 or true_positions.ndim != 3 or len(positions) != len(true_positions):
            raise ValueError(
                f"positions {tuple(positions.shape)} and true positions {tuple(true_positions.shape)} "
                "must be (B, N, 2) and (B, M, 2)"
            )
        points, frames = _flat(positions, valid)
        targets, target_frames = _flat(true_positions, true_valid)
        match = match_points(points, targets, self.radius, frames=frames, target_frames=target_frames)
        self.hits += len(match.first)
        self.found += len(points)
        self.existing += len(targets)
        self.squared_error += float((match.distance**2).sum())

    def compute(self) -> dict[str, Tensor]:
        """Scalars ``precision``, ``recall``, ``f1``, ``jaccard`` and ``rmse``; without hits 0, rmse NaN."""
        hits, found, existing = self.hits.float(), self.found.float(), self.existing.float()
        return {
            "precision": hits / found.clamp(min=1),
            "recall": hits / existing.clamp(min=1),
            "f1": 2 * hits / (found + existing).clamp(min=1),
            "jaccard": hits / (found + existing - hits).clamp(min=1),
            "rmse": torch.sqrt(self.squared_error / hits),
        }


def _flat(positions: Tensor, valid: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """The existing entries of a padded batch, (n, 2), and the frame of each, (n,)."""
    places = positions.detach().float().cpu().numpy()
    if valid is None:
        exists = np.ones(places.shape[:2], bool)
    elif valid.shape != positions.shape[:2]:
        raise ValueError(f"valid {tuple(valid.shape)} doesn't fit positions {tuple(positions.shape)}")
    else:
        exists = valid.detach().cpu().numpy().astype(bool)
    return places[exists], np.nonzero(exists)[0]
