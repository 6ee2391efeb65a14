"""What a graphics card is told at the start of a training: how exact products are, and what is compiled.

Does nothing where a training runs on something else. Must not know what is trained.
"""

from __future__ import annotations

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn


class Acceleration(Callback):
    """Set a graphics card up.

    Parameters
    ----------
    tf32 : bool
        Products of single-precision numbers with 10 bits of mantissa, several times as fast; those in half
        precision (``trainer.precision=bf16-mixed``) are what they are.
    compile : str, optional
        The part of the model that ``torch.compile`` makes one program of, ``network.encoder`` for instance;
        pays in trainings of an hour, as it takes a minute. The weights keep their names.
    """

    def __init__(self, tf32: bool = True, compile: str | None = None) -> None:
        self.tf32, self.part = tf32, compile

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Before the model is on the device: its parts are the same objects there."""
        if trainer.strategy.root_device.type != "cuda":
            return
        torch.set_float32_matmul_precision("high" if self.tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = self.tf32
        torch.backends.cudnn.benchmark = True  # crops have one size
        if self.part is not None:
            module: nn.Module = pl_module.get_submodule(self.part)
            module.compile()
