"""Training on a coordinate task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from calcium_lightning.core.errors import InputError
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.replications.liu2018.tasks import Task
from calcium_lightning.training.base import BaseModel

#: what the figures of the two validation loaders are called
PARTS = ("val", "train")


class CoordinateTask(BaseModel):
    """A network that answers a question about positions.

    Parameters
    ----------
    task : Task
        The question.
    network : nn.Module
        A painter or a regressor, as the task needs.
    optimizer : callable
        Gives an optimiser for parameters.
    scheduler : callable, optional
        Gives a schedule for it.
    window : WindowSettings, optional
        Kept with every checkpoint; no frames are seen.
    architecture : mapping, optional
        Not needed: the network describes itself.

    Notes
    -----
    ``val/…`` are the figures of the held-out positions, ``train/…`` those of the training positions; both are
    of all positions and the same weights, at the end of an epoch. ``network/parameters`` is the number of
    weights.
    """

    def __init__(
        self,
        task: Task,
        network: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
        window: WindowSettings | None = None,
        architecture: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(network, nn.Module):
            raise InputError("layer=none: a coordinate task needs one; layer=coordconv or layer=conv")
        self.task = task
        self.network = network
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.window = window or WindowSettings(taps=1)

    def training_step(self, positions: Tensor, index: int) -> Tensor:
        """Loss of a batch (B, 2)."""
        return self.task.loss(self.task.answer(self.network, positions), positions)

    def validation_step(self, positions: Tensor, index: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """Loss and scores of a batch (B, 2); gives the scores."""
        answer = self.task.answer(self.network, positions)
        scores = self.task.scores(answer, positions)
        figures = {"loss": self.task.loss(answer, positions)}
        figures |= {name: values.mean() for name, values in scores.items()}
        self.log_dict(
            {f"{PARTS[dataloader_idx]}/{name}": value for name, value in figures.items()},
            batch_size=len(positions),
            add_dataloader_idx=False,
            sync_dist=True,
        )
        return scores

    def on_validation_epoch_end(self) -> None:
        """Tell the network's size beside its figures, for tables of both."""
        count = sum(parameter.numel() for parameter in self.network.parameters())
        self.log("network/parameters", float(count))
