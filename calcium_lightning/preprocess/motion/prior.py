"""What neighbouring frames say of a frame's coefficients, and the regression that listens to them.

Knows tensors of coefficients over time, not what they mean.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: time constants, frames, among which a coefficient's prior chooses
TIME_CONSTANTS = (1.0, 2.0, 4.0, 8.0, 16.0)
#: conjugate-gradient steps
SOLVER_STEPS = 15


def predict_from_neighbours(values: Tensor) -> tuple[Tensor, Tensor]:
    """Prediction of each value from those before and after it, not from itself.

    Two-sided exponentials; each column takes the time constant that predicts it best.

    Parameters
    ----------
    values : Tensor (n, K)

    Returns
    -------
    mean : Tensor (n, K)
    spread : Tensor (K,)
        Robust mean square of the prediction's error.
    """
    best_mean, best_spread = values, torch.full_like(values[0], torch.inf)
    grid = torch.arange(len(values), device=values.device, dtype=values.dtype)
    distance = (grid[:, None] - grid).abs()
    for constant in TIME_CONSTANTS:
        weights = torch.exp(-distance / constant) * ((distance > 0) & (distance <= int(3 * constant) + 1))
        mean = (weights / weights.sum(1, keepdim=True)) @ values
        error = (values - mean).square()
        # Most of the time most cells rest; a few onsets must not count for all.
        spread = torch.minimum(error, 9 * (values - mean).abs().mean(0).square()).mean(0)
        better = spread < best_spread
        best_mean = torch.where(better, mean, best_mean)
        best_spread = torch.where(better, spread, best_spread)
    return best_mean, best_spread


def conjugate_gradients(normal: Tensor, extra: Tensor, target: Tensor, start: Tensor) -> Tensor:
    """Solve (normal + diag(extra[t])) x[t] = target[t] for all rows t at once, Jacobi-preconditioned."""
    scale = 1 / (normal.diagonal() + extra)
    solution = start
    rest = target - solution @ normal - extra * solution
    direction = conditioned = scale * rest
    power = (rest * conditioned).sum(1, keepdim=True)
    for _ in range(SOLVER_STEPS):
        image = direction @ normal + extra * direction
        step = power / (direction * image).sum(1, keepdim=True).clamp_min(1e-30)
        solution = solution + step * direction
        rest = rest - step * image
        conditioned = scale * rest
        previous, power = power, (rest * conditioned).sum(1, keepdim=True)
        direction = conditioned + power / previous.clamp_min(1e-30) * direction
    return solution
