"""Estimated motion against the true one. Knows two arrays of shifts."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torchmetrics import Metric


class MotionError(Metric):
    """RMSE of the motion on each axis, after each recording's constant offset is removed.

    A template may lie anywhere, so a constant difference is no error.

    Examples
    --------
    >>> metric = MotionError()
    >>> metric.update([[1.0, 5.0], [2.0, 5.0]], [[0.0, 0.0], [0.0, 0.0]])
    >>> metric.compute()
    {'y': tensor(0.5000, dtype=torch.float64), 'x': tensor(0., dtype=torch.float64)}
    """

    full_state_update = False
    higher_is_better = False

    def __init__(self) -> None:
        super().__init__()
        self.squared: Tensor
        self.frames: Tensor
        self.add_state("squared", torch.zeros(2, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("frames", torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, shifts: ArrayLike, true_shifts: ArrayLike) -> None:
        """Add one recording.

        Parameters
        ----------
        shifts, true_shifts : array_like
            (T, 2), (dy, dx) in pixels.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        estimated, true = np.asarray(shifts, float), np.asarray(true_shifts, float)
        if estimated.shape != true.shape or estimated.ndim != 2 or estimated.shape[1] != 2:
            raise ValueError(f"shifts {estimated.shape} and true shifts {true.shape} must both be (T, 2)")
        difference = estimated - true
        difference -= difference.mean(0)
        self.squared += torch.as_tensor((difference**2).sum(0), device=self.device)
        self.frames += len(difference)

    def compute(self) -> dict[str, Tensor]:
        """Scalars ``y`` and ``x``, pixels."""
        y, x = torch.sqrt(self.squared / self.frames)
        return {"y": y, "x": x}
