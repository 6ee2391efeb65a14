"""What a lab's own decisions teach: a score that agrees with the people who will use the cells.

Cells files that a person has curated say of some candidates whether they count. A logistic regression learns
from them how far that departs from the score that the cells had, on the properties that the score may look
at; few decisions change little. Whether a candidate is real is still the recording's twin's to tell. Knows
cells files and qualities; must not know who decides, or how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from calcium_lightning.core.cells import CellTable
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.curation_file import open_decided
from calcium_lightning.localize.quality import evidence_features

#: fewest decisions, and fewest of either kind, from which anything is learned
LEAST_DECISIONS, LEAST_EITHER = 20, 3
#: penalty on the squares of the slopes, which belong to standardised properties, and on the intercept
PENALTY, INTERCEPT_PENALTY = 4.0, 0.5
#: a score is no surer than this, so that decisions can move it; properties count no farther out than this
SUREST, FARTHEST = 0.995, 4.0


@dataclass(frozen=True)
class LabScore:
    """How a lab's decisions move the score.

    Attributes
    ----------
    coefficients : ndarray (1 + F,)
        Intercept and slopes, of standardised properties.
    middle, spread : ndarray (F,)
        What they are standardised by.
    accepted, rejected : int
        Decisions that it was learned from.
    """

    coefficients: np.ndarray
    middle: np.ndarray
    spread: np.ndarray
    accepted: int
    rejected: int

    @classmethod
    def of(cls, curated: Sequence[CellTable]) -> LabScore:
        """Learn from cells that a person has curated.

        Raises
        ------
        InputError
            If too little was decided to learn from.
        """
        parts = [_examples(cells) for cells in curated]
        table, offset, label = (
            np.concatenate([np.zeros((0, *parts[0][which].shape[1:])), *(part[which] for part in parts)])
            for which in range(3)
        )
        good = int(label.sum())
        if len(label) < LEAST_DECISIONS or min(good, len(label) - good) < LEAST_EITHER:
            raise InputError(
                f"curated: {good} cells accepted by hand and {len(label) - good} rejected; at least "
                f"{LEAST_DECISIONS} decisions, and {LEAST_EITHER} of either kind, are needed to learn from"
            )
        middle, spread = table.mean(0), np.maximum(table.std(0), 1e-6)
        design = _design(table, middle, spread)
        return cls(_fitted(design, offset, label), middle, spread, good, len(label) - good)

    @classmethod
    def read(cls, paths: Sequence[Path | str]) -> LabScore:
        """Learn from cells files.

        Raises
        ------
        InputError
            If one is no cells file, nobody has decided in it, or too little was decided in all.
        """
        curated = []
        for path in paths:
            with open_decided(path) as cells:
                if cells.curation is None or not (cells.curation.verdict != 0).any():
                    raise InputError(f"{path}: nobody has accepted or rejected a cell in it; curate it first")
                try:
                    evidence_features(cells.quality), cells.quality["score"]
                except KeyError as error:
                    raise InputError(
                        f"{path}: its cells have no quality {error}; extract them anew"
                    ) from error
                curated.append(cells)
        return cls.of(curated)

    def rescored(self, quality: Mapping[str, np.ndarray]) -> np.ndarray:
        """The score of cells (K,), moved by what was learned."""
        table = np.nan_to_num(evidence_features(dict(quality)), nan=0.0)
        return _share(
            _log_odds(quality["score"]) + _design(table, self.middle, self.spread) @ self.coefficients
        )


def _examples(cells: CellTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Properties (N, F), log odds that the score gave, and verdicts (1 or 0) of decided cells.

    Those that were merged or split are no examples, nor those that were made by hand: they have no score that
    the tests gave.
    """
    standing = cells.curation
    properties = evidence_features(cells.quality)
    if standing is None:
        return properties[:0], np.zeros(0), np.zeros(0)
    rows = (standing.verdict != 0) & standing.present & (standing.origin == 0)
    rows &= np.isfinite(properties).all(1) & np.isfinite(cells.quality["score"])
    return (
        properties[rows],
        _log_odds(cells.quality["score"][rows]),
        (standing.verdict[rows] > 0).astype(float),
    )


def _design(table: np.ndarray, middle: np.ndarray, spread: np.ndarray) -> np.ndarray:
    scaled = np.clip((table - middle) / spread, -FARTHEST, FARTHEST)
    return np.column_stack([np.ones(len(table)), scaled])


def _log_odds(score: np.ndarray) -> np.ndarray:
    share = np.clip(np.asarray(score, float), 1 - SUREST, SUREST)
    return np.log(share / (1 - share))


def _share(log_odds: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * log_odds))


def _fitted(design: np.ndarray, offset: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Coefficients of a penalised logistic regression beside an offset, (1 + F,)."""
    sign = 2 * label - 1
    penalty = np.full(design.shape[1], PENALTY)
    penalty[0] = INTERCEPT_PENALTY

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (offset + design @ coefficients)
        value = np.logaddexp(0, -margin).sum() + 0.5 * penalty @ coefficients**2
        return float(value), penalty * coefficients - design.T @ (sign * _share(-margin))

    found: np.ndarray = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x
    return found
