"""Pictures of the published model while it trains: frame, encoder's output, dots, reconstruction."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from calcium_lightning.training.callbacks.media import is_due, show_figure

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
        if batch_idx == 0 and trainer.is_global_zero and is_due(trainer, self.every_n_epochs):
            figure = draw(pl_module, batch, self.samples)
            show_figure(trainer, figure, "pictures", f"epoch_{trainer.current_epoch + 1:04d}.png")


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
