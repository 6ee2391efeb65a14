"""When cells fire and what calcium makes of it: bursts in continuous time, rise and decay, exposure by frame.

Knows times only, nothing of space or brightness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from calcium_lightning.simulation.settings import SceneSettings

CELLS_AT_ONCE = 64  # bounds the memory of the convolution


@dataclass(frozen=True)
class Activity:
    """Spikes and calcium of K cells in T frames.

    Attributes
    ----------
    spikes : ndarray, float32 (K, T)
        Number of spikes in each frame.
    calcium : ndarray, float32 (K, T)
        Mean over each frame's exposure; the peak of the cell's mean burst is about 1.
    """

    spikes: np.ndarray
    calcium: np.ndarray


def draw_activity(count: int, settings: SceneSettings, rng: np.random.Generator) -> Activity:
    """Draw the activity of `count` cells, which began before the first frame.

    Bursts are a Poisson process; a burst has one spike and a Poisson number of further ones at exponential
    intervals. Calcium is the spikes convolved with exp(-t / decay) - exp(-t / rise), scaled to a peak of 1.
    """
    n_frames, fps = settings.n_frames, settings.fps
    substeps = max(1, math.ceil(40.0 / fps))
    step = 1.0 / (fps * substeps)
    rise = rng.uniform(*settings.rise_s, count)
    decay = rng.uniform(*settings.decay_s, count)
    warmup = math.ceil(6 * settings.decay_s[1] * fps)  # frames before the first
    total = n_frames + warmup
    cell, time, per_burst = _spike_times(count, total / fps, settings, rng)
    index = np.minimum((time / step).astype(np.int64), total * substeps - 1)
    cell, index = cell[time < total / fps], index[time < total / fps]
    spikes = np.empty((count, n_frames), np.float32)
    calcium = np.empty((count, n_frames), np.float32)
    length = math.ceil(10 * settings.decay_s[1] / step) + 1
    grid = (np.arange(length) + 0.5) * step
    size = _fast_length(total * substeps + length)
    for begin in range(0, count, CELLS_AT_ONCE):
        rows = slice(begin, min(begin + CELLS_AT_ONCE, count))
        some = slice(*np.searchsorted(cell, [rows.start, rows.stop]))  # spikes are in the order of cells
        flat = np.bincount(
            (cell[some] - begin) * (total * substeps) + index[some],
            minlength=(rows.stop - begin) * total * substeps,
        )
        counts = flat.reshape(-1, total * substeps).astype(np.float32)
        spikes[rows] = counts.reshape(-1, total, substeps).sum(2)[:, warmup:]
        kernel = np.exp(-grid / decay[rows, None]) - np.exp(-grid / rise[rows, None])
        peak = np.log(decay[rows] / rise[rows]) * decay[rows] * rise[rows] / (decay[rows] - rise[rows])
        kernel /= (np.exp(-peak / decay[rows]) - np.exp(-peak / rise[rows]))[:, None]
        spectrum = np.fft.rfft(counts, size) * np.fft.rfft(kernel, size)
        fine = np.fft.irfft(spectrum, size)[:, : total * substeps]
        calcium[rows] = fine.reshape(len(fine), total, substeps).mean(2)[:, warmup:]
    # The spikes of a burst pile up almost whole, for a burst is short beside the decay.
    span = np.maximum(per_burst - 1, 0) / settings.burst_rate_hz
    calcium /= (per_burst * np.exp(-0.5 * span / decay))[:, None].astype(np.float32)
    return Activity(spikes, np.maximum(calcium, 0, out=calcium))


def _spike_times(
    count: int, seconds: float, settings: SceneSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell and time of every spike, and each cell's mean number of spikes in a burst."""
    low, high = np.log(settings.bursts_per_second).tolist()
    rate = np.exp(rng.uniform(low, high, count))
    per_burst = rng.uniform(*settings.spikes_per_burst, count)
    bursts = rng.poisson(rate * seconds)
    cell = np.repeat(np.arange(count), bursts)
    begin = rng.uniform(0, seconds, len(cell))
    if settings.synchrony > 0 and count:
        # Cells of an assembly share some of their moments.
        assembly = rng.integers(0, max(1, count // 12), count)
        moments = max(1, math.ceil(rate.mean() * seconds))
        shared = rng.uniform(0, seconds, (assembly.max() + 1, moments))
        joins = rng.random(len(cell)) < settings.synchrony
        pick = rng.integers(0, moments, len(cell))
        jitter = rng.exponential(0.05, len(cell))
        begin = np.where(joins, shared[assembly[cell], pick] + jitter, begin)
    spikes = 1 + rng.poisson(per_burst[cell] - 1)
    first = np.cumsum(spikes) - spikes
    gaps = rng.exponential(1.0 / settings.burst_rate_hz, int(spikes.sum()))
    if len(first):
        gaps[first] = 0.0
    elapsed = np.cumsum(gaps)
    time = np.repeat(begin, spikes) + elapsed - np.repeat(elapsed[first] if len(first) else elapsed, spikes)
    return np.repeat(cell, spikes), time, per_burst


def slow_courses(
    count: int, n_frames: int, fps: float, time_s: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Draw random time courses, float64 (count, T), with mean 0 and variance 1.

    Ornstein-Uhlenbeck processes with correlation times in a log-uniform range, half of them made skew, as
    calcium is.
    """
    low, high = np.log(time_s).tolist()
    keep = np.exp(-1.0 / (np.exp(rng.uniform(low, high, count)) * fps))
    white = rng.standard_normal((count, n_frames + 1))
    courses = np.empty((count, n_frames))
    for row in range(count):
        innovation = math.sqrt(1 - keep[row] ** 2)
        start = keep[row] * white[row, :1]
        courses[row] = lfilter([innovation], [1.0, -keep[row]], white[row, 1:], zi=start)[0]
    skew = np.arange(count) % 2 == 1
    courses[skew] = np.exp(0.5 * courses[skew])
    return standardized(courses)


def standardized(courses: np.ndarray) -> np.ndarray:
    """Return time courses (N, T) with mean 0 and variance 1; constant ones become 0."""
    centered = courses - courses.mean(1, keepdims=True)
    spread = centered.std(1, keepdims=True)
    return centered / np.where(spread > 1e-9, spread, np.inf)


def _fast_length(length: int) -> int:
    from scipy.fft import next_fast_len

    return int(next_fast_len(length, real=True))
