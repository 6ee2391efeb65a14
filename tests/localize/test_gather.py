"""From localisations to candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from calcium_lightning.localize.gather import SCATTER, GatherSettings, assign, gather, scatter_of
from calcium_lightning.localize.localizations import StoredLocalizations
from calcium_lightning.nn.coordinates import LocalizationBatch


def listed(points: np.ndarray, probability: float | np.ndarray = 0.9) -> LocalizationBatch:
    one = torch.ones(len(points))
    place = torch.from_numpy(np.asarray(points, np.float32).reshape(-1, 2))
    weight = torch.from_numpy(np.broadcast_to(np.float32(probability), len(points)).copy())
    return LocalizationBatch(
        one.long(), place[:, 0], place[:, 1], one, weight, one[:, None].expand(-1, 2), one, one, one, one
    )


def localizations(
    points: np.ndarray, size: tuple[int, int], probability: float | np.ndarray = 0.9
) -> StoredLocalizations:
    return StoredLocalizations(size).extend([listed(points, probability)])


def clouds(centers: np.ndarray, count: int, spread: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.concatenate([center + random.normal(0, spread, (count, 2)) for center in centers])


def test_planted_cells_are_found_among_clutter():
    random = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(5, 60, 9), np.arange(5, 90, 9), indexing="ij"), -1).reshape(-1, 2)
    centers = grid + random.uniform(-1.5, 1.5, grid.shape)
    clutter = random.uniform(0, 1, (2000, 2)) * (64, 96)
    found = gather(localizations(np.concatenate([clouds(centers, 40, 0.5), clutter]), (64, 96)))
    distance = cdist(centers, found)
    assert (distance.min(1) < 0.5).all()
    assert np.median(distance.min(1)) < 0.15
    # The best-supported come first: all the cells before all the clutter.
    assert (distance[:, : len(centers)].min(0) < 1).all()


def test_two_cells_half_a_diameter_apart_are_two():
    for gap in (2.8, 3.5):
        centers = np.array([[20.2, 20.4], [20.2 + gap, 20.4]])
        found = gather(localizations(clouds(centers, 150, 0.5), (40, 40)))
        assert len(found) == 2
        np.testing.assert_allclose(found[np.argsort(found[:, 0])], centers, atol=0.3)


def test_where_localisations_scatter_two_are_told_apart_only_farther_from_each_other():
    grid = np.stack(np.meshgrid(np.arange(8, 80, 9.0), np.arange(8, 80, 9.0), indexing="ij"), -1).reshape(
        -1, 2
    )
    sharp, vague = (localizations(clouds(grid, 40, spread), (80, 80)) for spread in (SCATTER, 2.5 * SCATTER))
    assert scatter_of(sharp) < 1.1
    assert 1.8 < (factor := scatter_of(vague)) < 2.7
    assert len(gather(vague, GatherSettings().wider(factor))) == len(grid)
    few = localizations(clouds(grid[:5], 40, 2.5 * SCATTER), (80, 80))
    assert scatter_of(few) == scatter_of(localizations(np.zeros((0, 2)), (80, 80))) == 1


def test_what_localisations_errors_account_for_is_no_scatter_where_noise_is_white():
    grid = np.stack(np.meshgrid(np.arange(8, 80, 9.0), np.arange(8, 80, 9.0), indexing="ij"), -1).reshape(
        -1, 2
    )
    vague = listed(clouds(grid, 40, 2.5 * SCATTER))
    for share, explained in ((1.0, True), (0.7, False)):
        error = torch.full_like(vague.y_std, share * 2.5 * SCATTER)
        found = StoredLocalizations((80, 80)).extend([replace(vague, y_std=error, x_std=error)])
        assert scatter_of(found) > 1.8
        assert scatter_of(found, white=True) == (1 if explained else scatter_of(found))


def test_few_or_improbable_localisations_make_no_candidate():
    center = np.array([[20.0, 20.0]])
    assert len(gather(localizations(clouds(center, 2, 0.1), (40, 40)))) == 0
    assert len(gather(localizations(clouds(center, 9, 0.1), (40, 40), 0.3))) == 0
    assert len(gather(localizations(clouds(center, 9, 0.1), (40, 40), 0.9))) == 1
    least = GatherSettings(least_localizations=1.0)
    assert len(gather(localizations(clouds(center, 2, 0.1), (40, 40)), least)) == 1


def test_in_a_short_movie_fewer_localisations_make_a_candidate():
    """A cell that was lit once in a few seconds is in two or three frames."""
    once = localizations(clouds(np.array([[20.0, 20.0]]), 3, 0.1), (40, 40), 0.8)
    found = [len(gather(once, GatherSettings().within(frames))) for frames in (30, 100, 300, 3000)]
    assert found == [1, 1, 0, 0]


def test_peaks_that_come_together_share_their_localisations():
    """Two bins equally full are two peaks of the density, and one place that has both."""
    pair = np.array([[20.0, 20.0], [20.6, 20.0]])
    found = gather(localizations(np.repeat(pair, 2, 0), (40, 40)), GatherSettings(blur=0.2))
    np.testing.assert_allclose(found, [[20.3, 20.0]], atol=0.05)


@settings(max_examples=30)
@given(
    size=st.tuples(st.integers(8, 50), st.integers(8, 50)),
    count=st.integers(0, 300),
    seed=st.integers(0, 999),
)
def test_candidates_lie_in_the_field_and_apart(size, count, seed):
    random = np.random.default_rng(seed)
    points = random.uniform(-0.5, 1, (count, 2)) * size
    points = np.concatenate([points, points[: count // 3] + random.normal(0, 0.3, (count // 3, 2))])
    found = gather(localizations(np.clip(points, -0.5, np.array(size) - 0.5), size))
    assert found.shape[1:] == (2,)
    assert ((found >= -0.5) & (found <= np.array(size) - 0.5)).all()
    if len(found) > 1:
        apart = cdist(found, found) + 99 * np.eye(len(found))
        assert apart.min() > GatherSettings().separation


def test_cells_in_the_corners_are_found():
    corners = np.array([[0, 0], [0, 49], [39, 0], [39, 49.0]])
    found = gather(localizations(np.clip(clouds(corners, 60, 0.3), 0, (39, 49)), (40, 50)))
    assert len(found) == 4
    assert cdist(corners, found).min(1).max() < 0.5


def test_each_localisation_goes_to_the_nearest_centre_in_reach():
    centers = np.array([[10.0, 10.0], [10.0, 14.0]])
    owner = assign(np.array([[10, 11.9], [10, 12.1], [10, 16.1], [12.1, 10], [11.9, 10]]), centers, 2.0)
    assert owner.tolist() == [0, 1, -1, -1, 0]
    assert owner.dtype == np.int32
    assert assign(np.zeros((0, 2)), centers, 2.0).shape == (0,)
    assert assign(np.zeros((3, 2)), np.zeros((0, 2)), 2.0).tolist() == [-1, -1, -1]
    assert gather(localizations(np.zeros((0, 2)), (40, 40))).shape == (0, 2)
