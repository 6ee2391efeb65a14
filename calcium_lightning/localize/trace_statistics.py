"""What the traces of cells show: how bright and how dark they get, how often, and for how long.

Knows traces; nothing of where cells lie, nor which are accepted for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtri

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
    falling : ndarray
        :func:`falling`.
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
    falling: np.ndarray

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
            falling=falling(activity.traces, fps),
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


def falling(traces: np.ndarray, fps: float) -> np.ndarray:
    """How far traces fall at most within 0.15 s, over how far they rise at most.

    Calcium falls more slowly than it rises. Noise does both alike, and so does what comes and goes with the
    tissue's motion, or what an encoder leaves as it is until it codes the place anew: about 1.

    Parameters
    ----------
    traces : ndarray (K, T)
        Unclipped.
    fps : float
        Hz.

    Returns
    -------
    ndarray (K,)
        1 where nothing tells: traces that are as short as that, or never rise.
    """
    later = max(1, round(BRIEF_S * fps))
    if traces.shape[1] <= later:
        return np.ones(len(traces))
    change = traces[:, later:] - traces[:, :-later]
    rise, fall = change.max(1), -change.min(1)
    return np.where(rise > 0, np.maximum(fall, 0.0) / np.maximum(rise, 1e-12), 1.0)
