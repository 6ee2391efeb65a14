"""Tracks from odds: consistent, without chains of weak links, and never worse than the moves can make them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from calcium_lightning.tracking.clusters import Clustering
from calcium_lightning.tracking.pairs import PairEdges


def edges(*triples: tuple[int, int, float]) -> PairEdges:
    first, second, odds = (np.array(column) for column in zip(*triples, strict=True))
    return PairEdges(first, second, np.zeros(len(first)), odds.astype(float), 1 / (1 + np.exp(-odds)))


def solved(sizes: list[int], *triples: tuple[int, int, float]) -> Clustering:
    clustering = Clustering(edges(*triples), sizes)
    clustering.solve()
    return clustering


def members(clustering: Clustering) -> set[frozenset[int]]:
    return {frozenset(row[row >= 0].tolist()) for row in clustering.tracks}


def test_three_that_agree_are_one() -> None:
    assert members(solved([1, 1, 1], (0, 1, 3.0), (1, 2, 3.0), (0, 2, 3.0))) == {frozenset({0, 1, 2})}


def test_a_chain_whose_ends_dont_fit_is_parted() -> None:
    found = members(solved([1, 1, 1], (0, 1, 4.0), (1, 2, 3.0), (0, 2, -6.0)))
    assert found == {frozenset({0, 1}), frozenset({2})}


def test_no_session_is_twice_in_a_track() -> None:
    clustering = solved([2, 1, 1], (0, 2, 2.0), (1, 2, 2.5), (0, 3, 2.0), (1, 3, 2.2), (2, 3, 5.0))
    assert members(clustering) == {frozenset({0}), frozenset({1, 2, 3})}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_every_cell_is_in_one_track_and_no_parting_helps(seed) -> None:
    rng = np.random.default_rng(seed)
    sizes = [3, 4, 2, 3]
    session = np.repeat(np.arange(4), sizes)
    pairs = [(i, j) for i in range(12) for j in range(12) if session[i] < session[j] and rng.random() < 0.5]
    clustering = solved(sizes, *[(i, j, rng.normal(0, 4)) for i, j in pairs] or [(0, 3, 1.0)])
    cells = clustering.tracks[clustering.tracks >= 0]
    assert sorted(cells) == list(range(12))
    assert (session[clustering.tracks] == np.arange(4))[clustering.tracks >= 0].all()
    worth = clustering.worth()
    clustering.solve()
    assert clustering.worth() >= worth - 1e-9


def test_weak_members_are_cut() -> None:
    clustering = solved([1, 1, 1], (0, 1, 6.0), (1, 2, 0.3), (0, 2, 0.3))
    clustering.cut(0.9)
    assert frozenset({0, 1}) in members(clustering)
    assert np.nanmin(clustering.probability()) >= 0.9
