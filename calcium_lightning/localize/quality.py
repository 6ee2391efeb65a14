"""How far a cell can be trusted: measured properties, one score, and the tests that accept it.

A cell is real, which the recording's twin tells (:mod:`~calcium_lightning.localize.discovery`), and it looks
like a cell: compact, in focus, its own. How much it looks like one is a logistic regression on the
properties, fitted on simulated sessions (``experiments/quality``). Knows arrays only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtri

from calcium_lightning.core.errors import InputError
from calcium_lightning.localize.activity import Activity, shrinkage

#: smoothing of the traces whose excursions are compared, standard deviation in seconds
SMOOTH_S = 0.2
#: a calcium transient lasts longer than so many seconds; a flash, or a fault of a frame, may not
BRIEF_S = 0.15
#: only moments so many times brighter than the noise tell how long they last: dimmer ones may be those that
#: noise has brightened
CLEAR = 8.0
#: where a fitted transient keeps less than this share of itself for so long, a brief one is no surprise
SLOW = 0.4
#: share of the frames that counts as extreme
EXTREME = 0.002
#: noise goes below its mean by no more than so many standard deviations in that share of the frames
CHANCE_SIGMAS = float(-ndtri(EXTREME))
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
    localizations : int
        Least number of localisations that it claims: what is seen in no frame, but in what cells leave of
        it, is mostly what their footprints don't fit.
    revisits : float
        Greatest correlation of the trace with what it was when the tissue lay in the same place, where a
        codec's blocks stand still.
    lasting: float
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
    localizations: int = 1
    revisits: float = 0.35
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
    skewness : ndarray
        Of the smoothed trace: above 0 for what brightens now and then, 0 for noise.
    moments : ndarray
        How many different seconds hold the denoised trace's energy.
    lasting : ndarray
        :func:`lasting`.
    """

    noise: np.ndarray
    peak: np.ndarray
    energy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    gain: np.ndarray
    skewness: np.ndarray
    moments: np.ndarray
    lasting: np.ndarray

    @classmethod
    def of(cls, activity: Activity, fps: float) -> TraceStatistics:
        """Look at the traces of some cells, at ``fps`` Hz."""
        denoised = activity.denoised
        low, high, skewness = extremes(activity.traces, fps)
        return cls(
            noise=activity.noise,
            peak=denoised.max(1, initial=0),
            energy=np.einsum("kt,kt->k", denoised, denoised),
            low=low,
            high=high,
            mean=activity.traces.mean(1) if activity.traces.size else np.zeros(len(denoised)),
            gain=shrinkage(activity),
            skewness=skewness,
            moments=active_moments(denoised, fps),
            lasting=lasting(activity, fps),
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

    def replaced(self, rows: np.ndarray, part: TraceStatistics) -> TraceStatistics:
        """The same with others for some rows."""
        changed = {}
        for name in (entry.name for entry in fields(self)):
            changed[name] = getattr(self, name).copy()
            changed[name][rows] = getattr(part, name)
        return TraceStatistics(**changed)

    def __len__(self) -> int:
        return len(self.noise)

    @property
    def evidence(self) -> np.ndarray:
        """Root of the denoised traces' energy over the noise's variance."""
        return np.sqrt(self.energy) / self.noise

    @property
    def chance(self) -> float:
        """How bright chance gets: the darkest moment of a typical cell of the session.

        Cells only ever brighten; noise, neuropil and motion go both ways alike. So the session's own downward
        excursions say how large an upward one chance would give, whatever the noise is like: a decoy for
        every target. Where cells are lit most of the time, the dark between two transients is no chance:
        noise alone goes down by :data:`CHANCE_SIGMAS` at most.
        """
        if not len(self):
            return 0.0
        return min(float(np.median(-self.low)), CHANCE_SIGMAS * float(np.median(self.noise)))

    @property
    def contrast(self) -> np.ndarray:
        """Brightest moment of each cell over :attr:`chance`, about 1 for noise."""
        return self.contrast_over(self.chance)

    def contrast_over(self, chance: float) -> np.ndarray:
        """The same where chance is known from others: the twin's cells are as bright as the recording's."""
        return np.asarray(self.high / max(chance, 1e-12))


def extremes(traces: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Darkest and brightest moment of smoothed, unclipped traces (K, T), from the median; their skewness.

    Returns
    -------
    low, high, skewness : ndarray (K,)
    """
    if not traces.size:
        return np.zeros(len(traces)), np.zeros(len(traces)), np.zeros(len(traces))
    smooth = gaussian_filter1d(traces, max(0.5, SMOOTH_S * fps), axis=1)
    low, middle, high = np.quantile(smooth, [EXTREME, 0.5, 1 - EXTREME], axis=1)
    smooth -= smooth.mean(1, keepdims=True)
    square = np.einsum("kt,kt->k", smooth, smooth) / smooth.shape[1]
    cube = np.einsum("kt,kt,kt->k", smooth, smooth, smooth) / smooth.shape[1]
    return low - middle, high - middle, cube / np.maximum(square, 1e-18) ** 1.5


def active_moments(denoised: np.ndarray, fps: float) -> np.ndarray:
    """How many different seconds hold the energy of denoised traces (K, T), (K,)."""
    second = max(1, round(fps))
    whole = denoised[:, : denoised.shape[1] // second * second] if denoised.shape[1] >= second else denoised
    if not whole.size:
        return np.zeros(len(denoised))
    energy = np.square(whole).reshape(len(whole), -1, min(second, whole.shape[1])).sum(2, dtype=np.float64)
    return energy.sum(1) ** 2 / np.maximum(np.square(energy).sum(1), 1e-18)


def lasting(activity: Activity, fps: float) -> np.ndarray:
    """How much of their brightness bright moments keep for 0.15 s, over what the fitted transients keep.

    About 1 for calcium; 0 for what flashes for a frame or two, whose fit goes on where the trace doesn't. 1
    where nothing tells: no bright moment, or transients as short as that.

    Parameters
    ----------
    activity : Activity
        Of K cells.
    fps : float
        Hz.

    Returns
    -------
    ndarray (K,)
    """
    later = max(1, int(BRIEF_S * fps))
    if activity.traces.shape[1] <= later:
        return np.ones(len(activity.traces))
    bright = activity.traces[:, :-later] > CLEAR * activity.noise[:, None]
    kept, fitted = (_kept(values, bright, later) for values in (activity.traces, activity.denoised))
    return np.where(fitted < SLOW, 1.0, kept / np.maximum(fitted, SLOW))


def _kept(values: np.ndarray, where: np.ndarray, later: int) -> np.ndarray:
    """Share of some values (K, T) that is there ``later``, weighted with their squares; 0 without any."""
    now = np.where(where, values[:, :-later], 0.0)
    energy = np.einsum("kt,kt->k", now, now)
    return np.einsum("kt,kt->k", now, values[:, later:]) / np.maximum(energy, 1e-18)


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
        ``snr`` (peak over noise), ``contrast``, ``evidence``, ``skewness``, ``moments`` and ``lasting``
        (:class:`TraceStatistics`), ``asymmetry`` (brightest over darkest moment), ``consistency``, ``focus``,
        ``width``, ``elongation``, ``compactness``, ``localizations``, ``localized`` (localisations per
        frame), ``coincidence``, ``seen``, ``vessel``.
    """
    return {
        "snr": traces.peak / traces.noise,
        "contrast": traces.contrast if chance is None else traces.contrast_over(chance),
        "evidence": traces.evidence,
        "skewness": traces.skewness,
        "moments": traces.moments,
        "lasting": traces.lasting,
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
    return STANDS_OUT * np.log(np.maximum(quality["contrast"], 0.1))


def accept(
    quality: dict[str, np.ndarray], settings: QualitySettings | None = None, kind: str = "raw"
) -> np.ndarray:
    """Which cells of a session of some kind pass all tests, bool (K,).

    ``quality`` holds ``fdr`` and ``score``, too, and may hold ``revisits``, ``companion`` and ``lasting``.
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
    for name, most in (("revisits", settings.revisits), ("companion", 0.0)):
        if name in quality:  # older cells files don't tell
            passed &= ~(quality[name] > most)  # nor do they where it is nan: a cell that a person has made
    if "lasting" in quality:
        passed &= ~(quality["lasting"] < settings.lasting)
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
