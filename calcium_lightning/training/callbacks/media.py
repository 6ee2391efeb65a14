"""Pictures and tables to the run's folder and to every logger that takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger


def is_due(trainer: Trainer, every_n_epochs: int) -> bool:
    """Whether this epoch is one of those, or the last; ``every_n_epochs=0`` is never."""
    if trainer.sanity_checking or every_n_epochs < 1:
        return False
    epoch = trainer.current_epoch + 1
    return epoch % every_n_epochs == 0 or epoch == trainer.max_epochs


def show_figure(trainer: Trainer, figure: Any, name: str, file: str) -> None:
    """Save a figure to ``figures/`` of the run's folder and log it; on rank 0 only.

    Parameters
    ----------
    trainer : Trainer
        Its folder, loggers and step.
    figure : matplotlib.figure.Figure
        What to show.
    name : str
        For the loggers.
    file : str
        In the folder.
    """
    path = Path(trainer.default_root_dir) / "figures" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            from matplotlib.image import imread

            image = imread(path)[..., :3]
            logger.experiment.add_image(name, image, trainer.global_step, dataformats="HWC")
        elif hasattr(logger, "log_image"):
            logger.log_image(name, [str(path)], step=trainer.global_step)


def takes_tables(trainer: Trainer) -> bool:
    """Whether any logger would show a table."""
    return any(hasattr(logger, "log_table") for logger in trainer.loggers)


def show_table(trainer: Trainer, name: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Log a table to the loggers that take one; an image in a cell is an array, uint8 (h, w)."""
    for logger in trainer.loggers:
        if hasattr(logger, "log_table"):
            logger.log_table(name, columns=columns, data=rows, step=trainer.global_step)
