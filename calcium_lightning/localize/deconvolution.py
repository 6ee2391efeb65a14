"""Activity of all cells of a session, a group of cells at a time.

What a cell's activity needs is its whole trace, what a session has is more of them than should be in memory:
traces wait on disk, and :mod:`~calcium_lightning.localize.activity` works on as many as fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from calcium_lightning.localize.activity import (
    Activity,
    Kernel,
    autocovariance,
    deconvolve,
    fit_kernel,
    remove_baseline,
)
from calcium_lightning.localize.quality import TraceStatistics
from calcium_lightning.localize.scratch import ScratchTraces

#: iterations of the solver while cells are sought (a fit then correlates with the final one to .998, its energy
#: is right to 1 %), and in the end
DRAFT_ITERATIONS, ITERATIONS = 40, 500
#: a trace that changed by less than this share of its noise keeps its activity, and so long as both times of
#: the kernel change by less than this share
SAME, SAME_KERNEL = 0.1, 0.05


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
    solved : ScratchTraces, optional
        (K, T), the traces that ``denoised`` was fitted to, where they are a little different from ``traces``.
    """

    traces: ScratchTraces
    denoised: ScratchTraces
    noise: np.ndarray
    energy: np.ndarray
    kernel: Kernel
    solved: ScratchTraces | None = None

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

    spikes: ScratchTraces = field(kw_only=True)
    statistics: TraceStatistics = field(kw_only=True)


class Deconvolver:
    """Deconvolve the traces of a session.

    Parameters
    ----------
    fps : float
        Hz.
    sparsity : float
        L1 penalty in units of each trace's noise.
    rise_s, decay_s : float, optional
        The calcium kernel, seconds; default: estimated from the session.
    wander : float
        What neighbouring frames miss of the noise: a factor, 1 for white noise.
    """

    def __init__(
        self,
        fps: float,
        sparsity: float = 1.0,
        rise_s: float | None = None,
        decay_s: float | None = None,
        wander: float = 1.0,
    ) -> None:
        self.fps = fps
        self.wander = wander
        self.sparsity = sparsity
        self.rise_s, self.decay_s = rise_s, decay_s

    def draft(
        self, traces: ScratchTraces, before: SessionActivity | None = None, origin: np.ndarray | None = None
    ) -> SessionActivity:
        """Activity good enough to seek cells with; the traces' baseline is taken off in place.

        Parameters
        ----------
        traces : ScratchTraces
            (K, T).
        before : SessionActivity, optional
            What was found of these cells the last time: most of them have hardly changed.
        origin : ndarray of int (K,), optional
            Which of those each cell was; -1 where it is new.
        """
        kernel = self._level(traces)
        if before is None or origin is None:
            origin = np.full(len(traces), -1)
        elif _alike(kernel, before.kernel):
            kernel = before.kernel
        else:
            origin = np.full(len(traces), -1)
        return self._fitted(traces, kernel, before, origin)

    def redraft(self, traces: ScratchTraces, before: SessionActivity, kept: np.ndarray) -> SessionActivity:
        """The same after some cells were dropped.

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
        self, traces: ScratchTraces, kernel: Kernel, before: SessionActivity | None, origin: np.ndarray
    ) -> SessionActivity:
        """Activity of levelled traces; where one is a multiple of what it was, so is its activity."""
        denoised, solved = _like(traces), _like(traces)
        noise, energy = np.zeros(len(traces)), np.zeros(len(traces))
        for rows in traces.groups():
            now, source = traces.rows(rows), origin[rows]
            fitted, to = np.zeros_like(now), now.copy()
            known = np.flatnonzero(source >= 0)
            if before is not None and len(known):
                last = (before.solved or before.traces).rows(source[known])
                scale = _energy_of(now[known], last) / np.maximum(_energy(last), 1e-12)
                change = np.sqrt(np.square(now[known] - scale[:, None] * last).mean(1))
                same = (scale > 0) & (change <= SAME * scale * before.noise[source[known]])
                known, scale = known[same], scale[same, None]
                to[known] = scale * last[same]
                fitted[known] = scale * before.denoised.rows(source[known])
                noise[rows.start + known] = scale[:, 0] * before.noise[source[known]]
            changed = np.setdiff1d(np.arange(len(now)), known)
            activity = self._deconvolve(now[changed], kernel, DRAFT_ITERATIONS)
            fitted[changed], noise[rows.start + changed] = activity.denoised, activity.noise
            energy[rows] = _energy(fitted)
            denoised.write_rows(rows.start, fitted)
            solved.write_rows(rows.start, to)
        return SessionActivity(traces, denoised, noise, energy, kernel, solved)

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
            traces,
            denoised,
            statistics.noise,
            statistics.energy,
            kernel,
            spikes=spikes,
            statistics=statistics,
        )

    def _level(self, traces: ScratchTraces) -> Kernel:
        """Take the baseline off in place, and fit the kernel on the way."""
        covariances = []
        for rows in traces.groups():
            level = remove_baseline(traces.rows(rows), self.fps)
            traces.write_rows(rows.start, level)
            covariances.append(autocovariance(level, self.fps))
        kernel = fit_kernel(np.concatenate(covariances or [np.zeros((0, 1))]), self.fps)
        return Kernel(self.rise_s or kernel.rise_s, self.decay_s or kernel.decay_s)

    def _deconvolve(self, traces: np.ndarray, kernel: Kernel, iterations: int) -> Activity:
        return deconvolve(traces, self.fps, kernel, self.sparsity, iterations, self.wander)


def _energy(traces: np.ndarray) -> np.ndarray:
    return _energy_of(traces, traces)


def _energy_of(traces: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.einsum("kt,kt->k", traces, others)


def _alike(kernel: Kernel, other: Kernel) -> bool:
    return (
        abs(kernel.rise_s / other.rise_s - 1) < SAME_KERNEL
        and abs(kernel.decay_s / other.decay_s - 1) < SAME_KERNEL
    )


def _like(traces: ScratchTraces) -> ScratchTraces:
    return ScratchTraces(len(traces), traces.n_frames, traces.block_frames)
