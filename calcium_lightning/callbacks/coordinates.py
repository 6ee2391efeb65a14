"""Pictures of the published model while it trains: frame, encoder's output, dots, reconstruction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from calcium_lightning.callbacks.pictures import _log_image

COLUMNS = ("frame", "encoder", "dots", "reconstruction")


class CoordinatePictures(Callback):
    """Draw a few validation frames with the coordinates every few epochs, and after the last.

    Parameters
    ----------
    every_n_epochs : int
        How often.
    samples : int
        Rows of the picture.
    """

    def __init__(self, every_n_epochs: int = 5, samples: int = 3) -> None:
        self.every_n_epochs = every_n_epochs
        self.samples = samples

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the first batch."""
        epoch = trainer.current_epoch + 1
        due = self.every_n_epochs > 0 and (epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs)
        if batch_idx or trainer.sanity_checking or not trainer.is_global_zero or not due:
            return
        folder = Path(trainer.default_root_dir) / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"epoch_{epoch:04d}.png"
        draw(pl_module, batch, self.samples).savefig(path)
        for logger in trainer.loggers:
            _log_image(logger, path, trainer.global_step)


@torch.no_grad()
def draw(model: Any, batch: Any, samples: int = 3) -> Any:
    """Draw rows of frames beside what the model makes of them.

    Parameters
    ----------
    model : PublishedModel
    batch : WindowBatch
    samples : int
        How many frames of the batch, evenly spread.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    prediction, _ = model.evaluate(batch)
    places = model.network.positions.detach().cpu().numpy()
    rows = torch.linspace(0, len(batch) - 1, min(samples, len(batch))).round().int().tolist()
    parts = (
        batch.target,
        torch.sigmoid(prediction.logits.float()),
        prediction.painted,
        prediction.reconstruction,
    )
    figure = Figure(figsize=(2.4 * len(COLUMNS), 2.5 * len(rows)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for line, row in zip(figure.subplots(len(rows), len(COLUMNS), squeeze=False), rows, strict=True):
        for axis, name, images in zip(line, COLUMNS, parts, strict=True):
            axis.imshow(images[row].float().cpu(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_axis_off()
            axis.set_title(f"frame {int(batch.frame[row])}" if name == "frame" else name, fontsize=8)
        line[0].scatter(places[:, 1], places[:, 0], s=4, c="red", linewidths=0)
    return figure
