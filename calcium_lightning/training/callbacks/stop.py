"""Ctrl-C or SIGTERM between two steps, so that what is saved is whole and the run can go on where it was."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class OrderlyStop(Callback):
    """Stop on Ctrl-C and SIGTERM before the next step, on all ranks before the same one.

    Ctrl-C ends in a ``KeyboardInterrupt``, the second at once; SIGTERM, which clusters send when time is up,
    in a ``SIGTERMException``. Lightning's own handling of SIGTERM is replaced: it talks to the other ranks
    from inside the handler, in the middle of whatever they do.

    Attributes
    ----------
    asked : int
        The signal that came, or 0.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._leaving = False
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in SIGNALS}

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Stop here, where the step before is done and counted."""
        if trainer.world_size > 1:
            asked = torch.tensor(self.asked, device=trainer.strategy.root_device)
            self.asked = int(trainer.strategy.reduce(asked, reduce_op="max"))
        if self.asked:
            self._leaving = True
            raise KeyboardInterrupt if self.asked == signal.SIGINT else SIGTERMException

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the loggers' count of steps: Lightning adds one when it resumes in the middle of an epoch."""
        if self._leaving:
            checkpoint["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"] -= 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen no more."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Listen no more."""
        if not isinstance(exception, KeyboardInterrupt):  # Lightning ignores Ctrl-C while it saves
            self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = number

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
