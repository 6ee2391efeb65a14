"""What the model makes of held-out frames, as pictures: input, foreground, coordinates, reconstruction,
residual.

Saved to ``figures/`` of the run's folder and to every logger that takes images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from calcium_lightning.nn.windows import WindowBatch
from calcium_lightning.training.callbacks.media import is_due, show_figure, show_table, takes_tables

COLUMNS = ("input", "foreground", "coordinates", "reconstruction", "residual")
#: of the table: a row is a crop of one held-out frame, the same in every run with these sessions, so that
#: runs can be laid side by side by ``id``
TABLE = ("id", "session", "frame", "error", "coordinates", *COLUMNS[1:2], *COLUMNS[3:])
#: what is painted black and white, units of the noise
RANGE = (-3.0, 8.0)


class Pictures(Callback):
    """Draw a few validation frames every few epochs, and after the last.

    Logs ``pictures``, and ``held_out``, a table of the same frames: error (mean square, units of the noise's
    variance), number of coordinates, and the pictures one by one.

    Parameters
    ----------
    every_n_epochs : int
        How often.
    samples : int
        Rows of the picture.
    threshold : float
        Least probability of a coordinate that is drawn.
    """

    def __init__(self, every_n_epochs: int = 5, samples: int = 3, threshold: float = 0.3) -> None:
        self.every_n_epochs = every_n_epochs
        self.samples = samples
        self.threshold = threshold
        self._batch: WindowBatch | None = None

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first batch."""
        if batch_idx == 0 and trainer.is_global_zero and is_due(trainer, self.every_n_epochs):
            self._batch = batch

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw it."""
        if self._batch is None:
            return
        batch, self._batch = self._batch, None
        figure = draw(pl_module, batch, self.samples, self.threshold, _inputs(trainer, batch))
        show_figure(trainer, figure, "pictures", f"epoch_{trainer.current_epoch + 1:04d}.png")
        if takes_tables(trainer):
            prepared = getattr(getattr(trainer, "datamodule", None), "prepared", None)
            names = [part.session.path.name for part in prepared] if prepared else None
            rows = table_rows(pl_module, batch, self.samples, self.threshold, names)
            show_table(trainer, "held_out", list(TABLE), rows)


def draw(
    model: Any,
    batch: WindowBatch,
    samples: int = 3,
    threshold: float = 0.3,
    inputs: list[np.ndarray] | None = None,
) -> Any:
    """Draw rows of frames beside what the model makes of them.

    Parameters
    ----------
    model : LocalizationModel
        The model.
    batch : WindowBatch
        Frames; the brightest of each part of the batch are shown.
    samples : int
        How many.
    threshold : float
        Least probability of a coordinate that is drawn.
    inputs : list of ndarray (h, w), optional
        The frames before preprocessing, one per sample of the batch; without them, the middle of the window.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    target, picture, found = _evaluated(model, batch, threshold)
    rows = _brightest(target, samples, batch)
    figure = Figure(figsize=(2.4 * len(COLUMNS), 2.5 * len(rows)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), len(COLUMNS), squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        raw = (
            inputs[row]
            if inputs is not None
            else batch.windows[row, batch.windows.shape[1] // 2].float().cpu().numpy()
        )
        images = (raw, target[row], target[row], picture[row], target[row] - picture[row])
        for axis, name, image in zip(line, COLUMNS, images, strict=True):
            low, high = (float(v) for v in np.percentile(image, (0.5, 99.8))) if name == "input" else RANGE
            axis.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), interpolation="nearest")
            axis.set_axis_off()
            axis.set_title(
                f"session {int(batch.session[row])}, frame {int(batch.frame[row])}"
                if name == "input"
                else name,
                fontsize=8,
            )
        _coordinates(line[2], found, row, batch)
    return figure


