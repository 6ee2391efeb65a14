"""Two estimates of a place make a better one, and say how good it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from calcium_lightning.localize.localizations import StoredLocalizations
from calcium_lightning.localize.places import SPOT_FLOOR, claimed_means, put_together
from calcium_lightning.nn.coordinates import LocalizationBatch

CENTERS = np.array([[8.0, 8.0], [20.0, 11.0], [30.0, 30.0]])


def listed(frame: np.ndarray, points: np.ndarray, std: np.ndarray) -> LocalizationBatch:
    one = torch.ones(len(points))
    y, x, y_std, x_std = (torch.from_numpy(v.astype(np.float32)) for v in (*points.T, *std.T))
    return LocalizationBatch(torch.from_numpy(frame), y, x, one, one, one[:, None], one, one, y_std, x_std)


def test_each_cells_own_localisations_are_averaged_by_their_variances() -> None:
    random = np.random.default_rng(0)
    owner = random.integers(0, 3, 300)
    owner[owner == 2] = 0  # nothing near the last cell
    points = (CENTERS[owner] + random.normal(0, 0.5, (300, 2))).astype(np.float32)
    points[::10] = [36.0, 4.0]  # of no cell
    std = random.uniform(0.01, 1, (300, 2))
    record = listed(np.arange(300), points, std)
    count, mean, variance = claimed_means(StoredLocalizations((40, 40)).extend([record]), CENTERS, 3.0)

    weight = 1 / np.maximum(std, SPOT_FLOOR) ** 2
    for cell in (0, 1):
        mine = (np.linalg.norm(points - CENTERS[cell], axis=1) < 3) & (np.arange(300) % 10 > 0)
        assert count[cell] == mine.sum() > 50
        np.testing.assert_allclose(mean[cell], np.average(points[mine], 0, weight[mine]), atol=1e-5)
        np.testing.assert_allclose(variance[cell], 1 / weight[mine].sum(0), rtol=1e-5)
    assert (count[2], np.isinf(variance[2]).all()) == (0, True)
    np.testing.assert_array_equal(mean[2], CENTERS[2])


@pytest.mark.parametrize("extra", [0.0, 0.4])
def test_the_error_is_what_it_says(extra: float) -> None:
    """However much worse than their formal errors both are."""
    random = np.random.default_rng(1)
    truth = random.uniform(0, 200, (3000, 2))
    first, second = random.uniform(0.05, 0.3, (2, *truth.shape))
    centroid = truth + random.normal(0, np.hypot(first, extra))
    mean = truth + random.normal(0, np.hypot(second, extra))
    mean[:60] += 4  # some localisations are of something else
    center, std = put_together(centroid, first, mean, second**2)

    error = (center - truth)[60:]
    assert np.square(error / std[60:]).mean() == pytest.approx(1, abs=0.15)
    for other in (centroid, mean):
        assert np.square(error).mean() < 0.75 * np.square(other - truth)[60:].mean()


def test_a_cell_without_localisations_stays_at_its_footprint() -> None:
    centroid, std = np.array([[5.0, 6.0], [9.0, 2.0]]), np.full((2, 2), 0.1)
    mean, variance = centroid + 0.2, np.array([[0.01, 0.01], [np.inf, np.inf]])
    center, error = put_together(centroid, std, mean, variance)
    np.testing.assert_allclose(center, [[5.1, 6.1], [9.0, 2.0]])
    assert (error[0] < error[1]).all()
    assert (error[1] >= 0.1).all()


def test_no_cells_are_no_error() -> None:
    none = np.zeros((0, 2))
    assert claimed_means(StoredLocalizations((40, 40)), none, 3.0)[1].shape == (0, 2)
    assert [part.shape for part in put_together(none, none, none, none)] == [(0, 2), (0, 2)]
