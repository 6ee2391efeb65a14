"""What the model finds in held-out frames, as a table, and whether it means what it says, as a picture.

Knows Lightning and the model's output. Calibration needs labels: simulated sessions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer

from calcium_lightning.core.device import exact
from calcium_lightning.metrics.calibration import Z_EDGES, Calibration, LocalizationCalibration
from calcium_lightning.nn.coordinates import Coordinates, find_peaks
from calcium_lightning.nn.windows import WindowBatch
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.training.callbacks.media import is_due, show_figure, show_table, takes_tables
from calcium_lightning.training.callbacks.pictures import corner

COLUMNS = ["session", "frame", "y", "x", "probability", "amplitude", "y_std", "x_std"]


class LocalizationCheck(Callback):
    """Look at localisations every few epochs, and after the last.

    Logs ``localizations``, a table (session pixels; amplitude in units of the noise), and where labels are
    known ``calibration``, a picture, ``val/calibration_error`` and ``val/position_z``
    (:class:`~calcium_lightning.metrics.calibration.Calibration`).

    Parameters
    ----------
    every_n_epochs : int
        How often; 0 is never.
    rows : int
        Of the table, the most probable of the first batch.
    threshold : float
        Least probability of a localisation that is looked at.
    radius : float
        How far it may lie from its label, network pixels.
    """

    def __init__(
        self, every_n_epochs: int = 5, rows: int = 200, threshold: float = 0.05, radius: float = 3.0
    ) -> None:
        self.every_n_epochs = every_n_epochs
        self.rows = rows
        self.threshold = threshold
        self.metric = LocalizationCalibration(radius)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Look at a batch."""
        listed = batch_idx == 0 and trainer.is_global_zero and takes_tables(trainer)
        if not is_due(trainer, self.every_n_epochs) or not (listed or batch.labels is not None):
            return
        found = find_peaks(pl_module(batch).maps, self.threshold)
        if listed:
            rows = table_rows(batch, found, getattr(getattr(trainer, "datamodule", None), "prepared", None))
            show_table(trainer, "localizations", COLUMNS, rows[: self.rows])
        if batch.labels is not None:
            self.metric.to(pl_module.device).update(
                found.positions,
                found.position_std,
                found.probability,
                batch.labels.positions,
                found.valid,
                batch.labels.valid,
            )

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell how honest they were, over all ranks."""
        if not self.metric.update_called:
            return
        result: Calibration = self.metric.compute()
        self.metric.reset()
        values = {
            "val/calibration_error": result.calibration_error,
            "val/position_z": result.position_z,
        }
        pl_module.log_dict({name: value for name, value in values.items() if not math.isnan(value)})
        if trainer.is_global_zero:
            file = f"calibration_{trainer.current_epoch + 1:04d}.png"
            show_figure(trainer, draw(result), "calibration", file)


def draw(result: Calibration) -> Any:
    """Draw the share of cells over the probability told, and errors of positions over their standard errors.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    some = result.number > 0
    left.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    left.plot(result.probability[some], result.share[some], color="tab:blue", marker="o")
    for x, y, count in zip(result.probability[some], result.share[some], result.number[some], strict=True):
        left.annotate(f"{count}", (x, y), textcoords="offset points", xytext=(0, 6), fontsize=7)
    left.set(xlim=(0, 1), ylim=(0, 1.05), xlabel="probability told", ylabel="share that is a cell")
    left.set_title(f"mean difference {result.calibration_error:.3f}", fontsize=9)
    width = np.diff(Z_EDGES)
    density = result.z_count / max(1, result.z_count.sum()) / width
    right.bar(Z_EDGES[:-1], density, width, align="edge", color="tab:blue", alpha=0.6)
    z = np.linspace(Z_EDGES[0], Z_EDGES[-1], 200)
    right.plot(z, np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi), color="0.3", linewidth=1)
    right.set(xlabel="error of the position / its standard error", ylabel="density")
    right.set_title(f"root mean square {result.position_z:.2f} (1: honest)", fontsize=9)
    return figure


def table_rows(
    batch: WindowBatch, found: Coordinates, prepared: Sequence[Prepared] | None = None
) -> list[list[Any]]:
    """One row per localisation (:data:`COLUMNS`), the most probable first.

    Positions are session pixels; the crop's where ``prepared`` doesn't tell the sessions.
    """
    rows: list[list[Any]] = []
    for sample in range(len(batch)):
        valid = found.valid[sample]
        place, spread = (exact(part[sample][valid]).numpy() for part in (found.positions, found.position_std))
        session = int(batch.session[sample])
        name = str(session)
        if prepared:
            part = prepared[session]
            name = part.session.path.name
            place = part.scale.to_session(place + corner(batch.extent[sample].cpu(), part.scale.size))
            spread = spread / np.asarray(part.scale.factor)
        sure, bright = (part[sample][valid].tolist() for part in (found.probability, found.amplitude))
        rows += [
            [name, int(batch.frame[sample]), y, x, p, a, y_std, x_std]
            for (y, x), p, a, (y_std, x_std) in zip(
                place.tolist(), sure, bright, spread.tolist(), strict=True
            )
        ]
    return sorted(rows, key=lambda row: -row[4])
