"""A training whose loss is no number any more ends at once, on all ranks, and fails.

It goes before the checkpoints of the same epoch, so that the best one stays the best.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from calcium_lightning.core.errors import InputError

#: figures that every model logs, at the end of their names
FIGURES = ("/loss", "/reconstruction")


class Diverged(Callback):
    """Refuse to go on with a loss that is NaN or infinite.

    Parameters
    ----------
    every : int
        Steps between two looks; each waits for the device, and for the other ranks.
    """

    def __init__(self, every: int = 20) -> None:
        self.every = every
        self._first: Tensor | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        self._first = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the first bad step where it happened, on the device; look at it now and then."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor):
            step = torch.full((), float(trainer.global_step), device=loss.device)
            bad = torch.where(torch.isfinite(loss.detach()).all(), torch.inf, step)
            self._first = bad if self._first is None else torch.minimum(self._first, bad)
        if self._first is not None and ((batch_idx + 1) % self.every == 0 or trainer.is_last_batch):
            earliest = -self._first
            if trainer.world_size > 1:
                earliest = trainer.strategy.reduce(earliest, reduce_op="max")
            if torch.isfinite(earliest):
                self._refuse(trainer, f"the loss of step {-int(earliest)}", pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at what was logged, too: a model may do its own steps."""
        self._look(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The same of the held-out frames, before they choose a checkpoint."""
        self._look(trainer, pl_module)

    def _look(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for name, value in trainer.callback_metrics.items():
            if name.endswith(FIGURES) and not torch.isfinite(value).all():
                self._refuse(trainer, f"{name} after step {trainer.global_step}", pl_module)

    def _refuse(self, trainer: Trainer, what: str, pl_module: LightningModule) -> None:
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        # What was typed, where a schedule has changed it.
        rates = [group.get("initial_lr", group["lr"]) for group in groups]
        rate = f" (it is {max(rates):.3g})" if rates else ""
        raise InputError(
            f"{trainer.default_root_dir}: diverged: {what} (epoch {trainer.current_epoch + 1}) is NaN or "
            f"infinite; try a smaller optimizer.lr={rate}, and trainer.gradient_clip_val=1"
        )
