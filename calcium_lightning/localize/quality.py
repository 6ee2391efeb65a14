"""How far a cell can be trusted: measured properties, one score, and the tests that accept it.

A cell is real, which the recording's twin tells (:mod:`~calcium_lightning.localize.discovery`), and it looks
like a cell: compact, in focus, its own. How much it looks like one is a logistic regression on the
properties, fitted on simulated sessions (``experiments/quality``). Knows arrays only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.localize.trace_statistics import TraceStatistics

#: the score looks at how often a cell is localised in so many frames
PER_FRAMES = 1000

#: what tells cells from what else brightens, after :func:`features`; fitted (experiments/quality), but for
#: "unseen": simulations, whose haze is poor, ask for less than pictures of real recordings
COEFFICIENTS: dict[str, float] = {
    "intercept": -10.44,
    "log_focus": 1.03,
    "consistency": 8.53,
    "skewness": 2.13,
    "log_localized": 0.33,
    "unseen": -3.3,
}
#: what the logarithm of the contrast adds to that where noise wanders: what was fitted on simulations, whose
#: noise is white, takes blobs of such noise for cells
STANDS_OUT = 4.0
#: what the logarithm of how steeply a trace falls takes off there: what an encoder leaves as it is until it
#: codes the place anew ends as it began. Less than the least and more than the most tells no more
FALLS, FALLING = 2.0, (0.05, 2.0)
#: with less than this coincidence, a cell is the less likely the less it is
SEEN = 0.4


#: default of :attr:`QualitySettings.contrast`. ΔF/F frames were resampled and smoothed: their noise comes in
#: blobs that look like footprints, so a cell must stand out in time instead. How far was chosen on annotated
#: sessions, each left out in turn (experiments/quality).
LEAST_CONTRAST = {"raw": 1.5, "dff": 3.5}
#: where frames show so much of a cell's activity in its place, no more contrast than this is needed
SHOWN, SHOWN_CONTRAST = 0.6, 2.5


@dataclass(frozen=True)
class QualitySettings:
    """The tests of acceptance; a cell must pass all of them.

    Attributes
    ----------
    fdr : float
        Greatest false-discovery rate among the accepted, as the recording's twin tells it.
    score : float
        Least score: probability of being a cell. The F1 is greatest where a score of half of it is accepted
        (Lipton et al. 2014).
    contrast : float, optional
        Least :attr:`TraceStatistics.contrast`; default 1.5 for raw sessions and 3.5 for ΔF/F, 2.5 for what
        frames show by itself (a coincidence of 0.6 or more).
    snr : float
        Least peak of the denoised trace over the trace's noise.
    consistency : float
        Least correlation between the footprint and the picture of the cell regressed from the frames.
    focus : float
        Least strength of that picture within a cell over that around it: what is out of focus, or noise that
        hangs together over the field, is as strong around it.
    width : (float, float)
        Least and greatest width of the footprint, relative to the session's cell diameter.
    compactness : float
        Least likeness of the footprint to a round cell of a typical size: with less, most of it is something
        else, as a scatter of specks is, whose activity may be real.
    localizations : int
        Least number of localisations that it claims: what is seen in no frame, but in what cells leave of
        it, is mostly what their footprints don't fit.
    revisits : float
        Greatest correlation of the trace with what it was when the tissue lay in the same place, where a
        codec's blocks stand still.
    edge : float
        Least distance from a lens's edge, cell diameters: its shade moves against the tissue, and cuts
        footprints off.
    border : float
        Greatest share of the activity in frames whose border cuts the cell, where the field drifts so far
        that it passes: what is bright only then is a part of another cell.
    lasting : float
        Least share of a transient's duration, as fitted, that bright moments of the trace last: a flash of
        a frame or two is no calcium.
    """

    fdr: float = 0.05
    score: float = 0.4
    contrast: float | None = None
    snr: float = 1.0
    consistency: float = 0.3
    focus: float = 1.9
    width: tuple[float, float] = field(default=(0.45, 2.2))
    compactness: float = 0.7
    localizations: int = 1
    revisits: float = 0.35
    edge: float = 0.5
    border: float = 0.65
    lasting: float = 0.15

    def __post_init__(self) -> None:
        """Refuse a rate that is none.

        Raises
        ------
        InputError
            Naming the key.
        """
        if isinstance(self.fdr, bool) or not isinstance(self.fdr, int | float) or not 0 < self.fdr <= 1:
            raise InputError(f"fdr={self.fdr}: a share above 0 and up to 1; 0.05 is usual")


def measure(
    traces: TraceStatistics,
    consistency: np.ndarray,
    focus: np.ndarray,
    shape: dict[str, np.ndarray],
    localizations: np.ndarray,
    coincidence: np.ndarray,
    n_frames: int,
    seen: np.ndarray,
    vessel: np.ndarray,
    chance: float | None = None,
) -> dict[str, np.ndarray]:
    """Properties of K candidates, of the recording or of its twin.

    Parameters
    ----------
    traces : TraceStatistics
        Of their traces.
    consistency : ndarray (K,)
        Correlation of footprint and regressed picture.
    focus : ndarray (K,)
        Strength of that picture within a cell over that around it.
    shape : dict of str to ndarray (K,)
        :func:`~calcium_lightning.localize.footprints.shape_of` their footprints.
    localizations : ndarray (K,)
        Number of localisations that a cell claims.
    coincidence : ndarray (K,)
        :func:`~calcium_lightning.localize.coincidence.coincidence` of activity and localisations.
    n_frames : int
        Of the session, T.
    seen : ndarray (K,)
        Share of the frames in which the cell's centre was on the sensor.
    vessel : ndarray (K,)
        Share of its footprint that lies on a vessel.
    chance : float, optional
        What the twin's brightest moments are compared with: :attr:`TraceStatistics.chance` of the recording;
        default: that of these traces.

    Returns
    -------
    dict of str to ndarray, float64 (K,)
        ``snr`` (peak over noise), ``contrast``, ``evidence``, ``skewness``, ``moments``, ``lasting`` and
        ``falling`` (:class:`TraceStatistics`), ``asymmetry`` (brightest over darkest moment),
        ``consistency``, ``focus``, ``width``, ``elongation``, ``compactness``, ``localizations``,
        ``localized`` (localisations per frame), ``coincidence``, ``seen``, ``vessel``.
    """
    return {
        "snr": traces.peak / traces.noise,
        "contrast": traces.contrast if chance is None else traces.contrast_over(chance),
        "evidence": traces.evidence,
        "skewness": traces.skewness,
        "moments": traces.moments,
        "lasting": traces.lasting,
        "falling": traces.falling,
        "asymmetry": np.maximum(traces.high, 1e-9) / np.maximum(-traces.low, 1e-9),
        "consistency": np.asarray(consistency, float),
        "focus": np.asarray(focus, float),
        **shape,
        "localizations": np.asarray(localizations, float),
        "localized": np.asarray(localizations, float) / n_frames,
        "coincidence": np.asarray(coincidence, float),
        "seen": np.asarray(seen, float),
        "vessel": np.asarray(vessel, float),
    }


def features(quality: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the fitted regression sees, (K,) each."""
    return {
        "log_focus": np.log(np.maximum(quality["focus"], 0.05)),
        "consistency": np.asarray(quality["consistency"], float),
        "skewness": np.arcsinh(quality["skewness"]),
        # What a place claims by chance grows with the recording, so it is counted per frame.
        "log_localized": np.log1p(PER_FRAMES * quality["localized"]),
        # Brighter neighbours hide a cell in many frames, so a good part of its activity is enough.
        "unseen": np.maximum(1 - quality["coincidence"] / SEEN, 0.0),
    }


