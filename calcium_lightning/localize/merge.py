"""Which candidates are one cell: pieces of one, or what its changing picture leaves beside it.

A cell that no Gaussian fits is found more than once. Whether two footprints are two cells is not for their
distance to say: cells overlap. Two cells have events of their own; pieces of one rise together, or one falls
when the other rises, or the weaker one is seen only while the stronger is lit. Knows places and activity.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import fft
from scipy.spatial import cKDTree
from scipy.special import pdtr

from calcium_lightning.localize.deconvolution import SessionActivity
from calcium_lightning.localize.scratch import ScratchTraces

#: a companion with less than this share of a cell's evidence may be its halo
HALO_RATIO = 0.6
#: transients last about so long, seconds: what is lit in one such time counts once
EVENT_S = 1.0
#: a second counts as lit with this share of the energy of a cell's brightest second, and as an event if it
#: has so many times the variance of its noise, too
LIT, EVENT = 0.02, 9.0
#: and as an event of its own where the other has less than this share of its own share
FADED = 0.1
#: so few events of its own are no chance, at this probability
CHANCE = 0.05
#: a correlation by so many standard errors below zero is no chance
SIGMAS = 2.0
#: where activity is alike, fewer events of its own than this share of what chance would make are too few
OWN = 0.5
#: share of :attr:`MergeSettings.close` that holds in a plain recording, and least
#: :attr:`MergeSettings.near_correlation`
PLAIN_CLOSE, PLAIN_NEAR = 0.7, 0.75
#: in a plain recording, in the end, so many events of its own are a cell's, however alike the rest is
PLAIN_OWN = 3
#: half a cell, network pixels: farther apart, none are close, however far their localisations scatter
HALF_A_CELL = 3.0
#: where video was squeezed, close ones must be lit alone in so many times as many seconds
MORE_EVENTS = 2


@dataclass(frozen=True)
class MergeSettings:
    """When two candidates are one cell. Distances are network pixels: a cell is 6 wide.

    Attributes
    ----------
    distance : float
        Closer than this, always; in a plain recording than half of it, and else as ``alike`` says.
    reach : float
        Closer than this, if their activity is the same.
    correlation : float
        Correlation of denoised traces that counts as the same.
    near, near_correlation : float
        Closer than this, activity need be no more alike than that while cells are sought: two pieces of one
        cell share what lights both, and each takes noise of its own, which is little in a plain recording.
    together : float
        In the end, activity need be no more alike than this where the weaker is hardly lit alone.
    opposed : float
        In the end, activity with less than minus this correlation is of one cell, given to two; cells that
        fire independently have about zero, give or take :data:`SIGMAS` standard errors.
    events : int
        In the end, seconds in which the weaker alone must be lit.
    close, close_events : float, int
        In the end, closer than this, the weaker alone must be lit in so many seconds; where video was
        squeezed, closer than half a cell in twice as many.
    alike : float
        In a plain recording, pieces of a cell share its activity: what is close, or in the end has nothing of
        its own, is a piece only with this correlation. None is asked for where pictures of a cell differ,
        which gives each piece an activity of its own.
    rounds : int
        Most alternations that are added at the end, as long as two are found to be one. In a plain recording
        none are: each makes cells that overlap more alike, until they are taken for one.
    """

    distance: float = 0.9
    reach: float = 6.0
    correlation: float = 0.8
    near: float = 3.0
    near_correlation: float = 0.6
    together: float = 0.7
    opposed: float = 0.25
    events: int = 2
    close: float = 2.0
    close_events: int = 4
    alike: float = 0.7
    rounds: int = 5

    def wider(self, factor: float) -> MergeSettings:
        """The same where localisations scatter ``factor`` times as far."""
        close = min(self.close * factor, max(self.close, HALF_A_CELL))
        return replace(self, distance=self.distance * factor, close=close)

    def eased(self) -> MergeSettings:
        """The same for a plain recording, where what lies closer is told apart."""
        return replace(
            self,
            close=self.close * PLAIN_CLOSE,
            close_events=min(self.close_events, PLAIN_OWN),
            near_correlation=max(self.near_correlation, PLAIN_NEAR),
            rounds=0,
        )

    def strict(self) -> MergeSettings:
        """The same for squeezed video, which gives a cell's pieces a life of their own."""
        return replace(self, close=max(self.close, HALF_A_CELL), close_events=MORE_EVENTS * self.close_events)


