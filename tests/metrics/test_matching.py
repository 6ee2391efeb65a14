"""Matching agrees with brute force, and behaves where points are missing, crowded or far."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from calcium_lightning.metrics.matching import best_offset, match_after_offset, match_points


def points(most: int):
    place = st.floats(-20, 20, allow_nan=False, width=32)
    return st.integers(0, most).flatmap(lambda n: arrays(np.float64, (n, 2), elements=place))


@settings(max_examples=60)
@given(points(7), points(7), st.floats(0.5, 15))
def test_it_is_the_dense_optimal_assignment(a, b, radius):
    match = match_points(a, b, radius)
    distance = np.linalg.norm(a[:, None] - b[None], axis=2)
    i, j = linear_sum_assignment(np.where(distance <= radius, distance, 1e3))
    best = distance[i, j][distance[i, j] <= radius]
    assert len(match.first) == len(best)
    assert match.distance.sum() == pytest.approx(best.sum(), abs=1e-6)
    assert len(set(match.first)) == len(match.first)
    assert len(set(match.second)) == len(match.second)
    assert (match.distance <= radius).all()


@settings(max_examples=60)
@given(points(12), points(12), st.floats(0.5, 8), st.randoms(use_true_random=False))
def test_frames_are_matched_on_their_own(a, b, radius, random):
    frames = np.array([random.randrange(3) for _ in a])
    others = np.array([random.randrange(3) for _ in b])
    match = match_points(a, b, radius, frames=frames, target_frames=others)
    assert (frames[match.first] == others[match.second]).all() if len(match.first) else True
    alone = [match_points(a[frames == t], b[others == t], radius) for t in range(3) if len(a) and len(b)]
    assert len(match.first) == sum(len(part.first) for part in alone)
    assert match.distance.sum() == pytest.approx(sum(part.distance.sum() for part in alone), abs=1e-6)


def test_more_pairs_win_over_short_ones():
    match = match_points([[0, 0], [0, 2]], [[0, 2], [0, 4.5]], radius=3)
    assert list(match.second) == [0, 1]


def test_the_radius_is_inclusive_and_nan_is_never_matched():
    match = match_points([[0, 0], [np.nan, 0]], [[3, 4], [0, 0.5]], radius=5)
    assert len(match.first) == 1
    assert len(match_points([[0, 0]], [[3, 4]], radius=5).first) == 1
    assert len(match_points([[0, 0]], [[3, 4]], radius=4.999).first) == 0


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="points must have shape"):
        match_points(np.zeros((3, 3)), np.zeros((3, 2)), 1)
    with pytest.raises(ValueError, match="radius"):
        match_points(np.zeros((3, 2)), np.zeros((3, 2)), 0)
    with pytest.raises(ValueError, match="neither"):
        match_points(np.zeros((3, 2)), np.zeros((3, 2)), 1, frames=[0, 0, 0])


@settings(max_examples=6)
@given(st.integers(0, 10_000))
def test_the_offset_is_the_one_of_an_exhaustive_search(seed):
    rng = np.random.default_rng(seed)
    true = rng.uniform(0, 80, (15, 2))
    found = np.concatenate(
        [true[:9] - rng.integers(-12, 13, 2) + rng.normal(0, 1, (9, 2)), rng.uniform(0, 80, (4, 2))]
    )

    def agreement(offset):
        distance = np.linalg.norm(found[:, None] + offset - true[None], axis=2)
        return np.exp(-(distance.min(1) ** 2) / 18).sum()

    best = max(itertools.product(range(-12, 13), repeat=2), key=agreement)
    assert tuple(best_offset(found, true)) == best


def test_a_shifted_field_is_no_error():
    rng = np.random.default_rng(1)
    true = rng.uniform(0, 200, (60, 2))
    match, offset = match_after_offset(true + np.array([4.37, -7.81]), true, 6.0)
    np.testing.assert_allclose(offset, (-4.37, 7.81), atol=1e-9)
    assert len(match.first) == 60
    np.testing.assert_allclose(match.distance, 0, atol=1e-9)


def test_nothing_found_is_no_offset():
    match, offset = match_after_offset(np.zeros((0, 2)), np.ones((3, 2)), 6.0)
    assert not len(match.first)
    assert not offset.any()
