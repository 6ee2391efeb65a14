"""Probabilities and optima of one-to-one matchings, against all matchings counted one by one."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from calcium_lightning.tracking.association import best_matching, match_probabilities


def all_matchings(weights: np.ndarray):
    """Every one-to-one matching of rows and columns, as lists of pairs."""
    rows, columns = weights.shape
    for count in range(min(rows, columns) + 1):
        for some in itertools.combinations(range(rows), count):
            for order in itertools.permutations(range(columns), count):
                yield list(zip(some, order, strict=True))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.01, 3), min_size=9, max_size=9))
def test_probabilities_are_near_those_of_all_matchings(values) -> None:
    weights = np.array(values).reshape(3, 3)
    exact, total = np.zeros((3, 3)), 0.0
    for pairs in all_matchings(weights):
        worth = float(np.prod([weights[pair] for pair in pairs]))
        total += worth
        for pair in pairs:
            exact[pair] += worth
    rows, columns = np.indices((3, 3)).reshape(2, -1)
    found = match_probabilities(rows, columns, weights.ravel(), 3, 3)
    # Belief propagation is no exact sum; with all nine pairs possible it is at its worst,
    # and the more so the higher the odds.
    np.testing.assert_allclose(found, (exact / total).ravel(), atol=0.12)
    assert np.bincount(rows, found).max() <= 1
    assert np.bincount(columns, found).max() <= 1 + 1e-3


def test_probabilities_without_rivals_are_exact() -> None:
    found = match_probabilities(np.array([0, 1]), np.array([1, 0]), np.array([1.0, 9.0]), 2, 2)
    np.testing.assert_allclose(found, [0.5, 0.9])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=12, max_size=12))
def test_the_best_matching_is_the_best_of_all(values) -> None:
    gains = np.array(values).reshape(3, 4)
    best = max(sum(gains[pair] for pair in pairs) for pairs in all_matchings(gains))
    rows, columns = np.indices((3, 4)).reshape(2, -1)
    chosen = best_matching(rows, columns, gains.ravel())
    assert np.isclose(gains.ravel()[chosen].sum(), max(best, 0))
    assert len(set(rows[chosen])) == len(chosen) == len(set(columns[chosen]))
