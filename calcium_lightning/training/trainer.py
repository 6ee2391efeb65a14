"""Lightning's trainer from its settings, and what is said where they don't do.

Knows ``conf/trainer``; knows nothing of what is trained.
"""

from __future__ import annotations

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import reason


def check_length(trainer: DictConfig) -> None:
    """Refuse a training that takes no step, or leaves nothing: it would count as finished."""
    for name in ("max_epochs", "max_steps", "limit_train_batches"):
        if trainer.get(name) == 0:
            raise InputError(f"trainer.{name}=0: no step would be taken; 1 is the least")
    # Lightning divides by the first two, and turns gradients around for the third.
    for name, least in {
        "accumulate_grad_batches": 1,
        "check_val_every_n_epoch": 1,
        "gradient_clip_val": 0,
    }.items():
        if isinstance(value := trainer.get(name), int | float) and value < least:
            raise InputError(f"trainer.{name}={value}: {least} or more")
    if trainer.get("fast_dev_run"):
        raise InputError(
            "trainer.fast_dev_run: leaves no checkpoint; trainer.max_epochs=1 and data.steps_per_epoch=1 "
            "are a short training"
        )


def make_trainer(settings: DictConfig, **made: Any) -> Any:
    """Lightning's trainer, or in one line what it says of its settings."""
    try:
        return instantiate(settings, **made)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, InputError):
            raise cause from None
        accelerator = settings.get("accelerator")
        if isinstance(cause, MisconfigurationException) and accelerator not in (None, "auto", "cpu"):
            raise InputError(
                f"trainer.accelerator={accelerator}: {reason(cause)} trainer=cpu trains without one"
            ) from error
        raise InputError(f"trainer: {reason(cause)}") from error
