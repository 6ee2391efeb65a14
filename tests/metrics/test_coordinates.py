"""Learned coordinates against masks whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from calcium_lightning.metrics.coordinates import coordinate_figures, depth_in_cells, visited_pixels


def discs(size: int = 100, radius: int = 7, step: int = 25) -> tuple[np.ndarray, np.ndarray]:
    """A mask of discs, and their centres."""
    y, x = np.mgrid[:size, :size]
    centres = np.array([(a, b) for a in range(12, size, step) for b in range(12, size, step)])
    near = np.hypot(y[..., None] - centres[:, 0], x[..., None] - centres[:, 1]).min(-1)
    return near <= radius, centres


def test_distinct_pixels_are_counted_once():
    tracks = np.array([[[1.2, 2.0], [5.0, 5.0]], [[1.4, 2.2], [6.0, 5.0]], [[2.0, 2.0], [-3.0, 99.0]]])
    visited = visited_pixels(tracks, 10)
    assert visited.pixels.tolist() == [[0, 9], [1, 2], [2, 2], [5, 5], [6, 5]]
    assert visited.share == pytest.approx([1 / 3, 2 / 3, 1 / 3, 1 / 3, 1 / 3])
    assert visited.owner.tolist() == [1, 0, 0, 1, 1]


def test_depth_is_0_outside_small_at_the_edge_and_1_at_the_centre():
    mask, centres = discs()
    depth, found = depth_in_cells(mask)
    assert (depth[~mask] == 0).all()
    assert depth[tuple(centres.T)] == pytest.approx(1.0)
    assert depth[12, 12 + 7] < 0.2
    assert sorted(map(tuple, found)) == sorted(map(tuple, centres.astype(float)))


def test_touching_cells_have_a_centre_each():
    y, x = np.mgrid[:30, :40]
    mask = (np.hypot(y - 15, x - 12) <= 7) | (np.hypot(y - 15, x - 25) <= 7)
    depth, centres = depth_in_cells(mask)
    assert len(centres) == 2
    assert depth[15, 12] == pytest.approx(1.0, abs=0.15)
    assert depth[15, 25] == pytest.approx(1.0, abs=0.15)
    assert depth[15, 19] < 0.6


def test_coordinates_at_centres_are_perfect():
    mask, centres = discs()
    start = np.random.default_rng(0).uniform(5, 95, (100, 2))
    figures = coordinate_figures(visited_pixels(centres[None], 100), start, mask, draws=100)
    assert (figures["tp"], figures["fp"], figures["precision"], figures["kappa"]) == (16, 0, 1, 1)
    assert figures["parts_hit"] == figures["parts"] == 16
    assert figures["depth"] == pytest.approx(1)
    assert figures["center_distance"] == 0 < figures["center_distance_chance"]
    assert figures["improvement"] == pytest.approx(1 - figures["start_precision"])


def test_random_coordinates_are_chance_and_the_intervals_say_so():
    """Over many random starts, 95 % intervals hold the chance about 95 times in 100."""
    mask, _ = discs()
    random = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        places = random.uniform(0, 99, (100, 2))
        walk = places + np.cumsum(
            random.normal(0, 0.3, (20, 100, 2)), 0
        )  # pixels of one coordinate hang together
        figures = coordinate_figures(visited_pixels(walk, 100), places, mask, draws=200)
        held += figures["kappa_low"] <= 0 <= figures["kappa_high"]
        assert abs(figures["depth"] - figures["depth_chance"]) < 0.2
    assert held >= 50
