"""What a lab's own decisions teach: a score that agrees with the people who will use the cells.

Cells files that a person has curated say of some candidates whether they count. A logistic regression learns
from them how far that departs from the score that the cells had, on the properties that the score may look
at and on that score itself, which may be too sure. How much it may depart is chosen by leaving sessions out
in turn; where what it learned doesn't judge those better than the score does, the score stays as it is.
Whether a candidate is real is still the recording's twin's to tell. Knows cells files and qualities; must not
know who decides, or how.
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
from calcium_lightning.localize.own_test import settings_of
from calcium_lightning.localize.quality import accept, evidence_features

#: fewest decisions, and fewest of either kind, from which anything is learned
LEAST_DECISIONS, LEAST_EITHER = 20, 3
#: penalties on the squares of the slopes, which are of standardised properties, and on that of the intercept
PENALTIES, INTERCEPT_PENALTY = (4.0, 16.0, 64.0, 256.0), 0.5
#: what was learned must judge better by so many standard errors: by chance, one in forty does
ERRORS = 2.0
#: parts of the decisions of one session that are left out in turn, where there is no other session
FOLDS = 5
#: a score is no surer than this, so that decisions can move it; properties count no farther out than this
SUREST, FARTHEST = 0.995, 4.0


@dataclass(frozen=True)
class Examples:
    """Decided candidates of some sessions.

    Attributes
    ----------
    table : ndarray (N, F)
        What is learned from: properties, and the log odds that the score gave.
    label : ndarray, bool (N,)
        The verdicts.
    passed : ndarray, bool (N,)
        Whether all tests but the score's accept them.
    least : ndarray (N,)
        Least score that is accepted.
    session : ndarray of int (N,)
        Whose.
    """

    table: np.ndarray
    label: np.ndarray
    passed: np.ndarray
    least: np.ndarray
    session: np.ndarray

    @classmethod
    def of(cls, curated: Sequence[CellTable]) -> Examples:
        """Of all that were decided."""
        parts = [_examples(cells, number) for number, cells in enumerate(curated)]
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    @property
    def offset(self) -> np.ndarray:
        """Log odds that the score gave, (N,)."""
        return self.table[:, -1]

    def folds(self) -> np.ndarray:
        """What is left out together, int (N,): a session; of one alone, a part of either verdict's."""
        if len(np.unique(self.session)) > 1:
            return self.session
        fold = np.zeros(len(self.label), int)
        for rows in (np.flatnonzero(self.label), np.flatnonzero(~self.label)):
            fold[rows] = np.arange(len(rows)) % FOLDS
        return fold

    def likelihood(self, log_odds: np.ndarray) -> float:
        """Logarithm of how likely the verdicts are, given log odds (N,)."""
        return float(-np.logaddexp(0, np.where(self.label, -log_odds, log_odds)).sum())

    def costs(self, log_odds: np.ndarray) -> np.ndarray:
        """What verdicts cost, (N,): as the threshold weighs false cells and missed ones (Elkan 2001)."""
        accepted = self.passed & (_share(log_odds) >= self.least)
        return np.where(accepted == self.label, 0.0, np.where(accepted, self.least, 1 - self.least))


