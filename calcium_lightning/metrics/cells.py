"""Cells against simulated truth: found or not, how far off, and whether the trace is theirs.

Matching happens once, in :mod:`~calcium_lightning.metrics.cell_match`; each metric then reads one figure from
the match. Several recordings are pooled cell by cell. Nothing here knows files.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from calcium_lightning.core.device import exact
from calcium_lightning.metrics.cell_match import CellMatch
from calcium_lightning.metrics.matching import FloatArray

RECOVERED = 0.8  # correlation above which a trace counts as the cell's
BORDER = 12.0  # pixels: the margin in which other methods lose their cells


class CellDetection(Metric):
    """Precision, recall and F1 of the cells that were found.

    ``compute()`` gives a dict of scalars; precision is 0 without reported cells, recall NaN without
    true ones.

    Examples
    --------
    >>> from calcium_lightning.metrics.cell_match import match_cells
    >>> metric = CellDetection()
    >>> metric.update(match_cells([[5, 5], [5, 20], [20, 20]], [[5, 5], [5, 21], [40, 5], [40, 25]]))
    >>> {name: round(float(value), 3) for name, value in metric.compute().items()}
    {'precision': 0.667, 'recall': 0.5, 'f1': 0.571}
    """

    full_state_update = False
    higher_is_better = True

    def __init__(self) -> None:
        super().__init__()
        self.hits: Tensor
        self.reported: Tensor
        self.existing: Tensor
        for name in ("hits", "reported", "existing"):
            self.add_state(name, torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, match: CellMatch) -> None:
        """Add one recording's match."""
        self.hits += len(match.found)
        self.reported += match.n_cells
        self.existing += match.n_true

    def compute(self) -> dict[str, Tensor]:
        """Scalars ``precision``, ``recall`` and ``f1`` over all recordings."""
        hits, reported, existing = exact(self.hits), exact(self.reported), exact(self.existing)
        return {
            "precision": hits / reported.clamp(min=1),
            "recall": hits / existing,
            "f1": 2 * hits / (reported + existing).clamp(min=1),
        }


class _Collected(Metric):
    """A median over the matched pairs of all recordings."""

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.values: list[Tensor] | Tensor
        # float32 like the empty tensor that torchmetrics gathers from a rank without data
        self.add_state("values", [], dist_reduce_fx="cat")

    def _add(self, values: FloatArray) -> None:
        assert isinstance(self.values, list)
        self.values.append(torch.as_tensor(values, dtype=torch.float32, device=self.device))

    def compute(self) -> Tensor:
        """Scalar, the median; NaN without matches."""
        values = dim_zero_cat(self.values) if len(self.values) else torch.zeros(0)
        # torch.median takes the lower of two middle values; NumPy and the benchmark take their mean
        return torch.quantile(values, 0.5) if len(values) else torch.tensor(torch.nan)


class CenterError(_Collected):
    """Median distance of a matched centre from the true one, pixels, after the global offset."""

    higher_is_better = False

    def update(self, match: CellMatch) -> None:
        """Add one recording's match."""
        self._add(match.distance)


class TraceCorrelation(_Collected):
    """Median of Pearson's r between the matched cells' traces and the true calcium."""

    higher_is_better = True

    def update(self, match: CellMatch) -> None:
        """Add one recording's match."""
        self._add(match.correlation)


class RecoveredCells(Metric):
    """F1 of cells that are matched *and* have a trace with r above a threshold ("both").

    Parameters
    ----------
    threshold : float
        The correlation above which a trace counts as recovered.
    """

    full_state_update = False
    higher_is_better = True

    def __init__(self, threshold: float = RECOVERED) -> None:
        super().__init__()
        self.threshold = threshold
        self.hits: Tensor
        self.total: Tensor
        for name in ("hits", "total"):
            self.add_state(name, torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, match: CellMatch) -> None:
        """Add one recording's match."""
        self.hits += int((match.correlation > self.threshold).sum())
        self.total += match.n_cells + match.n_true

    def compute(self) -> Tensor:
        """Scalar between 0 and 1."""
        return 2 * exact(self.hits) / exact(self.total).clamp(min=1)


class RecallByPlace(Metric):
    """Where cells are lost: recall inside and at the border, and inside by brightness.

    Dim and bright are the halves of a recording's true cells below and above their median amplitude.

    Parameters
    ----------
    border : float
        True cells with a centre less than this many pixels from an edge are border cells.
    """

    full_state_update = False
    higher_is_better = True
    places = ("inner", "border", "dim", "bright")

    def __init__(self, border: float = BORDER) -> None:
        super().__init__()
        self.border = border
        self.hits: Tensor
        self.existing: Tensor
        for name in ("hits", "existing"):
            self.add_state(name, torch.zeros(len(self.places), dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self,
        match: CellMatch,
        true_centers: ArrayLike,
        frame_shape: tuple[int, int],
        amplitude: ArrayLike | None = None,
    ) -> None:
        """Add one recording.

        Parameters
        ----------
        match : CellMatch
            From :func:`~calcium_lightning.metrics.cell_match.match_cells`.
        true_centers : array_like
            (M, 2), the same that were matched.
        frame_shape : tuple of int
            (H, W) of the field.
        amplitude : array_like, optional
            (M,) brightness of each true cell; without it dim and bright get no cells.
        """
        centers = np.asarray(true_centers, float).reshape(-1, 2)
        margin = np.concatenate([centers, np.array(frame_shape) - 1 - centers], 1).min(1, initial=np.inf)
        edge = margin < self.border
        dim = bright = np.zeros(len(centers), bool)
        if amplitude is not None and len(centers):
            brightness = np.asarray(amplitude, float)
            dim = ~edge & (brightness < np.median(brightness))
            bright = ~edge & ~dim
        hit = np.zeros(len(centers), bool)
        hit[match.true] = True
        groups = np.stack([~edge, edge, dim, bright])
        self.hits += torch.as_tensor((groups & hit).sum(1), device=self.device)
        self.existing += torch.as_tensor(groups.sum(1), device=self.device)

    def compute(self) -> dict[str, Tensor]:
        """Scalars ``inner``, ``border``, ``dim`` and ``bright`` (the last two inside); NaN for no cells."""
        return dict(zip(self.places, exact(self.hits) / exact(self.existing), strict=True))
