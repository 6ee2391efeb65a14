"""Learning-rate schedules."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


def warmup_cosine(
    optimizer: Optimizer, total_steps: int, warmup: float = 0.05, final: float = 0.01
) -> LRScheduler:
    """Rise linearly, then fall along half a cosine.

    A training that is gone on with for longer follows the schedule of its new length.

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
    return WarmupCosine(optimizer, total_steps, warmup, final)


class WarmupCosine(LRScheduler):
    """See :func:`warmup_cosine`.

    Its state is how far it has come. Torch's own cosines keep their length, too, and beyond it rise again.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, warmup: float, final: float) -> None:
        self.rise = min(max(1, round(warmup * total_steps)), max(1, total_steps - 1))
        self.fall = max(1, total_steps - self.rise)
        self.final = final
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """The learning rates of the step that is next."""
        step = self.last_epoch
        if step < self.rise:
            return [base * (step + 1) / (self.rise + 1) for base in self.base_lrs]
        share = 0.5 * (1 + math.cos(math.pi * min(1.0, (step - self.rise) / self.fall)))
        last = self.final * min(self.base_lrs)
        return [last + (base - last) * share for base in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """How far it has come, and what it began with."""
        return {name: getattr(self, name) for name in ("base_lrs", "last_epoch", "_step_count", "_last_lr")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there, at this schedule's learning rates."""
        state = dict(state_dict)
        if parts := state.get("_schedulers"):  # version 0.1.0 had two of torch's, one after the other
            state["base_lrs"] = parts[0]["base_lrs"]
        self.base_lrs = list(state["base_lrs"])
        self.last_epoch = int(state["last_epoch"])
        self._step_count = self.last_epoch + 1
        self._last_lr = self.get_lr()
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate
