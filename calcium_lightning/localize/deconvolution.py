"""Activity of all cells of a session, a group of cells at a time.

What a cell's activity needs is its whole trace, what a session has is more of them than should be in memory:
traces wait on disk, and :mod:`~calcium_lightning.localize.activity` works on as many as fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calcium_lightning.localize.activity import (
    Activity,
    Kernel,
    autocovariance,
    deconvolve,
    fit_kernel,
    remove_baseline,
)
from calcium_lightning.localize.scratch import ScratchTraces
from calcium_lightning.localize.trace_statistics import TraceStatistics

#: iterations of the solver while cells are sought (fits are right to 1e-4, spikes aren't; with 60, five of 60
#: cells of Minian's recording are lost), and in the end
DRAFT_ITERATIONS, ITERATIONS = 100, 500
#: a trace that changed by less than this share of its noise keeps its activity
SAME = 0.1


@dataclass(frozen=True)
class SessionActivity:
    """Activity of K cells in T frames.

    Attributes
    ----------
    traces, denoised : ScratchTraces
        (K, T), baseline at 0.
    noise, energy : ndarray (K,)
        Standard deviation of the traces' noise, and the sum of squares of the denoised ones.
    kernel : Kernel
        The session's.
    """

    traces: ScratchTraces
    denoised: ScratchTraces
    noise: np.ndarray
    energy: np.ndarray
    kernel: Kernel

    @property
    def evidence(self) -> np.ndarray:
        """Root of the denoised traces' energy over the noise's variance, (K,)."""
        return np.sqrt(self.energy) / self.noise


@dataclass(frozen=True)
class FinalActivity(SessionActivity):
    """The same, with what is wanted of it in the end.

    Attributes
    ----------
    spikes : ScratchTraces
        (K, T).
    statistics : TraceStatistics
        Of the traces.
    """

    spikes: ScratchTraces
    statistics: TraceStatistics


class Deconvolver:
    """Deconvolve the traces of a session.

    Parameters
    ----------
    fps : float
        Hz.
    sparsity : float
        L1 penalty: by so many standard deviations of noise a spike must stand out.
    rise_s, decay_s : float, optional
        The calcium kernel, seconds; default: estimated from the session.
    wander : float
        What neighbouring frames miss of the noise: a factor, 1 for white noise.
    summed : int
        How many frames of the recording each frame of the traces is the sum of.
    """

    def __init__(
        self,
        fps: float,
        sparsity: float = 6.0,
        rise_s: float | None = None,
        decay_s: float | None = None,
        wander: float = 1.0,
        summed: int = 1,
    ) -> None:
        self.fps, self.summed = fps, summed
        self.wander = wander
        self.sparsity = sparsity
        self.rise_s, self.decay_s = rise_s, decay_s

    def of_sums(self, count: int) -> Deconvolver:
        """The same for traces of which each frame is the sum of so many."""
        return Deconvolver(
            self.fps / count, self.sparsity, self.rise_s, self.decay_s, self.wander, self.summed * count
        )

    def draft(
        self,
        traces: ScratchTraces,
        before: SessionActivity | None = None,
        source: np.ndarray | None = None,
    ) -> SessionActivity:
        """Activity good enough to seek cells with; the traces' baseline is taken off in place.

        Parameters
        ----------
        traces : ScratchTraces
            Of K cells.
        before : SessionActivity, optional
            What came of the last alternation. Cells whose traces have hardly changed since keep their
            activity, unless the kernel has changed, or their traces were of sums of frames.
        source : ndarray of int (K,), optional
            Which of its cells each is; -1 for a new one.
        """
        kernel = self._level(traces)
        if before is not None and traces.n_frames != before.traces.n_frames:
            before = None
        if before is None or source is None or not kernel.resembles(before.kernel):
            return self._fitted(traces, kernel)
        return self._fitted(traces, before.kernel, before, source)

    def redraft(self, traces: ScratchTraces, before: SessionActivity, kept: np.ndarray) -> SessionActivity:
        """The same after some cells were dropped: most of those that are left have hardly changed.

        Parameters
        ----------
        traces : ScratchTraces
            Of the cells that are left.
        before : SessionActivity
            With all cells.
        kept : ndarray of int
            Which those are.
        """
        for rows in traces.groups():
            traces.write_rows(rows.start, remove_baseline(traces.rows(rows), self.fps))
        return self._fitted(traces, before.kernel, before, kept)

    def _fitted(
        self,
        traces: ScratchTraces,
        kernel: Kernel,
        before: SessionActivity | None = None,
        source: np.ndarray | None = None,
    ) -> SessionActivity:
        """Deconvolve level traces, but those that were almost the same before."""
        source = np.full(len(traces), -1) if source is None else source
        denoised = _like(traces)
        noise, energy = np.zeros(len(traces)), np.zeros(len(traces))
        for rows in traces.groups():
            level = traces.rows(rows)
            fitted = np.empty_like(level)
            changed = np.ones(len(level), bool)
            known = np.flatnonzero(source[rows] >= 0)
            if before is not None and len(known):
                old = source[rows][known]
                step = np.sqrt(np.square(level[known] - before.traces.rows(old)).mean(1))
                changed[known] = step > SAME * before.noise[old]
                fitted[known] = before.denoised.rows(old)
                noise[rows.start + known], energy[rows.start + known] = before.noise[old], before.energy[old]
            again = np.flatnonzero(changed)
            activity = self._deconvolve(level[again], kernel, DRAFT_ITERATIONS)
            fitted[again] = activity.denoised
            denoised.write_rows(rows.start, fitted)
            noise[rows.start + again] = activity.noise
            energy[rows.start + again] = _energy(activity.denoised)
        return SessionActivity(traces, denoised, noise, energy, kernel)

    def finish(self, traces: ScratchTraces) -> FinalActivity:
        """Activity to be kept; what the solver takes for a drift of the baseline is taken off the traces."""
        kernel = self._level(traces)
        denoised, spikes = _like(traces), _like(traces)
        parts = []
        for rows in traces.groups():
            activity = self._deconvolve(traces.rows(rows), kernel, ITERATIONS)
            traces.write_rows(rows.start, activity.traces)
            denoised.write_rows(rows.start, activity.denoised)
            spikes.write_rows(rows.start, activity.spikes)
            parts.append(TraceStatistics.of(activity, self.fps))
        statistics = TraceStatistics.concatenate(parts)
        return FinalActivity(
            traces, denoised, statistics.noise, statistics.energy, kernel, spikes, statistics
        )

    def refinish(self, traces: ScratchTraces, before: FinalActivity, kept: np.ndarray) -> FinalActivity:
        """The same where only some of the cells exist: their activity in its place, the others' as it was.

        Parameters
        ----------
        traces : ScratchTraces
            Of the cells that exist.
        before : FinalActivity
            Of all cells; what has changed is changed in place.
        kept : ndarray of int
            Which those are, rising.
        """
        statistics = before.statistics
        for rows in traces.groups():
            level = remove_baseline(traces.rows(rows), self.fps)
            change = (level - before.traces.rows(kept[rows])).std(1)
            changed = np.flatnonzero(change > SAME * before.noise[kept[rows]])
            if not len(changed):
                continue
            activity = self._deconvolve(level[changed], before.kernel, ITERATIONS)
            target = kept[rows][changed]
            for row, *values in zip(target, activity.traces, activity.denoised, activity.spikes, strict=True):
                for kind, value in zip((before.traces, before.denoised, before.spikes), values, strict=True):
                    kind.write_rows(row, value[None])
            statistics = statistics.replaced(target, TraceStatistics.of(activity, self.fps))
        return replace(before, noise=statistics.noise, energy=statistics.energy, statistics=statistics)

    def _level(self, traces: ScratchTraces) -> Kernel:
        """Take the baseline off in place, and fit the kernel on the way."""
        covariances = []
        for rows in traces.groups():
            level = remove_baseline(traces.rows(rows), self.fps)
            traces.write_rows(rows.start, level)
            covariances.append(autocovariance(level, self.fps))
        kernel = fit_kernel(np.concatenate(covariances or [np.zeros((0, 1))]), self.fps, self.summed)
        return Kernel(self.rise_s or kernel.rise_s, self.decay_s or kernel.decay_s)

    def _deconvolve(self, traces: np.ndarray, kernel: Kernel, iterations: int) -> Activity:
        return deconvolve(traces, self.fps, kernel, self.sparsity, iterations, self.wander)


def _energy(traces: np.ndarray) -> np.ndarray:
    return np.einsum("kt,kt->k", traces, traces)


def _like(traces: ScratchTraces) -> ScratchTraces:
    return ScratchTraces(len(traces), traces.n_frames, traces.block_frames)