@dataclass(frozen=True)
class Merger:
    """Looks for candidates that are one cell.

    Attributes
    ----------
    fps : float
        Hz.
    settings : MergeSettings
        When two are one.
    plain : bool
        Noise is white, and pictures of a cell are alike.
    """

    fps: float
    settings: MergeSettings = field(default_factory=MergeSettings)
    plain: bool = False

    def duplicates(
        self, centers: np.ndarray, activity: SessionActivity, alive: np.ndarray, last: bool = False
    ) -> np.ndarray:
        """Candidates that are a part of another, stronger one.

        Parameters
        ----------
        centers : ndarray (K, 2)
            Network pixels.
        activity : SessionActivity
            Of the K candidates.
        alive : ndarray, bool (K,)
            Which are looked at.
        last : bool
            The search is over: footprints and traces are good enough to ask what the weaker shows of its
            own.

        Returns
        -------
        ndarray, bool (K,)
        """
        evidence = activity.evidence
        duplicate = np.zeros(len(centers), bool)
        index = np.flatnonzero(alive)
        if len(index) < 2:
            return duplicate
        pairs = index[cKDTree(centers[index]).query_pairs(self.settings.reach, output_type="ndarray")]
        pairs = np.where((evidence[pairs[:, 0]] < evidence[pairs[:, 1]])[:, None], pairs[:, ::-1], pairs)
        stronger, weaker = pairs.T
        distance = np.linalg.norm(centers[stronger] - centers[weaker], axis=1)
        correlation = _correlation(activity.denoised, stronger, weaker)
        # Farther off than half a cell, only a faint companion is taken for a bright cell's halo.
        touching = distance < 0.75 * self.settings.reach
        near = touching | (evidence[weaker] < HALO_RATIO * evidence[stronger])
        alike = correlation >= (self.settings.alike if self.plain else -np.inf)
        same = (distance < self.settings.distance) & (alike | (distance < 0.5 * self.settings.distance))
        same |= near & (correlation > self.settings.correlation)
        if not last:
            same |= (distance < self.settings.near) & (correlation > self.settings.near_correlation)
        else:
            own, chance = _own_events(activity, stronger, weaker, max(1, round(EVENT_S * self.fps)))
            nothing_own = (own < self.settings.events) & (pdtr(own, chance) < CHANCE)
            nothing_own |= (distance < self.settings.close) & (own < self.settings.close_events)
            nothing_own &= alike
            together = (correlation > self.settings.together) & (own < OWN * chance)
            error = np.sqrt(_memory(activity.denoised) / activity.denoised.n_frames)
            chance_level = SIGMAS * np.sqrt(error[stronger] * error[weaker])
            opposed = correlation < -np.maximum(self.settings.opposed, chance_level)
            same |= touching & (opposed | nothing_own | together)
            if self.plain:
                same &= own < PLAIN_OWN
        # The strongest decide first; a dropped cell drops nobody.
        for pair in np.argsort(-evidence[stronger], kind="stable"):
            if same[pair] and not duplicate[stronger[pair]]:
                duplicate[weaker[pair]] = True
        return duplicate


def _correlation(traces: ScratchTraces, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's, of pairs of traces; 0 where one is constant."""
    total, square = np.zeros(len(traces)), np.zeros(len(traces))
    product = np.zeros(len(first))
    for _, block in traces.blocks():
        total += block.sum(1, dtype=np.float64)
        square += np.einsum("kt,kt->k", block, block, dtype=np.float64)
        product += np.einsum("pt,pt->p", block[first], block[second], dtype=np.float64)
    spread = np.sqrt(np.maximum(square - total**2 / traces.n_frames, 0))
    covariance = product - total[first] * total[second] / traces.n_frames
    return covariance / np.maximum(spread[first] * spread[second], 1e-12)


def _memory(traces: ScratchTraces) -> np.ndarray:
    """Sum of the squared autocorrelation of each trace over all lags, frames, (K,).

    Of so many frames, one is independent: the correlation of two such traces that have nothing to do with
    each other has this over the number of frames for a variance (Bartlett 1946).
    """
    memory = np.ones(len(traces))
    for rows in traces.groups():
        trace = traces.rows(rows)
        power = np.square(np.abs(fft.rfft(trace - trace.mean(1, keepdims=True), axis=1)))
        total = np.maximum(power.sum(1), 1e-12)
        memory[rows] = 0.5 * traces.n_frames * np.square(power).sum(1) / total**2
    return np.maximum(memory, 1.0)


def _own_events(
    activity: SessionActivity, stronger: np.ndarray, weaker: np.ndarray, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Events of the weaker of each pair while the stronger is dark, and how many there would be by chance."""
    brightest = np.zeros(len(activity.denoised))
    for energy in _energies(activity.denoised, step):
        brightest = np.maximum(brightest, energy.max(1))
    own, dark, events, seconds = np.zeros(len(weaker), int), np.zeros(len(weaker), int), 0, 0
    for energy in _energies(activity.denoised, step):
        share = energy / np.maximum(brightest, 1e-12)[:, None]
        event = (energy > EVENT * np.square(activity.noise)[:, None]) & (share > LIT)
        quiet = share <= LIT
        # A piece is lit by as much of what it can be as its cell is, about.
        own += (event[weaker] & quiet[stronger] & (share[stronger] <= FADED * share[weaker])).sum(1)
        dark += quiet[stronger].sum(1)
        events = events + event.sum(1)
        seconds += energy.shape[1]
    return own, np.broadcast_to(events, len(brightest))[weaker] * dark / max(seconds, 1)


def _energies(traces: ScratchTraces, step: int) -> Iterator[np.ndarray]:
    """Sums of squares (K, n) over ``step`` frames at a time, block by block."""
    for _, block in traces.blocks():
        yield np.add.reduceat(np.square(block, dtype=np.float64), np.arange(0, block.shape[1], step), axis=1)
