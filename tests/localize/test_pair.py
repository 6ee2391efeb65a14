"""One cell that a person says is two: where the two lie and when each is lit, by its localisations."""

from __future__ import annotations

import numpy as np

from calcium_lightning.localize.pair import find_pair

FPS, DIAMETER = 20.0, 12.0


def seen(
    centers: list[tuple[float, float]], seed: int = 0, events: int = 12
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points, errors and frames of events of one cell after the other in any order; and whose each is."""
    random = np.random.default_rng(seed)
    whose = random.permutation(np.repeat(np.arange(len(centers)), events)).repeat(10)
    frame = 50 * np.arange(len(whose) // 10).repeat(10) + np.tile(np.arange(10), len(whose) // 10)
    points = np.array(centers)[whose] + random.normal(0, 0.8, (len(whose), 2))
    return points, np.full(points.shape, 0.8), frame, whose


def test_two_places_and_times_are_found() -> None:
    truth = np.array([(30.0, 40.0), (33.0, 44.0)])
    points, errors, frame, whose = seen([(30, 40), (33, 44)])
    order = np.random.default_rng(1).permutation(len(points))
    pair = find_pair(points[order], errors[order], frame[order], DIAMETER, FPS)
    assert pair is not None
    first = int(np.linalg.norm(truth - pair.centers[0], axis=1).argmin())
    assert np.abs(pair.centers - truth[[first, 1 - first]]).max() < 0.4
    share = pair.share_of(frame.max() + 100)
    np.testing.assert_allclose(share.sum(0), 1, atol=1e-6)
    assert ((share[first, frame] > 0.5) == (whose == 0)).mean() > 0.95


def test_one_place_tells_nothing() -> None:
    told = [find_pair(*seen([(30, 40)], seed, events=24)[:3], DIAMETER, FPS) for seed in range(8)]
    assert sum(pair is None for pair in told) >= 6
    points, errors, frame, _ = seen([(30, 40), (33, 44)])
    for count in (0, 1, 3):
        assert find_pair(points[:count], errors[:count], frame[:count], DIAMETER, FPS) is None
    same = np.zeros_like(frame)  # all in one second: nobody takes turns
    assert find_pair(points, errors, same, DIAMETER, FPS) is None


def test_many_localisations_are_thinned() -> None:
    points, errors, frame, _ = seen([(30, 40), (33, 44)], events=1000)
    pair = find_pair(points, errors, frame, DIAMETER, FPS)
    assert pair is not None
    assert len(pair.frame) <= 2000
