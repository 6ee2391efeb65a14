"""Activity from traces: baselines, the session's calcium kernel, deconvolution with ``calab``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter1d, percentile_filter
from scipy.optimize import minimize

from calcium_lightning.core.scale import MAD_TO_STD
from calcium_lightning.localize.solvers import solve_all

#: most that the deconvolution takes off a fitted plateau, in units of the noise
MOST_PENALTY = 1.0
#: largest factor by which the deconvolution's penalty is taken to have shrunk a trace
MOST_SHRINKAGE = 2.0
#: rise and decay that differ by less than these shares change a fit by a tenth of its noise
RESEMBLANCE = (0.1, 0.05)
#: after so many decay times nothing is left of a spike
KERNEL_DECAYS = 8
#: a cell's autocovariance is so many times as far from the middle one as most are, or it tells nothing
MOST_UNLIKE = 4.0
#: between which times a kernel is looked for, logarithms of seconds
LOG_RISE, LOG_DECAY = (math.log(0.01), math.log(0.5)), (math.log(0.1), math.log(4.0))
#: so many of each are tried before the best is refined
GRID = 16


@dataclass(frozen=True)
class Kernel:
    """Calcium response to a spike: exp(-t/decay) - exp(-t/rise), seconds."""

    rise_s: float
    decay_s: float

    def resembles(self, other: Kernel) -> bool:
        """Whether both times are the other's, but for :data:`RESEMBLANCE` (of rise, of decay)."""
        ratios = self.rise_s / other.rise_s, self.decay_s / other.decay_s
        return all(abs(ratio - 1) < least for ratio, least in zip(ratios, RESEMBLANCE, strict=True))

    def spread(self, fps: float) -> float:
        """Root of the sum of its squares, over its sum, at ``fps`` Hz."""
        # Where a frame lasts longer than the response, one frame shows it.
        time = np.arange(1 + max(1, int(KERNEL_DECAYS * self.decay_s * fps))) / fps
        response = np.exp(-time / self.decay_s) - np.exp(-time / self.rise_s)
        return float(np.linalg.norm(response) / response.sum())


#: where nothing tells
UNKNOWN = Kernel(0.1, 0.6)


@dataclass(frozen=True)
class Activity:
    """What deconvolution gives, (K, T) each.

    Attributes
    ----------
    traces : ndarray, float32
        The input with its baseline at 0.
    denoised, spikes : ndarray, float32
        The fitted calcium trace, and the activity that drives it.
    noise : ndarray, float32 (K,)
        Standard deviation of the traces' noise.
    """

    traces: np.ndarray
    denoised: np.ndarray
    spikes: np.ndarray
    noise: np.ndarray


def trace_noise(traces: np.ndarray, wander: float = 1.0) -> np.ndarray:
    """Standard deviation of the noise in traces (K, T), from second differences, robustly, float32 (K,).

    Parameters
    ----------
    traces : ndarray (K, T)
    wander : float
        What these differences miss of noise that is alike in neighbouring frames: a factor, 1 for
        white noise.
    """
    if traces.shape[1] < 4:
        return np.maximum(traces.std(1), 1e-9).astype(np.float32)
    difference = traces[:, 2:] - 2 * traces[:, 1:-1] + traces[:, :-2]
    white = np.median(np.abs(difference), 1) * MAD_TO_STD / np.sqrt(6)
    return np.maximum(wander * white, 1e-9).astype(np.float32)


