"""Tracks through all sessions at once, from the odds of pairs: consistent, and without chains of weak links.

A track holds at most one cell of a session, by construction. Its worth is the sum of the log odds of all its
pairs, those that speak against it included (correlation clustering, Bansal, Blum & Chawla 2004): a chain
whose ends don't fit is worth less than its parts. The sum over all tracks is raised by moves that are each
solved exactly: sessions are parted in two, and the halves of all tracks are matched anew by linear
assignment. It never falls, so the moves end.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from calcium_lightning.tracking.association import best_matching, match_probabilities
from calcium_lightning.tracking.pairs import OUT_OF_REACH, PairEdges

#: with so many sessions or fewer, every way of parting them is tried
ALL_PARTINGS = 7
#: sweeps over all moves at most
SWEEPS = 12


@dataclass(frozen=True)
class Halves:
    """Parts of tracks on either side of a parting of the sessions, and what joining them would gain.

    Attributes
    ----------
    left, right : ndarray, int64 (L, S), (R, S)
        The parts.
    row, column : ndarray, int64 (E,)
        Parts on the right and on the left that may be joined.
    gain : ndarray (E,)
        Sum of the log odds of all pairs between the two.
    pairs : ndarray, int64 (E,)
        How many these are.
    """

    left: np.ndarray
    right: np.ndarray
    row: np.ndarray
    column: np.ndarray
    gain: np.ndarray
    pairs: np.ndarray


class Clustering:
    """Tracks of all cells.

    Parameters
    ----------
    edges : PairEdges
        Pairs that may be the same.
    sizes : sequence of int
        Cells of each session; cells are numbered through all sessions.

    Attributes
    ----------
    tracks : ndarray, int64 (N, S)
        For each track its cell in each session, numbered through all sessions; -1 for none.
    """

    def __init__(self, edges: PairEdges, sizes: list[int]) -> None:
        self.sizes = sizes
        self._session = np.repeat(np.arange(len(sizes)), sizes)
        self._first, self._second, self._odds = edges.first, edges.second, edges.log_odds
        self.tracks = np.full((sum(sizes), len(sizes)), -1, np.int64)
        self.tracks[np.arange(sum(sizes)), self._session] = np.arange(sum(sizes))

    def solve(self) -> None:
        """Raise the worth of all tracks until no move does."""
        count = len(self.sizes)
        if len(self.tracks) == sum(self.sizes):  # nobody has joined anybody yet
            for session in range(1, count):
                self._join(list(range(session)), [session])
        for _ in range(SWEEPS):
            before = self.worth()
            for part in self._partings():
                self._join([row for row in range(count) if row not in part], list(part))
            if self.worth() < before + 1e-6:
                break

    def worth(self) -> float:
        """The sum over all tracks."""
        owner = self._owner(self.tracks)
        within = owner[self._first] == owner[self._second]
        count = (self.tracks >= 0).sum(1)
        apart = (count * (count - 1) // 2).sum() - within.sum()
        return float(self._odds[within].sum() + OUT_OF_REACH * apart)

    def cut(self, least: float) -> np.ndarray:
        """Take out members that are less probable than this, one a track and round.

        Returns
        -------
        ndarray, float64 (N, S)
            Probability of each member, NaN where there is none.
        """
        for _ in range(len(self.sizes)):
            probability = self.probability()
            several = (self.tracks >= 0).sum(1) > 1
            lowest = np.where(np.isnan(probability), np.inf, probability)
            weak = np.flatnonzero(several & (lowest.min(1) < least))
            if not len(weak):
                return probability
            column = lowest[weak].argmin(1)
            alone = np.full((len(weak), len(self.sizes)), -1, np.int64)
            alone[np.arange(len(weak)), column] = self.tracks[weak, column]
            self.tracks[weak, column] = -1
            self.tracks = np.concatenate([self.tracks, alone])
        return self.probability()

    def probability(self) -> np.ndarray:
        """That each member is the same cell as the rest of its track, (N, S); 1 for an only member."""
        result = np.where(self.tracks >= 0, 1.0, np.nan)
        several = (self.tracks >= 0).sum(1) > 1
        for session in range(len(self.sizes)):
            halves, p = self._claims(session)
            chosen = np.full(len(self.tracks), np.nan)
            cell_of_row = halves.right[halves.row, session]
            track_of_cell = self._track_of()
            own = track_of_cell[cell_of_row] == self._track_of_part(halves.left)[halves.column]
            chosen[track_of_cell[cell_of_row[own]]] = p[own]
            here = several & (self.tracks[:, session] >= 0)
            result[here, session] = np.nan_to_num(chosen[here])
        return result

    def missed(self) -> float:
        """Expected number of links that were not made, beside those that were."""
        lost = 0.0
        track = self._track_of()
        for session in range(len(self.sizes)):
            halves, p = self._claims(session)
            cell = halves.right[halves.row, session]
            part = self._track_of_part(halves.left)[halves.column]
            # Who has a place in a track already misses nothing by staying there.
            alone = (self.tracks[track[cell]] >= 0).sum(1) == 1
            open_ = self.tracks[part, session] < 0
            lost += float(p[alone & open_ & (track[cell] != part)].sum())
        return lost

    def _claims(self, session: int) -> tuple[Halves, np.ndarray]:
        """One session's cells beside the others' tracks, and the probability that each belongs to each."""
        others = [row for row in range(len(self.sizes)) if row != session]
        halves = self._halves(others, [session])
        # Errors of the rest average out, the cell's own don't: of n pairs' evidence so much is independent.
        independent = 2 * halves.pairs / (halves.pairs + 1)
        odds = np.exp(np.clip(halves.gain / halves.pairs * independent, -50, 50))
        p = match_probabilities(halves.row, halves.column, odds, len(halves.right), len(halves.left))
        return halves, p

    def _partings(self) -> list[tuple[int, ...]]:
        count = len(self.sizes)
        if count <= ALL_PARTINGS:
            return [
                part
                for size in range(1, count // 2 + 1)
                for part in combinations(range(count), size)
                if 2 * size < count or 0 in part
            ]
        return [(row,) for row in range(count)] + [tuple(range(row)) for row in range(2, count - 1)]

    def _join(self, one: list[int], other: list[int]) -> None:
        """Match the halves of all tracks anew; sessions of neither side must not be in tracks with them."""
        sessions = [*one, *other]
        halves = self._halves(one, other)
        chosen = best_matching(halves.row, halves.column, halves.gain)
        right, left = halves.row[chosen], halves.column[chosen]
        joined = np.where(halves.left[left] >= 0, halves.left[left], halves.right[right])
        left_alone = np.delete(halves.left, left, axis=0)
        right_alone = np.delete(halves.right, right, axis=0)
        rest = self.tracks[(self.tracks[:, sessions] < 0).all(1)]
        self.tracks = np.concatenate([joined, left_alone, right_alone, rest])

    def _halves(self, one: list[int], other: list[int]) -> Halves:
        left, right = self._only(one), self._only(other)
        of_left, of_right = self._owner(left), self._owner(right)
        a, b = of_left[self._first], of_right[self._second]
        c, d = of_left[self._second], of_right[self._first]
        forward, backward = (a >= 0) & (b >= 0), (c >= 0) & (d >= 0)
        columns = np.concatenate([a[forward], c[backward]])
        rows = np.concatenate([b[forward], d[backward]])
        odds = np.concatenate([self._odds[forward], self._odds[backward]])
        key, at = np.unique(rows * max(len(left), 1) + columns, return_inverse=True)
        row, column = np.divmod(key, max(len(left), 1))
        found = np.bincount(at, minlength=len(key))
        between = np.bincount(at, odds, len(key))
        n, m = (left >= 0).sum(1)[column], (right >= 0).sum(1)[row]
        between = between + OUT_OF_REACH * (n * m - found)
        return Halves(left, right, row, column, between, n * m)

    def _only(self, sessions: list[int]) -> np.ndarray:
        part = np.full_like(self.tracks, -1)
        part[:, sessions] = self.tracks[:, sessions]
        return part[(part >= 0).any(1)]

    def _owner(self, tracks: np.ndarray) -> np.ndarray:
        """The track that holds each cell, -1 for none."""
        owner = np.full(sum(self.sizes), -1, np.int64)
        row, column = np.nonzero(tracks >= 0)
        owner[tracks[row, column]] = row
        return owner

    def _track_of(self) -> np.ndarray:
        return self._owner(self.tracks)

    def _track_of_part(self, parts: np.ndarray) -> np.ndarray:
        """The track that each part is of."""
        if not len(parts):
            return np.zeros(0, np.int64)
        return self._track_of()[parts.max(1)]
