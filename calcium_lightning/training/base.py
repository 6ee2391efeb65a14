"""What models that are trained here share: an optimiser with its schedule, and what a checkpoint tells.

Knows nothing of what is learned.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

import lightning as L
import torch
from torch.optim import LBFGS
from torch.optim.lr_scheduler import ReduceLROnPlateau

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.parts import describe
from calcium_lightning.core.reading import VALUES
from calcium_lightning.nn.checkpoint import FORMAT, VERSION
from calcium_lightning.nn.windows import WindowSettings


class BaseModel(L.LightningModule):
    """A module that was given ``network``, ``make_optimizer``, ``make_scheduler`` and ``window``."""

    network: Any
    make_optimizer: Callable[..., torch.optim.Optimizer]
    make_scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None
    window: WindowSettings

    def configure_optimizers(self) -> Any:
        """Optimizer and, per step, the schedule."""
        optimizer = _made("optimizer", self.make_optimizer, self.parameters())
        if isinstance(optimizer, LBFGS):
            raise InputError("optimizer: LBFGS wants all frames in every step, and a step here sees a few")
        if self.make_scheduler is None:
            return optimizer
        scheduler = _made("scheduler", self.make_scheduler, optimizer, **self._length())
        if isinstance(scheduler, ReduceLROnPlateau):
            raise InputError(
                "scheduler: ReduceLROnPlateau goes by a figure, and schedules here by steps; choose another, "
                "or scheduler=none"
            )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _length(self) -> dict[str, int]:
        """Steps of the whole run, for a schedule that asks for them."""
        asked = inspect.signature(cast(Any, self.make_scheduler)).parameters
        if "total_steps" not in asked and all(item.kind is not item.VAR_KEYWORD for item in asked.values()):
            return {}
        steps = self.trainer.estimated_stepping_batches
        if math.isinf(steps):
            raise InputError(
                f"trainer.max_epochs={self.trainer.max_epochs}: this scheduler= must know how many steps "
                "there are; give trainer.max_epochs= or trainer.max_steps=, or scheduler=none"
            )
        return {"total_steps": max(1, int(steps))}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights are for, in plain containers."""
        checkpoint["format"] = FORMAT
        checkpoint["format_version"] = VERSION
        checkpoint["architecture"] = self.network.architecture
        checkpoint["window"] = asdict(self.window)


def _made(name: str, make: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
    """What is made, or in one line why it can't be of its settings."""
    try:
        return make(*arguments, **settings)
    except VALUES as error:
        given = ", ".join(f"{key}={value!r}" for key, value in getattr(make, "keywords", {}).items())
        raise InputError(f"{name}: {describe(error)}; it was given {given or 'no settings'}") from error
