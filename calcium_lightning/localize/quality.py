"""How far a cell can be trusted: measured properties, one score, and the tests that accept it.

The score is the probability that a candidate is a cell, from a logistic regression on the properties, fitted
on simulated sessions (``experiments/quality``). Knows arrays only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from scipy.ndimage import gaussian_filter1d

from calcium_lightning.localize.activity import Activity, shrinkage

#: smoothing of the traces whose excursions are compared, standard deviation in seconds
SMOOTH_S = 0.2
#: share of the frames that counts as extreme
EXTREME = 0.002
#: the score looks at how often a cell is localised in so many frames
PER_FRAMES = 1000

#: properties that the score looks at, after :func:`features`
COEFFICIENTS: dict[str, float] = {
    "intercept": -6.63,
    "log_contrast": 0.983,
    "consistency": 5.084,
    "log_localized": 0.732,
}


#: default of :attr:`QualitySettings.contrast`. ΔF/F frames were resampled and smoothed: their noise comes in
#: blobs that look like footprints, so a cell must stand out in time instead. How far was chosen on annotated
#: sessions, each left out in turn (experiments/quality).
LEAST_CONTRAST = {"raw": 1.5, "dff": 3.5}


@dataclass(frozen=True)
class QualitySettings:
    """The tests of acceptance; a cell must pass all of them.

    Attributes
    ----------
    score : float
        Least score: probability of being a cell. The F1 is greatest where a score of half of it is accepted
        (Lipton et al. 2014).
    contrast : float, optional
        Least :attr:`TraceStatistics.contrast`; default 1.5 for raw sessions and 3.5 for ΔF/F.
    snr : float
        Least peak of the denoised trace over the trace's noise.
    consistency : float
        Least correlation between the footprint and the picture of the cell regressed from the frames.
    width : (float, float)
        Least and greatest width of the footprint, relative to the session's cell diameter.
    """

    score: float = 0.4
    contrast: float | None = None
    snr: float = 2.0
    consistency: float = 0.3
    width: tuple[float, float] = field(default=(0.45, 2.2))


@dataclass(frozen=True)
class TraceStatistics:
    """What the quality tests, and the cells file, need to know of the traces of K cells, (K,) each.

    Attributes
    ----------
    noise : ndarray
        Standard deviation of the noise.
    peak, energy : ndarray
        Largest value of the denoised trace, and the sum of its squares.
    low, high : ndarray
        Darkest and brightest moment of the smoothed trace, from its median.
    mean : ndarray
        Of the trace.
    gain : ndarray
        :func:`~calcium_lightning.localize.activity.shrinkage` of the denoised trace.
    """

    noise: np.ndarray
    peak: np.ndarray
    energy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    gain: np.ndarray

    @classmethod
    def of(cls, activity: Activity, fps: float) -> TraceStatistics:
        """Look at the traces of some cells, at ``fps`` Hz."""
        denoised = activity.denoised
        low, high = extremes(activity.traces, fps)
        return cls(
            noise=activity.noise,
            peak=denoised.max(1, initial=0),
            energy=np.einsum("kt,kt->k", denoised, denoised),
            low=low,
            high=high,
            mean=activity.traces.mean(1) if activity.traces.size else np.zeros(len(denoised)),
            gain=shrinkage(activity),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[TraceStatistics]) -> TraceStatistics:
        """Those of several groups of cells, in order."""
        return cls(
            **{
                name: np.concatenate([np.zeros(0), *(getattr(part, name) for part in parts)])
                for name in (field.name for field in fields(cls))
            }
        )

    def __len__(self) -> int:
        return len(self.noise)

    @property
    def evidence(self) -> np.ndarray:
        """Root of the denoised traces' energy over the noise's variance."""
        return np.sqrt(self.energy) / self.noise

    @property
    def contrast(self) -> np.ndarray:
        """Brightest moment of each cell over the darkest moment of a typical cell of the session.

        Cells only ever brighten; noise, neuropil and motion go both ways alike. So the session's own downward
        excursions say how large an upward one chance would give, whatever the noise is like: a decoy for
        every target. About 1 for noise.
        """
        if not len(self):
            return np.zeros(0)
        return self.high / max(float(np.median(-self.low)), 1e-12)


def extremes(traces: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Darkest and brightest moment of each unclipped trace (K, T), smoothed, from its median; (K,) each."""
    if not traces.size:
        return np.zeros(len(traces)), np.zeros(len(traces))
    smooth = gaussian_filter1d(traces, max(0.5, SMOOTH_S * fps), axis=1)
    low, middle, high = np.quantile(smooth, [EXTREME, 0.5, 1 - EXTREME], axis=1)
    return low - middle, high - middle


def measure(
    traces: TraceStatistics,
    consistency: np.ndarray,
    width: np.ndarray,
    localizations: np.ndarray,
    n_frames: int,
    seen: np.ndarray,
) -> dict[str, np.ndarray]:
    """Properties of K cells.

    Parameters
    ----------
    traces : TraceStatistics
        Of their traces.
    consistency : ndarray (K,)
        Correlation of footprint and regressed picture.
    width : ndarray (K,)
        Full width at half maximum over the session's cell diameter.
    localizations : ndarray (K,)
        Number of localisations that a cell claims.
    n_frames : int
        Of the session, T.
    seen : ndarray (K,)
        Share of the frames in which the cell's centre was on the sensor.

    Returns
    -------
    dict of str to ndarray, float32 (K,)
        ``snr`` (peak over noise), ``contrast`` and ``evidence`` (:class:`TraceStatistics`),
        ``consistency``, ``width``, ``localizations``, ``localized`` (localisations per frame), ``seen``,
        ``score``.
    """
    quality = {
        "snr": traces.peak / traces.noise,
        "contrast": traces.contrast,
        "evidence": traces.evidence,
        "consistency": consistency,
        "width": width,
        "localizations": localizations,
        "localized": localizations / n_frames,
        "seen": seen,
    }
    quality["score"] = score(quality)
    return {name: np.asarray(values, np.float32) for name, values in quality.items()}


def features(quality: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the logistic regression sees.

    Not the signal-to-noise ratio and the width: the score was no better for them on a simulator that it
    wasn't fitted on.
    """
    return {
        "log_contrast": np.log(np.maximum(quality["contrast"], 0.1)),
        "consistency": np.asarray(quality["consistency"], float),
        # What a place claims by chance grows with the recording, so it is counted per frame.
        "log_localized": np.log1p(PER_FRAMES * quality["localized"]),
    }


def score(quality: dict[str, np.ndarray]) -> np.ndarray:
    """Probability of being a cell, (K,)."""
    total = COEFFICIENTS["intercept"] + sum(
        COEFFICIENTS[name] * values for name, values in features(quality).items()
    )
    return 1 / (1 + np.exp(-np.asarray(total, float)))


def accept(
    quality: dict[str, np.ndarray], settings: QualitySettings | None = None, kind: str = "raw"
) -> np.ndarray:
    """Which cells of a session of some kind pass all tests, bool (K,)."""
    settings = settings or QualitySettings()
    low, high = settings.width
    least = LEAST_CONTRAST[kind] if settings.contrast is None else settings.contrast
    return (
        (quality["score"] >= settings.score)
        & (quality["contrast"] >= least)
        & (quality["snr"] >= settings.snr)
        & (quality["consistency"] >= settings.consistency)
        & (quality["width"] >= low)
        & (quality["width"] <= high)
    )