@dataclass(frozen=True)
class LabScore:
    """How a lab's decisions move the score.

    Attributes
    ----------
    coefficients : ndarray (1 + F,)
        Intercept and slopes, of standardised properties; all 0 where the score is left as it is.
    middle, spread : ndarray (F,)
        What they are standardised by.
    accepted, rejected : int
        Decisions that it was learned from.
    wrong, wrong_after : int
        Of these decisions, how many acceptance had against it before, and what was learned from the others'
        has.
    """

    coefficients: np.ndarray
    middle: np.ndarray
    spread: np.ndarray
    accepted: int
    rejected: int
    wrong: int
    wrong_after: int

    @classmethod
    def of(cls, curated: Sequence[CellTable]) -> LabScore:
        """Learn from cells that a person has curated.

        Raises
        ------
        InputError
            If too little was decided to learn from.
        """
        known = Examples.of(curated)
        good, count = int(known.label.sum()), len(known.label)
        if count < LEAST_DECISIONS or min(good, count - good) < LEAST_EITHER:
            raise InputError(
                f"curated: {good} cells accepted by hand and {count - good} rejected; at least "
                f"{LEAST_DECISIONS} decisions, and {LEAST_EITHER} of either kind, are needed to learn from"
            )
        middle, spread = known.table.mean(0), np.maximum(known.table.std(0), 1e-6)
        design = _design(known.table, middle, spread)
        fold = known.folds()
        left_out = [_left_out(design, known, fold, penalty) for penalty in PENALTIES]
        likeliest = int(np.argmax([known.likelihood(log_odds) for log_odds in left_out]))
        before, after = known.costs(known.offset), known.costs(left_out[likeliest])
        coefficients = np.zeros(design.shape[1])
        if _errors(before - after, fold) > ERRORS:
            coefficients = _fitted(design, known.offset, known.label, PENALTIES[likeliest])
        wrong = (int((costs > 0).sum()) for costs in (before, after))
        return cls(coefficients, middle, spread, good, count - good, *wrong)

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
                    _examples(cells, 0)
                except KeyError as error:
                    raise InputError(
                        f"{path}: its cells have no quality {error}; extract them anew"
                    ) from error
                curated.append(cells)
        return cls.of(curated)

    @property
    def learned(self) -> bool:
        """Whether the score is moved."""
        return bool(self.coefficients.any())

    def in_words(self) -> str:
        """One line: what was learned, from how much, and how it does where it didn't look."""
        count = self.accepted + self.rejected
        told = f"{self.accepted} cells accepted by hand and {self.rejected} rejected"
        if self.learned:
            return (
                f"learned from {told}: of those that were left out in turn it has {self.wrong_after} of "
                f"{count} against it, the score alone {self.wrong}"
            )
        return (
            f"left as it is: what was learned from {told} judges those that were left out no better "
            f"({self.wrong_after} of {count} against it, the score alone {self.wrong})"
        )

    def rescored(self, quality: Mapping[str, np.ndarray]) -> np.ndarray:
        """The score of cells (K,), moved by what was learned."""
        if not self.learned:
            return np.asarray(quality["score"], float)
        table = _table(quality)
        return _share(
            table[:, -1] + _design(np.nan_to_num(table), self.middle, self.spread) @ self.coefficients
        )


def _examples(
    cells: CellTable, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The fields of :class:`Examples`, of one session.

    Cells that were merged or split are no examples, nor those that were made by hand: they have no score that
    the tests gave.
    """
    standing, settings = cells.curation, settings_of(cells)
    table = _table(cells.quality)
    passed = accept({**cells.quality, "score": np.ones(len(table))}, settings, cells.kind)
    rows = np.zeros(len(table), bool)
    if standing is not None:
        rows = (standing.verdict != 0) & standing.present & (standing.origin == 0) & np.isfinite(table).all(1)
    verdict = np.zeros(len(table)) if standing is None else standing.verdict
    least = np.full(int(rows.sum()), settings.score)
    return table[rows], verdict[rows] > 0, passed[rows], least, np.full(len(least), number)


def _table(quality: Mapping[str, np.ndarray]) -> np.ndarray:
    """Properties, and the log odds of the score, (K, F)."""
    return np.column_stack([evidence_features(dict(quality)), _log_odds(quality["score"])])


def _design(table: np.ndarray, middle: np.ndarray, spread: np.ndarray) -> np.ndarray:
    scaled = np.clip((table - middle) / spread, -FARTHEST, FARTHEST)
    return np.column_stack([np.ones(len(table)), scaled])


def _log_odds(score: np.ndarray) -> np.ndarray:
    share = np.clip(np.asarray(score, float), 1 - SUREST, SUREST)
    return np.log(share / (1 - share))


def _share(log_odds: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * log_odds))


def _left_out(design: np.ndarray, known: Examples, fold: np.ndarray, penalty: float) -> np.ndarray:
    """Log odds (N,) of each fold as all others have taught them."""
    moved = known.offset.copy()
    for one in np.unique(fold):
        out = fold == one
        moved[out] += design[out] @ _fitted(design[~out], known.offset[~out], known.label[~out], penalty)
    return moved


def _errors(saved: np.ndarray, fold: np.ndarray) -> float:
    """How many standard errors a sum of savings (N,) is above 0; folds may differ more than by chance."""
    parts = np.bincount(np.unique(fold, return_inverse=True)[1], saved)
    between = len(parts) * parts.var(ddof=1) if len(parts) > 1 else 0.0
    return float(saved.sum() / np.sqrt(max(np.square(saved).sum(), between, 1e-12)))


def _fitted(design: np.ndarray, offset: np.ndarray, label: np.ndarray, slopes: float) -> np.ndarray:
    """Coefficients of a penalised logistic regression beside an offset, (1 + F,)."""
    sign = np.where(label, 1.0, -1.0)
    penalty = np.full(design.shape[1], slopes)
    penalty[0] = INTERCEPT_PENALTY

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (offset + design @ coefficients)
        value = np.logaddexp(0, -margin).sum() + 0.5 * penalty @ coefficients**2
        return float(value), penalty * coefficients - design.T @ (sign * _share(-margin))

    found: np.ndarray = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x
    return found
