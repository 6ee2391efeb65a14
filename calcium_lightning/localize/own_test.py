"""A recording's own tests of acceptance, for cells that come after it was extracted.

What decided then is in the cells file: the thresholds in its settings, and how certain each candidate was in
its qualities. A few cells more can't compete with decoys of their own, so what the competition told of all
candidates is continued to them. Knows cells and qualities; must not know where the new ones come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import yaml
from scipy.optimize import isotonic_regression

from calcium_lightning.core.cells import CellTable
from calcium_lightning.core.errors import InputError
from calcium_lightning.localize.quality import (
    LEAST_CONTRAST,
    QualitySettings,
    accept,
    evidence_features,
    likeness,
)

#: candidates of a file from which how real a further one is can be told
LEAST_KNOWN = 30
#: penalty on the coefficients' squares, which belong to standardised properties
PENALTY = 3.0
#: tests that are one number each
NUMBERS = (
    "score",
    "snr",
    "consistency",
    "focus",
    "compactness",
    "localizations",
    "revisits",
    "edge",
    "border",
    "lasting",
)


def settings_of(cells: CellTable) -> QualitySettings:
    """The tests that cells went through, as far as their file tells; only numbers are taken from it."""
    try:
        config = yaml.safe_load(cells.config)
        given, fdr = config["localize"]["quality"], config.get("fdr")
    except (yaml.YAMLError, KeyError, TypeError):
        given, fdr = {}, None
    if not isinstance(given, Mapping):
        given = {}
    known: dict[str, Any] = {name: float(given[name]) for name in NUMBERS if _is_number(given.get(name))}
    if cells.kind not in LEAST_CONTRAST:
        known["contrast"] = LEAST_CONTRAST["raw"]
    if _is_number(given.get("contrast")):
        known["contrast"] = float(given["contrast"])
    if _is_number(fdr) and 0 < fdr <= 1:
        known["fdr"] = float(fdr)
    width = given.get("width")
    if isinstance(width, list) and len(width) == 2 and all(map(_is_number, width)):
        known["width"] = (float(width[0]), float(width[1]))
    return QualitySettings(**known)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def judge_more(cells: CellTable, quality: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Judge further cells by the tests that a session's own cells went through.

    Parameters
    ----------
    cells : CellTable
        The session's, accepted or not.
    quality : dict of str to ndarray (N,)
        :func:`~calcium_lightning.localize.quality.measure` of the further ones.

    Returns
    -------
    quality : dict of str to ndarray, float32 (N,)
        With ``fdr`` and ``score``.
    accepted : ndarray, bool (N,)

    Raises
    ------
    InputError
        If the file doesn't tell how certain its cells are.
    """
    missing = [name for name in ("fdr", "score") if name not in cells.quality]
    if missing:
        raise InputError(f"the cells have no quality {missing[0]}: extract them anew")
    cell = _odds(likeness(quality))
    false = _false(cells, quality)
    score = (1 - false) * cell
    whole = {**quality, "score": score, "fdr": _rates(cells, score)}
    accepted = accept(whole, settings_of(cells), cells.kind if cells.kind in LEAST_CONTRAST else "raw")
    return {name: np.asarray(values, np.float32) for name, values in whole.items()}, accepted


def _odds(log: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * log))


def _false(cells: CellTable, quality: dict[str, np.ndarray]) -> np.ndarray:
    """Probability of each further cell to be chance, as the twin has told it of the session's candidates.

    A regression of what it told on the properties that it could learn from, fitted on all candidates.
    """
    count = len(quality["snr"])
    try:
        known = evidence_features(cells.quality)
    except KeyError:  # of an older version, or of another package
        return np.zeros(count)
    told = 1 - cells.quality["score"] / np.maximum(_odds(likeness(cells.quality)), 1e-6)
    usable = np.isfinite(known).all(1) & np.isfinite(told)
    if usable.sum() < LEAST_KNOWN:
        return np.zeros(count)
    known, told = known[usable], np.clip(told[usable], 0.003, 0.997)
    middle, spread = known.mean(0), np.maximum(known.std(0), 1e-6)
    design = np.column_stack([np.ones(len(known)), (known - middle) / spread])
    penalty = np.diag([0.0, *np.full(design.shape[1] - 1, PENALTY)])
    slopes = np.linalg.solve(design.T @ design + penalty, design.T @ np.log(told / (1 - told)))
    further = (np.nan_to_num(evidence_features(quality)) - middle) / spread
    return _odds(slopes[0] + np.clip(further, -4, 4) @ slopes[1:])


def _rates(cells: CellTable, score: np.ndarray) -> np.ndarray:
    """The least false-discovery rate at which each further cell is accepted: that of those as certain."""
    own, rate = np.asarray(cells.quality["score"], float), np.asarray(cells.quality["fdr"], float)
    usable = np.isfinite(own) & np.isfinite(rate)
    if not usable.any():
        return np.ones(len(score))
    order = np.argsort(own[usable], kind="stable")
    falling = isotonic_regression(rate[usable][order], increasing=False).x
    return np.interp(score, own[usable][order], falling)
