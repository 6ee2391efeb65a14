"""The cells that the trained model finds, as a table: what the whole training is for.

Knows the pipeline from a session to cells, and Lightning.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer

from calcium_lightning.core.cells import Cells
from calcium_lightning.data.datamodule import SessionData
from calcium_lightning.io.base_session import BaseSession, Beginning
from calcium_lightning.metrics.scorecard import Scorecard
from calcium_lightning.pages.pictures import patch, thumbnail
from calcium_lightning.pipeline import extract, load_model
from calcium_lightning.training.callbacks.media import show_table, takes_tables


class CellTable(Callback):
    """After the training, find the cells of the first session's beginning with the best checkpoint.

    Logs ``cells``, a table, and figures: ``cells/found``, ``cells/accepted``, and where the truth is known
    ``cells/f1`` and so on. Where no logger takes tables, nothing is done.

    Parameters
    ----------
    frames : int
        How many to look at; 0 leaves it out.
    """

    def __init__(self, frames: int = 1200) -> None:
        self.frames = frames

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find them, on rank 0."""
        data: Any = getattr(trainer, "datamodule", None)
        wanted = self.frames > 0 and trainer.is_global_zero and takes_tables(trainer)
        if not wanted or not isinstance(data, SessionData) or not data.prepared:
            return
        best = Path(trainer.default_root_dir) / "checkpoints" / "best.ckpt"
        if not best.is_file():
            return
        part = data.prepared[0]
        try:
            with Beginning(part.session, self.frames) as session:
                cells = extract(
                    session,
                    fps=part.fps,
                    cell_diameter=part.cell_diameter,
                    detector=load_model(best, device=pl_module.device),
                    preprocess=data.preprocess,
                    device=pl_module.device,
                )
                figures = _figures(cells, session)
        except Exception as error:  # the training is done and its model good, whatever is wrong here
            logging.getLogger(__name__).debug("no table of cells", exc_info=True)
            print(f"no table of cells: {str(error) or type(error).__name__}", file=sys.stderr)
            return
        columns, rows = as_table(cells)
        show_table(trainer, "cells", columns, rows)
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)


def as_table(cells: Cells) -> tuple[list[str], list[list[Any]]]:
    """One row per cell, the best first: its footprint, its place (session pixels), its qualities.

    Returns
    -------
    columns : list of str
    rows : list of list
        The footprint is a picture, uint8 (side, side).
    """
    columns = ["session", "cell", "footprint", "accepted", "y", "x", "y_std", "x_std", *cells.quality]
    patches = [patch(cells.footprints, row, cells.frame_shape[1]) for row in range(len(cells))]
    side = max([15, *(max(part.image.shape) for part in patches)])
    rows = [
        [
            Path(cells.session).name,
            row,
            np.rint(255 * np.clip(thumbnail(part, cells.centers[row], side), 0, 1)).astype(np.uint8),
            bool(cells.accepted[row]),
            *(float(value) for value in (*cells.centers[row], *cells.center_std[row])),
            *(float(values[row]) for values in cells.quality.values()),
        ]
        for row, part in enumerate(patches)
    ]
    return columns, rows


def _figures(cells: Cells, session: BaseSession) -> dict[str, float]:
    figures = {"cells/found": float(len(cells)), "cells/accepted": float(cells.accepted.sum())}
    truth = session.truth
    if truth is None or all(part is None for part in (truth.footprints, truth.mask, truth.shifts)):
        return figures
    measured = Scorecard().add(cells, truth)
    return figures | {f"cells/{name}": value for name, value in measured.items() if np.isfinite(value)}
