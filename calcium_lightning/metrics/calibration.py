"""Whether localisations mean what they say: their probability, and the standard error of their position.

A localisation of probability 0.7 should be a cell seven times in ten, and errors of positions over their
standard errors should have unit variance (Guo et al., On calibration of modern neural networks, ICML 2017;
for localisations, Speiser et al., Nature Methods 18, 2021).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from calcium_lightning.core.device import exact
from calcium_lightning.metrics.matching import match_points

#: the histogram of errors over their standard errors
Z_EDGES = np.linspace(-5, 5, 41)


class Calibration(NamedTuple):
    """What :class:`LocalizationCalibration` computes.

    Attributes
    ----------
    number : ndarray, int64 (bins,)
        Localisations in each bin of probability.
    probability, share : ndarray, float64 (bins,)
        Their mean probability, and the share that is a cell; NaN in empty bins.
    z_count : ndarray, int64 (len(Z_EDGES) - 1,)
        Histogram of position errors over their standard errors, both axes; the outer bins hold all beyond.
    calibration_error : float
        Mean of |share - probability| over localisations: 0 is honest. NaN without localisations.
    position_z : float
        Root mean square of the position errors over their standard errors: 1 is honest, above 1 too sure. NaN
        without hits.
    """

    number: np.ndarray
    probability: np.ndarray
    share: np.ndarray
    z_count: np.ndarray
    calibration_error: float
    position_z: float


class LocalizationCalibration(Metric):
    """Reliability of localisations over batches, sessions and ranks.

    Parameters
    ----------
    radius : float
        How far a localisation may lie from its label, in the positions' unit.
    bins : int
        Of probability, equally wide.

    Examples
    --------
    >>> metric = LocalizationCalibration(radius=2.0)
    >>> positions = torch.tensor([[[4.0, 4.0], [9.0, 9.0]]])
    >>> truth = torch.tensor([[[4.0, 5.0]]])
    >>> metric.update(positions, torch.ones(1, 2, 2), torch.tensor([[0.9, 0.1]]), truth)
    >>> round(metric.compute().calibration_error, 3), round(metric.compute().position_z, 3)
    (0.1, 0.707)
    """

    full_state_update = False

    def __init__(self, radius: float = 3.0, bins: int = 10) -> None:
        super().__init__()
        self.radius = radius
        self.bins = bins
        self.count: Tensor
        self.hits: Tensor
        self.probability: Tensor
        self.z_count: Tensor
        self.z_squared: Tensor
        self.add_state("count", torch.zeros(bins, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("hits", torch.zeros(bins, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("probability", torch.zeros(bins), dist_reduce_fx="sum")
        self.add_state("z_count", torch.zeros(len(Z_EDGES) - 1, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("z_squared", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(
        self,
        positions: Tensor,
        position_std: Tensor,
        probability: Tensor,
        true_positions: Tensor,
        valid: Tensor | None = None,
        true_valid: Tensor | None = None,
    ) -> None:
        """Add a batch of frames.

        Parameters
        ----------
        positions, position_std : Tensor
            (B, N, 2), localisations (y, x) and their standard errors.
        probability : Tensor
            (B, N) in [0, 1].
        true_positions : Tensor
            (B, M, 2), labels (y, x).
        valid, true_valid : Tensor, optional
            (B, N) and (B, M) bool, which of the padded entries exist; default all.
        """
        there = torch.ones_like(probability, dtype=torch.bool) if valid is None else valid
        true_there = (
            torch.ones(true_positions.shape[:2], dtype=torch.bool) if true_valid is None else true_valid
        )
        frame, label_frame = there.nonzero()[:, 0], true_there.nonzero()[:, 0]
        found, spread, sure = (exact(part[there]).numpy() for part in (positions, position_std, probability))
        label = exact(true_positions[true_there]).numpy()
        match = match_points(
            found, label, self.radius, frames=frame.cpu().numpy(), target_frames=label_frame.cpu().numpy()
        )
        bin_of = np.minimum((sure * self.bins).astype(int), self.bins - 1)
        z = (found[match.first] - label[match.second]) / np.maximum(spread[match.first], 1e-9)
        counted = np.histogram(np.clip(z, Z_EDGES[0], Z_EDGES[-1]), Z_EDGES)[0]
        self.count += self._tensor(np.bincount(bin_of, minlength=self.bins))
        self.hits += self._tensor(np.bincount(bin_of[match.first], minlength=self.bins))
        self.probability += self._tensor(np.bincount(bin_of, sure, minlength=self.bins).astype(np.float32))
        self.z_count += self._tensor(counted)
        self.z_squared += float((z**2).sum())

    def compute(self) -> Calibration:
        """Over all frames so far."""
        count, hits = (part.cpu().numpy() for part in (self.count, self.hits))
        some = np.where(count > 0, count, np.nan)
        probability, share = exact(self.probability).numpy() / some, hits / some
        total, pairs = int(count.sum()), int(self.z_count.sum())
        error = np.nansum(np.abs(share - probability) * count) / total if total else float("nan")
        z = (float(self.z_squared) / pairs) ** 0.5 if pairs else float("nan")
        return Calibration(count, probability, share, self.z_count.cpu().numpy(), float(error), z)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.count.device)
