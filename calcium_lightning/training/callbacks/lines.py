"""One line per epoch on stderr, where there is no terminal for a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only

#: the parts of losses whose units don't change while a model learns; the last is for models without others
SHOWN = (
    ("evidence", "reconstruction", "presence", "placement", "unexplained", "f1"),
    ("loss", "accuracy", "iou", "error"),
)


class EpochLines(Callback):
    """Print the figures of each epoch."""

    @rank_zero_only
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print them."""
        every = trainer.check_val_every_n_epoch or 1
        old = (trainer.current_epoch + 1) % every != 0  # Lightning keeps the figures of the validation before
        values = {
            k: float(v) for k, v in trainer.callback_metrics.items() if not (old and k.startswith("val/"))
        }
        line = epoch_line(values)
        of = "" if trainer.max_epochs in (None, -1) else f"/{trainer.max_epochs}"  # as long as it is let
        print(f"epoch {trainer.current_epoch + 1}{of}  {line}", file=sys.stderr, flush=True)


def epoch_line(values: Mapping[str, float]) -> str:
    """What an epoch's figures are told as: ``train/reconstruction 1.31  val/reconstruction 1.29``.

    A loss is told only where nothing else is: what divides it (``grain``) and what it is priced with change
    while a model learns, so that it may rise while the model gets better.
    """
    for names in SHOWN:
        told = [
            f"{stage}/{name}" for name in names for stage in ("train", "val") if f"{stage}/{name}" in values
        ]
        if told:
            return "  ".join(f"{name} {values[name]:.4g}" for name in told)
    return ""