def remove_baseline(traces: np.ndarray, fps: float, seconds: float = 60.0) -> np.ndarray:
    """Bring the quiet level of traces (K, T) to 0.

    The level is the 30th percentile of the smoothed trace in a sliding time: what activity adds to the median
    and what noise takes from the percentile about cancel.
    """
    count, length = traces.shape
    if not count:
        return traces.astype(np.float32)
    smooth = gaussian_filter1d(traces, max(0.5, 0.15 * fps), axis=1, mode="nearest")
    window = round(seconds * fps)
    if window >= length:
        level = np.percentile(smooth, 30, axis=1, keepdims=True)
    else:
        step = max(1, window // 40)
        coarse = percentile_filter(smooth[:, ::step], 30, size=(1, max(3, window // step)), mode="nearest")
        coarse = gaussian_filter1d(coarse, window / (8 * step), axis=1, mode="nearest")
        position = np.arange(length) / step
        left = np.minimum(position.astype(int), coarse.shape[1] - 1)
        right = np.minimum(left + 1, coarse.shape[1] - 1)
        share = np.clip(position - left, 0, 1).astype(np.float32)
        level = coarse[:, left] * (1 - share) + coarse[:, right] * share
    return (traces - level).astype(np.float32)


def autocovariance(traces: np.ndarray, fps: float, longest_s: float = 3.0) -> np.ndarray:
    """Autocovariance of traces at lags up to ``longest_s``, over their noise's variance, (K, lags + 1).

    No lags at all for traces that are too short to say something.
    """
    count, length = traces.shape
    lags = int(min(longest_s * fps, length // 4))
    if not count or lags < 4:
        return np.zeros((count, 0))
    scaled = (traces - traces.mean(1, keepdims=True)) / trace_noise(traces)[:, None]
    spectrum = np.abs(fft.rfft(scaled, fft.next_fast_len(length + lags, real=True), axis=1)) ** 2
    return fft.irfft(spectrum, fft.next_fast_len(length + lags, real=True), axis=1)[:, : lags + 1] / length


def fit_kernel(covariance: np.ndarray, fps: float, summed: int = 1) -> Kernel:
    """Rise and decay of the cells with most signal.

    White noise contributes at lag 0 only, so the kernel's autocovariance is fitted to the other lags
    (Pnevmatikakis et al. 2016 use the same lags for AR coefficients).

    Parameters
    ----------
    covariance : ndarray (K, lags + 1)
        :func:`autocovariance` of all cells.
    fps : float
        Frame rate, Hz.
    summed : int
        How many frames of the recording each of these frames is the sum of.
    """
    count, lags = len(covariance), covariance.shape[1] - 1
    if not count or lags < 4:
        return UNKNOWN
    chosen = covariance[np.argsort(-covariance[:, 0])[: max(5, count // 3)]]
    # Every clear cell counts the same, and one without signal (in units of its noise: less than 1) hardly.
    curves = chosen[:, 1:] / (1 + np.abs(chosen[:, 1:]).max(1, keepdims=True))
    # What repeats itself, as a lamp or a clock in the picture does, is like no cell.
    unlike = np.square(curves - np.median(curves, 0)).mean(1)
    mean = curves[unlike <= MOST_UNLIKE**2 * np.median(unlike)].mean(0)
    lag = np.arange(1, lags + 1) / fps
    # Sums are as alike as the frames that they are of, each of the one with each of the other.
    apart = np.arange(1 - summed, summed)
    between, share = lag[:, None] + apart / (summed * fps), (summed - np.abs(apart)) / summed**2
    weights = np.exp(-lag / 2.0)
    constant = weights / np.sqrt((weights**2).sum())

    def without_constant(columns: np.ndarray) -> np.ndarray:
        return columns - (columns @ constant)[..., None] * constant

    wanted = without_constant(mean * weights)
    if not wanted @ wanted > 0:  # nothing is in these traces
        return UNKNOWN

    def decays(tau: np.ndarray) -> np.ndarray:
        return (tau[..., None, None] * np.exp(-between / tau[..., None, None])) @ share

    def misfit(rise: np.ndarray, decay: np.ndarray, difference: np.ndarray) -> np.ndarray:
        """Least squares of the kernel's autocovariance and a constant, by its residual."""
        longer = np.maximum(decay - rise, 1e-3)
        shape = without_constant(difference / longer[..., None] * weights)
        explained = (shape @ wanted) ** 2 / np.maximum((shape**2).sum(-1), 1e-30)
        return wanted @ wanted - explained

    def misfit_of(parameters: np.ndarray) -> float:
        rise, decay = taus = np.array(_taus(parameters))
        of_rise, of_decay = decays(taus)
        return float(misfit(rise, decay, of_decay - of_rise))

    # The valley is found on a grid, all of it at once, and its bottom from there.
    grid = np.exp(np.linspace(*LOG_DECAY, GRID)), np.exp(np.linspace(*LOG_RISE, GRID))
    decay, rise = np.meshgrid(*grid, indexing="ij")
    tried = misfit(rise, decay, decays(grid[0])[:, None] - decays(grid[1])[None])
    tried[rise > 0.8 * decay] = np.inf
    start = np.unravel_index(int(tried.argmin()), tried.shape)
    best = minimize(misfit_of, np.log([rise[start], decay[start]]), method="Nelder-Mead")
    rise_s, decay_s = _taus(best.x)
    return Kernel(rise_s, decay_s)


def _taus(parameters: np.ndarray) -> tuple[float, float]:
    rise = float(np.exp(min(max(parameters[0], LOG_RISE[0]), LOG_RISE[1])))
    decay = float(np.exp(min(max(parameters[1], LOG_DECAY[0]), LOG_DECAY[1])))
    return min(rise, 0.8 * decay), decay


def deconvolve(
    traces: np.ndarray,
    fps: float,
    kernel: Kernel,
    sparsity: float = 6.0,
    iterations: int = 300,
    wander: float = 1.0,
) -> Activity:
    """Deconvolve unclipped traces.

    Parameters
    ----------
    traces : ndarray, float32 (K, T)
        Baseline at 0, unclipped, any units.
    fps : float
        Frame rate, Hz.
    kernel : Kernel
        The session's.
    sparsity : float
        L1 penalty: by so many standard deviations of what the trace's noise alone makes of it a spike must
        stand out. So slow and fast indicators, and frame rates, are asked for the same evidence; but no
        plateau is shrunk by more than :data:`MOST_PENALTY` of the noise.
    iterations : int
        Most iterations of the solver.
    wander : float
        Of the noise, as in :func:`trace_noise`.
    """
    noise = trace_noise(traces, wander)
    # In units of the kernel's sum, which grows faster with its length than what noise makes of a spike.
    penalty = min(sparsity * kernel.spread(fps), MOST_PENALTY)
    problem = kernel.rise_s, kernel.decay_s, penalty, fps, iterations
    spikes, fitted, level = solve_all(traces / noise[:, None], problem)
    unit = noise[:, None]
    return Activity(
        traces=(traces - level * unit).astype(np.float32),
        denoised=(fitted * unit).astype(np.float32),
        spikes=(spikes * unit).astype(np.float32),
        noise=noise,
    )


def shrinkage(activity: Activity) -> np.ndarray:
    """By how much the deconvolution's penalty has shrunk each fitted trace, float32 (K,).

    The size of the fitted trace is regressed on the trace again: a factor of 1 to :data:`MOST_SHRINKAGE`.
    """
    trace, calcium = activity.traces, activity.denoised
    energy = np.einsum("kt,kt->k", calcium, calcium)
    gain = np.einsum("kt,kt->k", trace, calcium) / np.maximum(energy, 1e-12)
    return np.where(energy > 0, np.clip(gain, 1.0, MOST_SHRINKAGE), 1.0).astype(np.float32)