def _evaluated(model: Any, batch: WindowBatch, threshold: float) -> tuple[np.ndarray, np.ndarray, Any]:
    """Frames (B, h, w), what the model makes of them, and its coordinates."""
    from calcium_lightning.nn.coordinates import find_peaks

    was_training = model.training
    model.eval()
    with torch.no_grad():
        prediction, terms = model.evaluate(batch)
        found = find_peaks(prediction.maps, threshold)
    model.train(was_training)
    target = batch.target.float().cpu().numpy()
    picture = target * 0 if terms.reconstruction is None else terms.reconstruction.float().cpu().numpy()
    return target, picture, found


def table_rows(
    model: Any, batch: WindowBatch, samples: int, threshold: float, names: list[str] | None = None
) -> list[list[Any]]:
    """The frames that :func:`draw` draws, a row each (:data:`TABLE`); pictures are uint8 (h, w).

    Parameters
    ----------
    model, batch, samples, threshold
        As for :func:`draw`.
    names : list of str, optional
        Of the sessions; without them, their numbers.
    """
    target, picture, found = _evaluated(model, batch, threshold)
    rows: list[list[Any]] = []
    for row in _brightest(target, samples, batch):
        number, frame = int(batch.session[row]), int(batch.frame[row])
        name, rest = names[number] if names else str(number), target[row] - picture[row]
        images = [_grey(image) for image in (target[row], picture[row], rest)]
        error, count = float((rest**2).mean()), int(found.valid[row].sum())
        top, left = (float(value) for value in batch.extent[row][::2])  # of the crop, -1 to 1
        rows.append([f"{name} {frame} ({top:.2f}, {left:.2f})", name, frame, error, count, *images])
    return rows


def _grey(image: np.ndarray) -> np.ndarray:
    low, high = RANGE
    return np.rint(255 * np.clip((image - low) / (high - low), 0, 1)).astype(np.uint8)


def _coordinates(axis: Any, found: Any, row: int, batch: WindowBatch) -> None:
    if batch.labels is not None:
        true = batch.labels.positions[row][batch.labels.valid[row]].cpu().numpy()
        axis.scatter(
            true[:, 1], true[:, 0], s=40, facecolors="none", edgecolors="deepskyblue", linewidths=0.8
        )
    valid = found.valid[row]
    place = found.positions[row][valid].cpu().numpy()
    alpha = found.probability[row][valid].float().cpu().numpy().clip(0.2, 1)
    axis.scatter(
        place[:, 1],
        place[:, 0],
        s=16,
        c="red",
        marker="+",
        linewidths=0.9,
        alpha=alpha if len(alpha) else None,
    )
    axis.set_title(f"coordinates: {len(place)}", fontsize=8)


def _brightest(target: np.ndarray, samples: int, batch: WindowBatch) -> list[int]:
    """One sample of each part of the batch: that with the most light above the noise. None is shown twice."""
    keys = np.column_stack([batch.session.cpu(), batch.frame.cpu(), batch.extent.cpu()])
    distinct = np.sort(np.unique(keys, axis=0, return_index=True)[1])
    light = np.clip(target - 3, 0, None).sum((1, 2))
    parts = np.array_split(distinct, min(samples, len(distinct)))
    return [int(part[np.argmax(light[part])]) for part in parts]


def _inputs(trainer: Any, batch: WindowBatch) -> list[np.ndarray] | None:
    """The frames as they came, motion aside, at the network's scale."""
    prepared = getattr(trainer.datamodule, "prepared", None)
    if not prepared:
        return None
    images = []
    height, width = batch.target.shape[-2:]
    for session, frame, extent in zip(
        batch.session.tolist(), batch.frame.tolist(), batch.extent.cpu(), strict=True
    ):
        part = prepared[session]
        top, left = corner(extent, part.scale.size)
        images.append(part.resampled(frame, frame + 1, (top, top + height, left, left + width))[0].numpy())
    for part in prepared:
        part.session.close()
    return images


def corner(extent: torch.Tensor, size: tuple[int, int]) -> tuple[int, int]:
    """First row and column of a crop in a field of ``size`` network pixels; ``extent`` is a sample's (4,)."""
    top, left = (
        round((float(first) + 1) / 2 * (side - 1)) for first, side in zip(extent[::2], size, strict=True)
    )
    return top, left
