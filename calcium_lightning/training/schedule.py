"""Learning-rate schedules, put together from torch's own."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR


def warmup_cosine(
    optimizer: Optimizer, total_steps: int, warmup: float = 0.05, final: float = 0.01
) -> LRScheduler:
    """Rise linearly, then fall along half a cosine.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rate is the highest.
    total_steps : int
        Steps of the whole run.
    warmup : float
        Share of the steps in which it rises.
    final : float
        Last learning rate over the highest.
    """
    rise = min(max(1, round(warmup * total_steps)), max(1, total_steps - 1))
    highest = min(group["lr"] for group in optimizer.param_groups)
    parts = [
        LinearLR(optimizer, start_factor=1 / (rise + 1), total_iters=rise),
        CosineAnnealingLR(optimizer, T_max=max(1, total_steps - rise), eta_min=final * highest),
    ]
    return SequentialLR(optimizer, parts, milestones=[rise])
