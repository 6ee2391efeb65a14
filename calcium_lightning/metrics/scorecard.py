"""All figures of one or many recordings: the metrics of this room, put together.

Knows the data types :class:`~calcium_lightning.core.cells.Cells` and
:class:`~calcium_lightning.io.session.Truth`, but no files: what to compare comes in, plain numbers go out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torchmetrics import Metric

from calcium_lightning.core.cells import Cells, footprint_centers
from calcium_lightning.core.truth import Truth
from calcium_lightning.metrics.cell_match import RADIUS, match_cells
from calcium_lightning.metrics.cells import (
    CellDetection,
    CenterError,
    RecallByPlace,
    RecoveredCells,
    TraceCorrelation,
)
from calcium_lightning.metrics.mask import MaskAgreement
from calcium_lightning.metrics.motion import MotionError
from calcium_lightning.metrics.own import measure_own

Figures = dict[str, float]


class Scorecard:
    """Figures of each recording, and of all of them together.

    Detection, centre error, correlation and motion are pooled over cells and frames; kappa, precision and
    chance of masks are means over recordings.

    Parameters
    ----------
    radius : float
        How far a centre may lie from the true one, pixels.
    count_rejected : bool
        Count the cells that failed the quality tests too.
    """

    def __init__(self, radius: float = RADIUS, count_rejected: bool = False) -> None:
        self.radius = radius
        self.count_rejected = count_rejected
        self._together = _metrics()
        self._own: dict[str, list[float]] = {}

    def add(self, cells: Cells, truth: Truth, unknown: np.ndarray | None = None) -> Figures:
        """Compare the cells of one recording with whatever parts of the truth there are.

        Parameters
        ----------
        cells : Cells
            What was found.
        truth : Truth
            Footprints (with traces, amplitude where known), motion, an annotator's mask: any of them.
        unknown : ndarray, optional
            (H', W'), non-zero where the mask isn't to be trusted.

        Returns
        -------
        dict of str to float
            This recording's figures; names as in :meth:`together`.

        Raises
        ------
        ValueError
            If sizes don't fit each other, or the truth holds nothing to compare with.
        """
        chosen = np.ones(len(cells), bool) if self.count_rejected else np.asarray(cells.accepted, bool)
        alone: dict[str, Metric] = _metrics()
        extra: Figures = {}
        if truth.footprints is not None:
            extra |= self._add_footprints(cells, chosen, truth, alone)
        if truth.mask is not None:
            for metrics in (alone, self._together):
                metrics["mask"].update(cells.centers[chosen], truth.mask, cells.frame_shape, unknown)
        if truth.shifts is not None:
            for metrics in (alone, self._together):
                metrics["motion"].update(cells.shifts, truth.shifts)
        figures = _figures(alone)
        if not figures:
            raise ValueError("the truth holds neither footprints nor a mask nor motion")
        own = measure_own(cells, truth)
        for name, value in own.items():
            self._own.setdefault(name, []).append(value)
        return figures | extra | own

    def together(self) -> Figures:
        """Figures over all recordings.

        Returns
        -------
        dict of str to float
            ``precision``, ``recall``, ``f1``, ``center_error`` (px), ``correlation``, ``both``, ``cells``,
            ``true_cells``; ``recall_inner``, ``recall_border``, ``recall_dim``, ``recall_bright``;
            ``motion_rmse_y``, ``motion_rmse_x`` (px); ``mask_cells``, ``mask_precision``, ``mask_chance``,
            ``mask_kappa``, ``mask_parts_hit``, ``mask_parts``; and those of
            :mod:`calcium_lightning.metrics.own`. Only those that were measured.
        """
        measured = {name: [v for v in values if not np.isnan(v)] for name, values in self._own.items()}
        return _figures(self._together) | {
            name: float(np.mean(values)) for name, values in measured.items() if values
        }

    def _add_footprints(
        self, cells: Cells, chosen: np.ndarray, truth: Truth, alone: dict[str, Metric]
    ) -> Figures:
        assert truth.footprints is not None
        height, width = cells.frame_shape
        if truth.footprints.shape[1] != height * width:
            raise ValueError(
                f"the true footprints have {truth.footprints.shape[1]} pixels, "
                f"the cells' field is {height} x {width}"
            )
        if not truth.footprints.shape[0]:
            raise ValueError("the truth holds no cells")
        true_centers = footprint_centers(truth.footprints, cells.frame_shape).astype(float)
        traces = true_traces = None
        if truth.traces is not None:
            if truth.traces.shape[1] != cells.n_frames:
                raise ValueError(f"the truth has {truth.traces.shape[1]} frames, the cells {cells.n_frames}")
            known = slice(None) if cells.bad_frames is None else ~cells.bad_frames
            traces, true_traces = cells.denoised[chosen][:, known], truth.traces[:, known]
        match = match_cells(cells.centers[chosen], true_centers, traces, true_traces, self.radius)
        for metrics in (alone, self._together):
            for name in ("detection", "center_error"):
                metrics[name].update(match)
            if traces is not None:
                metrics["correlation"].update(match)
                metrics["both"].update(match)
            metrics["place"].update(match, true_centers, cells.frame_shape, truth.amplitude)
        return {"offset_y": float(match.offset[0]), "offset_x": float(match.offset[1])}


def _metrics() -> dict[str, Metric]:
    """Fresh metrics; they count what this process was given, whatever other ranks do meanwhile."""
    metrics: dict[str, Metric] = {
        "detection": CellDetection(),
        "center_error": CenterError(),
        "correlation": TraceCorrelation(),
        "both": RecoveredCells(),
        "place": RecallByPlace(),
        "motion": MotionError(),
        "mask": MaskAgreement(),
    }
    for metric in metrics.values():
        metric.distributed_available_fn = _alone
    return metrics


def _alone() -> bool:
    return False


def _figures(metrics: dict[str, Metric]) -> Figures:
    """Plain numbers of the metrics that saw anything."""
    figures: Figures = {}
    for name, metric in metrics.items():
        if not metric.update_called:
            continue
        value: Any = metric.compute()
        if name == "detection":
            figures |= {"cells": float(metric.reported), "true_cells": float(metric.existing)}  # type: ignore[arg-type]
        prefix = {"detection": "", "place": "recall_", "motion": "motion_rmse_", "mask": "mask_"}.get(name)
        if prefix is None:
            figures[name] = float(value)
        else:
            figures |= {prefix + key: float(number) for key, number in value.items()}
    return figures
