"""Calcium events: when a cell's calcium rose clearly above the noise, and by how much.

For: tables, reports and exports; arrays in, a table out.
Must not know: how traces were found, or where they are kept. Deconvolved activity (``spikes``) tells how
calcium was driven in every frame; an event is what a person would mark in the trace.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from calcium_lightning.core.scale import MAD_TO_STD

#: a rise counts from so many standard deviations of the trace's noise on
THRESHOLD = 3.0
#: an event begins where this share of its rise is passed, and is over where so much of it is left
BEGUN, OVER = 0.1, 0.5


@dataclass(frozen=True)
class Events:
    """Events of all cells, (N,) each, ordered by cell and time.

    Attributes
    ----------
    cell : ndarray, int64
        Row of the cell.
    onset_frame, peak_frame : ndarray, int64
        The first frame above a tenth of the rise, and that of the highest value.
    amplitude : ndarray, float32
        The rise from the trough before it to the peak, in the units of the traces.
    snr : ndarray, float32
        The amplitude over the standard deviation of the trace's noise.
    duration_frames : ndarray, float64
        From the onset until half of the rise is lost, or the next event begins.
    """

    cell: np.ndarray
    onset_frame: np.ndarray
    peak_frame: np.ndarray
    amplitude: np.ndarray
    snr: np.ndarray
    duration_frames: np.ndarray

    def __len__(self) -> int:
        return len(self.cell)

    def counts(self, n_cells: int) -> np.ndarray:
        """How many each of K cells has, int64 (K,)."""
        return np.bincount(self.cell, minlength=n_cells)


def residual_noise(traces: np.ndarray, denoised: np.ndarray) -> np.ndarray:
    """Standard deviation of what the fit leaves of traces (K, T), robustly, float64 (K,).

    Frames that were not measured (``nan``) are left out; a trace of nothing else has no noise.
    """
    noise = np.zeros(len(traces))
    known = np.isfinite(traces).any(axis=1) if traces.size else np.zeros(len(traces), bool)
    rest = np.asarray(traces, float)[known] - denoised[known]
    if rest.size:
        middle = np.nanmedian(rest, axis=1, keepdims=True)
        noise[known] = np.nanmedian(np.abs(rest - middle), axis=1) * MAD_TO_STD
    return noise


def find_events(traces: np.ndarray, denoised: np.ndarray, threshold: float = THRESHOLD) -> Events:
    """Find the rises of the denoised traces that stand out of the traces' noise.

    A rise is a local maximum whose prominence, its height over the higher of the troughs on either side, is
    at least ``threshold`` standard deviations of the noise (the robust spread of trace less denoised trace).
    So a burst that rides on the decay of another is an event of its own, and one that never pauses is one.

    Parameters
    ----------
    traces, denoised : ndarray, float32 (K, T)
        As a cells file has them; ``nan`` where nothing was measured.
    threshold : float
        In standard deviations of the noise, above 0.

    Returns
    -------
    Events
        A rise that the recording cuts off before its peak is none.

    Examples
    --------
    >>> calcium = np.zeros((1, 40), np.float32)
    >>> calcium[0, 10:] = 8 * np.exp(-np.arange(30) / 5)
    >>> noise = np.tile([1, -1], 20).astype(np.float32)
    >>> events = find_events(calcium + noise, calcium)
    >>> events.onset_frame.tolist(), events.peak_frame.tolist(), events.amplitude.tolist()
    ([10], [10], [8.0])
    """
    from scipy.signal import find_peaks, peak_widths

    noise = residual_noise(traces, denoised)
    found: list[tuple[np.ndarray, ...]] = []
    for row, (course, spread) in enumerate(zip(np.asarray(denoised, float), noise, strict=True)):
        known = np.isfinite(course)
        if not known.any():
            continue
        course = np.interp(np.arange(len(course)), np.flatnonzero(known), course[known])
        peaks, _ = find_peaks(course, prominence=max(threshold * spread, np.finfo(np.float32).tiny))
        if not len(peaks):
            continue
        # the trough before each peak, and after the last
        edges = [0, *peaks, len(course)]
        troughs = np.array([begin + int(np.argmin(course[begin:end])) for begin, end in pairwise(edges)])
        rise = course[peaks] - course[troughs[:-1]]
        sides = (rise, troughs[:-1], troughs[1:])
        onset = np.ceil(peak_widths(course, peaks, 1 - BEGUN, sides)[2]).astype(int)
        end = peak_widths(course, peaks, 1 - OVER, sides)[3]
        with np.errstate(divide="ignore"):
            snr = rise / spread
        found.append((np.full(len(peaks), row), np.minimum(onset, peaks), peaks, rise, snr, end - onset))
    types = (np.int64, np.int64, np.int64, np.float32, np.float32, np.float64)
    columns = zip(*found, strict=True) if found else ([np.zeros(0)] for _ in types)
    return Events(
        **{
            part.name: np.concatenate(list(column)).astype(kind)
            for part, column, kind in zip(fields(Events), columns, types, strict=True)
        }
    )


def rates_per_minute(events: Events, n_cells: int, fps: float, frames: int) -> np.ndarray:
    """Events of each of K cells per minute of the frames that were measured, float64 (K,)."""
    return events.counts(n_cells) / max(frames / fps / 60, np.finfo(float).tiny)
