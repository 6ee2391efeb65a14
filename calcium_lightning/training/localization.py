"""The LightningModule: what is learned, from which loss, and how it is logged.

Knows batches of windows and the network, and nothing of files or of how cells are made from localisations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from calcium_lightning.metrics.localization import FrameLocalization
from calcium_lightning.nn.coordinates import find_peaks
from calcium_lightning.nn.network import LocalizationNetwork, Prediction
from calcium_lightning.nn.windows import WindowBatch, WindowSettings
from calcium_lightning.training.base import BaseModel
from calcium_lightning.training.checks import as_batch
from calcium_lightning.training.losses import LossTerms


class LocalizationModel(BaseModel):
    """Learn to localise by painting the frames.

    Parameters
    ----------
    encoder, head, decoder, background : nn.Module
        The network's parts.
    loss : nn.Module
        Called with (network, prediction, batch, step); gives
        :class:`~calcium_lightning.training.losses.LossTerms`.
    optimizer : callable
        Gives an optimizer for parameters.
    scheduler : callable, optional
        Gives a learning-rate schedule, per step, for an optimizer; ``total_steps=`` is handed to one that
        takes it.
    window : WindowSettings
        How the windows were made; kept with the weights.
    threshold : float
        Least probability of a detection in the logged scores.
    architecture : mapping, optional
        Plain settings of the parts, for the checkpoint.

    Notes
    -----
    ``val/reconstruction`` is the mean squared difference of the painted to the held-out frames over the noise
    variance: 1 is the noise itself. It needs no labels, and chooses the best checkpoint.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        decoder: nn.Module,
        background: nn.Module,
        loss: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
        window: WindowSettings | None = None,
        threshold: float = 0.5,
        architecture: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = LocalizationNetwork(encoder, head, background, decoder, architecture)
        self.loss = loss
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.window = window or WindowSettings()
        self.threshold = threshold
        self.scores = FrameLocalization(radius=3.0)

    def forward(self, batch: WindowBatch) -> Prediction:
        """Look at a batch of windows."""
        return self.network(batch.windows, batch.extent)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> WindowBatch:
        """Take what a data module gives, if it is a batch of windows."""
        return as_batch(batch, self.window.taps)

    def evaluate(self, batch: WindowBatch, shared: bool = False) -> tuple[Prediction, LossTerms]:
        """Prediction and loss of a batch; ``shared``: all processes are at their parts of it, at once."""
        prediction = self(batch)
        gather = self.all_gather if shared and self.trainer.world_size > 1 else None
        return prediction, self.loss(self.network, prediction, batch, self.global_step, gather)

    def training_step(self, batch: WindowBatch, index: int) -> Tensor:
        """One step of descent."""
        _, terms = self.evaluate(batch, shared=True)
        self._log("train", batch, terms)
        return terms.total

    def validation_step(self, batch: WindowBatch, index: int) -> None:
        """Held-out reconstruction, and detection scores where labels are known."""
        prediction, terms = self.evaluate(batch, shared=True)
        self._log("val", batch, terms)
        if batch.labels is not None:
            found = find_peaks(prediction.maps, self.threshold)
            self.scores.update(found.positions, batch.labels.positions, found.valid, batch.labels.valid)

    def on_validation_epoch_end(self) -> None:
        """Log the scores over all validation frames."""
        if self.scores.update_called:
            self.log_dict(
                {f"val/{name}": value for name, value in self.scores.compute().items()}, sync_dist=False
            )
            self.scores.reset()

    def _log(self, stage: str, batch: WindowBatch, terms: LossTerms) -> None:
        values = {
            f"{stage}/loss": terms.total.detach(),
            **{f"{stage}/{name}": part for name, part in terms.parts.items()},
        }
        self.log_dict(
            values,
            batch_size=len(batch),
            on_step=False,
            on_epoch=True,
            prog_bar=stage == "val",
            sync_dist=True,  # once an epoch
        )
