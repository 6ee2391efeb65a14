"""What every figure means, and whether less or more of it is better: the one table of their names.

For: rankings, summaries, printed lines, tables and pages, which all look here.
Must not know: how figures are computed, or who shows them; it imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Direction = Literal["min", "max"]
#: what may stand before a name: where the figure was measured
STAGES = {"train": "training", "val": "held-out", "test": "test", "cells": "the best model's cells:"}


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes
    ----------
    name : str
        As it is logged, or as ``evaluate`` calls it; without ``train/``, ``val/`` or ``cells/``.
    better : {"min", "max"} or None
        What is good; None where neither is.
    meaning : str
        One line for people.
    heading : str
        What tables and pages call it.
    form : str
        Format specification.
    """

    name: str
    better: Direction | None
    meaning: str
    heading: str = ""
    form: str = ".4g"

    @property
    def title(self) -> str:
        """The heading, or the name."""
        return self.heading or self.name

    def text(self, value: float) -> str:
        """A value as it is shown."""
        return format(value, self.form)


def _table(*figures: Figure) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


#: figures of single frames and of the loss, while a model trains
TRAINING = _table(
    Figure("reconstruction", "min", "error over the noise variance: 1 is the noise itself"),
    Figure("unexplained", "min", "error over the variance about the mean frame (model=published)"),
    Figure("f1", "max", "F1 of localisations in single frames, within half a cell"),
    Figure("precision", "max", "share of localisations in single frames that are cells"),
    Figure("recall", "max", "share of lit cells in single frames that are found"),
    Figure("jaccard", "max", "Jaccard index of localisations in single frames"),
    Figure("rmse", "min", "error of localisations, network pixels (a cell is 6 wide)"),
    Figure("calibration_error", "min", "mean distance of probabilities from the share that is true"),
    Figure("position_z", None, "errors of positions over their standard errors, RMS: 1 is honest"),
    Figure("accuracy", "max", "share of coordinates whose pixel is found"),
    Figure("iou", "max", "intersection over union of squares"),
    Figure("perfect", "max", "share of squares without a wrong pixel"),
    Figure("error", "min", "error of coordinates, pixels"),
    Figure("within_half", "max", "share of coordinates within half a pixel"),
    Figure("within_one", "max", "share of coordinates within a pixel"),
    Figure(
        "misfit", "min", "squared error of painted dots over the dots' own square (model=published_painter)"
    ),
    Figure("width", "min", "root mean square distance of a painted dot's light from its place, pixels"),
    Figure(
        "evidence", "min", "what pictures and coordinates cost, nats per pixel of white noise, full prices"
    ),
    Figure("grain", None, "noise of the residual at the scale of cells over white noise; divides the loss"),
    Figure("uncertainty", None, "what half-hearted coordinates cost, nats per pixel of white noise"),
    Figure("price", None, "what all coordinates cost at full prices, nats per pixel"),
    Figure("coordinates", None, "expected number of coordinates per crop"),
    Figure("presence", "min", "negative log-likelihood of which pixels hold cells, nats per crop"),
    Figure("placement", "min", "negative log-likelihood of places and brightness, nats per crop"),
    Figure("global", "min", "mean squared error of the picture (model=published)"),
    Figure("sparsity", "min", "the sparsity loss (model=published)"),
    Figure("loss", "min", "loss, in units that grain and warm-up change"),
    Figure("network/parameters", "min", "weights of the network", form=".0f"),
)

#: figures of cells, as ``evaluate`` calls them
CELLS = _table(
    Figure("both", "max", "F1 of cells found with a trace correlation above 0.8", "F1 with r > 0.8", ".3f"),
    Figure("f1", "max", "F1 of cells", "F1", ".3f"),
    Figure("precision", "max", "share of cells found that are true", "precision", ".3f"),
    Figure("recall", "max", "share of true cells that are found", "recall", ".3f"),
    Figure(
        "correlation", "max", "median correlation of found with true traces", "trace correlation r", ".3f"
    ),
    Figure("center_error", "min", "median error of centres, pixels", "centre error px", ".3f"),
    Figure(
        "mask_kappa",
        "max",
        "share of centres inside the annotator's mask, beyond chance",
        "kappa of the mask",
        ".3f",
    ),
    Figure("mask_precision", "max", "share of centres inside the annotator's mask", "inside the mask", ".3f"),
    Figure("mask_chance", None, "share of the known field that the mask covers", "chance", ".3f"),
    Figure("mask_parts_hit", "max", "parts of the annotator's mask that hold a centre", "parts hit", ".0f"),
    Figure("mask_parts", None, "parts of the annotator's mask", "parts of the mask", ".0f"),
    Figure("mask_cells", None, "cells in the mask's known field", "cells", ".0f"),
    Figure("recall_inner", "max", "recall 12 px and more from the border", "recall, inner field", ".3f"),
    Figure("recall_border", "max", "recall within 12 px of the border", "recall, border", ".3f"),
    Figure("recall_dim", "max", "recall of the dimmer half, border aside", "recall, dim half", ".3f"),
    Figure("recall_bright", "max", "recall of the brighter half, border aside", "recall, bright half", ".3f"),
    Figure("motion_rmse_y", "min", "RMSE of the motion along y, pixels", "motion y px", ".3f"),
    Figure("motion_rmse_x", "min", "RMSE of the motion along x, pixels", "motion x px", ".3f"),
    Figure("cells", None, "cells that count", "cells", ".0f"),
    Figure("true_cells", None, "true cells", "true cells", ".0f"),
    Figure("found", None, "cells found", "cells found", ".0f"),
    Figure("accepted", None, "cells accepted", "cells accepted", ".0f"),
    Figure("expected_false", "min", "accepted cells that are expected to be false", "expected false", ".1f"),
    Figure(
        "offset_y", None, "offset of the centres along y that was taken off, pixels", "offset y px", ".2f"
    ),
    Figure(
        "offset_x", None, "offset of the centres along x that was taken off, pixels", "offset x px", ".2f"
    ),
)


def figure_of(name: str) -> Figure | None:
    """What is known of a figure; None if nothing is.

    Parameters
    ----------
    name : str
        As it was logged (``val/f1``), or as ``evaluate`` calls it (``f1``).

    Examples
    --------
    >>> figure_of("val/reconstruction").meaning
    'held-out error over the noise variance: 1 is the noise itself'
    >>> figure_of("center_error").better
    'min'
    >>> figure_of("lr-AdamW") is None
    True
    """
    stage, _, rest = name.partition("/")
    if stage not in STAGES or not rest:
        return CELLS.get(name) or (TRAINING.get(name) if "/" in name else None)
    known = (CELLS if stage == "cells" else TRAINING).get(rest)
    return known and replace(known, name=name, meaning=f"{STAGES[stage]} {known.meaning}")


def better_of(name: str) -> Direction | None:
    """Whether less or more of a figure is better; None where neither is, or nothing is known of it."""
    known = figure_of(name)
    return known.better if known else None


def meaning_of(name: str) -> str:
    """One line for people; empty where nothing is known of a figure."""
    known = figure_of(name)
    return known.meaning if known else ""


#: names as tables list them: held-out figures, those of cells, those of the training
ORDER = (
    *(f"val/{name}" for name in TRAINING if "/" not in name),
    *(name for name in TRAINING if "/" in name),
    *CELLS,
    *(f"cells/{name}" for name in CELLS),
    *(f"train/{name}" for name in TRAINING if "/" not in name),
)
