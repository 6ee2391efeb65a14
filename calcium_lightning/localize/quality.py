"""How far a cell can be trusted: measured properties, one score, and the tests that accept it.

The score is the probability that a candidate is a cell, from a logistic regression on the properties, fitted
on simulated sessions (``experiments/quality``). Knows arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: properties that the score looks at, after :func:`_features`
COEFFICIENTS: dict[str, float] = {
    "intercept": -6.0,
    "log_evidence": 1.2,
    "consistency": 4.0,
    "log_snr": 1.0,
    "width": -2.0,
}


@dataclass(frozen=True)
class QualitySettings:
    """The tests of acceptance; a cell must pass all of them.

    Attributes
    ----------
    score : float
        Least score: probability of being a cell.
    snr : float
        Least peak of the denoised trace over the trace's noise.
    consistency : float
        Least correlation between the footprint and the picture of the cell regressed from the frames.
    width : (float, float)
        Least and greatest width of the footprint, relative to the session's cell diameter.
    """

    score: float = 0.5
    snr: float = 2.0
    consistency: float = 0.3
    width: tuple[float, float] = field(default=(0.45, 2.2))


def measure(
    denoised: np.ndarray,
    noise: np.ndarray,
    consistency: np.ndarray,
    width: np.ndarray,
    localizations: np.ndarray,
    seen: np.ndarray,
) -> dict[str, np.ndarray]:
    """Properties of K cells.

    Parameters
    ----------
    denoised : ndarray (K, T)
        Denoised traces.
    noise : ndarray (K,)
        Standard deviation of the traces' noise.
    consistency : ndarray (K,)
        Correlation of footprint and regressed picture.
    width : ndarray (K,)
        Full width at half maximum over the session's cell diameter.
    localizations : ndarray (K,)
        Number of localisations that a cell claims.
    seen : ndarray (K,)
        Share of the frames in which the cell's centre was on the sensor.

    Returns
    -------
    dict of str to ndarray, float32 (K,)
        ``snr`` (peak over noise), ``evidence`` (root of the trace's energy over the noise's variance),
        ``consistency``, ``width``, ``localizations``, ``seen``, ``score``.
    """
    quality = {
        "snr": denoised.max(1, initial=0) / noise,
        "evidence": np.sqrt((denoised**2).sum(1)) / noise,
        "consistency": consistency,
        "width": width,
        "localizations": localizations,
        "seen": seen,
    }
    quality["score"] = score(quality)
    return {name: np.asarray(values, np.float32) for name, values in quality.items()}


def features(quality: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the logistic regression sees."""
    return {
        "log_evidence": np.log(np.maximum(quality["evidence"], 1e-3)),
        "consistency": np.asarray(quality["consistency"], float),
        "log_snr": np.log(np.maximum(quality["snr"], 1e-3)),
        "width": np.abs(np.log(np.maximum(quality["width"], 1e-3))),
    }


def score(quality: dict[str, np.ndarray]) -> np.ndarray:
    """Probability of being a cell, (K,)."""
    total = COEFFICIENTS["intercept"] + sum(
        COEFFICIENTS[name] * values for name, values in features(quality).items()
    )
    return 1 / (1 + np.exp(-np.asarray(total, float)))


def accept(quality: dict[str, np.ndarray], settings: QualitySettings | None = None) -> np.ndarray:
    """Which cells pass all tests, bool (K,)."""
    settings = settings or QualitySettings()
    low, high = settings.width
    return (
        (quality["score"] >= settings.score)
        & (quality["snr"] >= settings.snr)
        & (quality["consistency"] >= settings.consistency)
        & (quality["width"] >= low)
        & (quality["width"] <= high)
    )