def evidence_features(quality: dict[str, np.ndarray]) -> np.ndarray:
    """What a score may be learned from in the recording itself, (K, F)."""
    more = {
        "log_snr": np.log(np.maximum(quality["snr"], 0.1)),
        "log_evidence": np.log(np.maximum(quality["evidence"], 0.1)),
        "log_asymmetry": np.log(np.clip(quality["asymmetry"], 1e-3, 1e3)),
        "log_moments": np.log(np.maximum(quality["moments"], 1.0)),
        "log_width": np.log(np.maximum(quality["width"], 0.05)),
        "log_elongation": np.log(np.maximum(quality["elongation"], 1.0)),
        "compactness": quality["compactness"],
        "vessel": quality["vessel"],
    }
    return np.column_stack([*features(quality).values(), *more.values()])


def likeness(quality: dict[str, np.ndarray]) -> np.ndarray:
    """Logarithm of the odds of being a cell rather than something else that brightens, (K,)."""
    total = COEFFICIENTS["intercept"] + sum(
        COEFFICIENTS[name] * values for name, values in features(quality).items()
    )
    return np.asarray(total, float)


def prominence(quality: dict[str, np.ndarray]) -> np.ndarray:
    """How far each candidate stands out of noise that wanders, for cells to be told from chance, (K,)."""
    return np.asarray(
        STANDS_OUT * np.log(np.maximum(quality["contrast"], 0.1))
        - FALLS * np.log(np.clip(quality["falling"], *FALLING))
    )


def accept(
    quality: dict[str, np.ndarray], settings: QualitySettings | None = None, kind: str = "raw"
) -> np.ndarray:
    """Which cells of a session of some kind pass all tests, bool (K,).

    ``quality`` holds ``fdr`` and ``score``, too, and may hold ``compactness``, ``revisits``, ``companion``,
    ``edge``, ``border`` and ``lasting``.
    """
    settings = settings or QualitySettings()
    low, high = settings.width
    passed = (
        (quality["fdr"] <= settings.fdr)
        & (quality["score"] >= settings.score)
        & (quality["contrast"] >= least_contrast(quality, settings, kind))
        & (quality["snr"] >= settings.snr)
        & (quality["consistency"] >= settings.consistency)
        & (quality["focus"] >= settings.focus)
        & (quality["width"] >= low)
        & (quality["width"] <= high)
        & (quality["localizations"] >= settings.localizations)
    )
    # Older cells files don't tell these; nan is of a cell that a person has made.
    for name, most in (("revisits", settings.revisits), ("border", settings.border), ("companion", 0.0)):
        if name in quality:
            passed &= ~(quality[name] > most)
    leasts = (("compactness", settings.compactness), ("edge", settings.edge), ("lasting", settings.lasting))
    for name, least in leasts:
        if name in quality:
            passed &= ~(quality[name] < least)
    return np.asarray(passed, bool)


def least_contrast(quality: Mapping[str, np.ndarray], settings: QualitySettings, kind: str) -> np.ndarray:
    """What the contrast of each cell must be in a session of some kind, (K,)."""
    least = np.full(len(quality["contrast"]), settings.contrast or 0.0)
    if settings.contrast is None:
        least[:] = LEAST_CONTRAST[kind]
        if "coincidence" in quality:  # older cells files don't tell
            shown = quality["coincidence"] >= SHOWN
            least[shown] = np.minimum(least[shown], SHOWN_CONTRAST)
    return least
