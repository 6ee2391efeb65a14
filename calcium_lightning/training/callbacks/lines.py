"""One line per epoch on stderr, where there is no terminal for a progress bar."""

from __future__ import annotations

import sys

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only

SHOWN = ("train/loss", "val/loss", "val/reconstruction", "val/unexplained", "val/f1")


class EpochLines(Callback):
    """Print the figures of each epoch."""

    @rank_zero_only
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print them."""
        figures = [
            f"{name} {float(trainer.callback_metrics[name]):.4g}"
            for name in SHOWN
            if name in trainer.callback_metrics
        ]
        print(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {'  '.join(figures)}",
            file=sys.stderr,
            flush=True,
        )
