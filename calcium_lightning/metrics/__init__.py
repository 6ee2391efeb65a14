"""Figures that mean something: how good localisations, cells, traces and motion are against a truth.

Metrics are :class:`torchmetrics.Metric` classes, so that they accumulate over batches, sessions and ranks
alike. This room knows positions, traces and masks; it must not know files, models or commands.
"""

from calcium_lightning.metrics.calibration import Calibration, LocalizationCalibration
from calcium_lightning.metrics.cells import (
    CellDetection,
    CellMatch,
    CenterError,
    RecallByPlace,
    RecoveredCells,
    TraceCorrelation,
    match_cells,
)
from calcium_lightning.metrics.localization import FrameLocalization
from calcium_lightning.metrics.mask import MaskAgreement
from calcium_lightning.metrics.matching import PointMatch, best_offset, match_after_offset, match_points
from calcium_lightning.metrics.motion import MotionError

__all__ = [
    "Calibration",
    "CellDetection",
    "CellMatch",
    "CenterError",
    "FrameLocalization",
    "LocalizationCalibration",
    "MaskAgreement",
    "MotionError",
    "PointMatch",
    "RecallByPlace",
    "RecoveredCells",
    "TraceCorrelation",
    "best_offset",
    "match_after_offset",
    "match_cells",
    "match_points",
]
