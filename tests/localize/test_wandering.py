"""What moves over the tissue lights up cell after cell; cells don't, together or alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from calcium_lightning.localize.wandering import WANDERS, wandering, wandering_line

FPS, DIAMETER, SIDE = 20.0, 10.0, 120


def calcium(random: np.random.Generator, count: int, frames: int) -> np.ndarray:
    """Transients at random times, (count, frames)."""
    onsets = (random.random((count, frames)) < 0.004) * random.uniform(0.5, 2, (count, frames))
    kernel = np.exp(-np.arange(40) / 10)
    return np.stack([np.convolve(row, kernel)[:frames] for row in onsets])


@pytest.fixture
def field() -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    """Cells side by side: a source of chance, their places, their traces."""
    random = np.random.default_rng(4)
    y, x = np.mgrid[5:SIDE:DIAMETER, 5:SIDE:DIAMETER]
    places = np.stack([y.ravel(), x.ravel()], 1) + random.normal(0, 1.5, (y.size, 2))
    return random, places, calcium(random, len(places), 1600).astype(np.float32)


def told(places: np.ndarray, traces: np.ndarray, accepted: np.ndarray | None = None) -> float:
    chosen = np.ones(len(places), bool) if accepted is None else accepted
    return wandering(traces, chosen, places, DIAMETER, FPS)


def passing(random: np.random.Generator, places: np.ndarray, frames: int, speed: float) -> np.ndarray:
    """How bright what wanders makes each place, (K, T)."""
    way = gaussian_filter1d(random.normal(0, 1, (frames, 2)), 60, axis=0)
    way *= speed / np.sqrt(np.square(way).sum(1).mean())
    path = np.abs((np.cumsum(way, 0) + 40) % (2 * SIDE) - SIDE)
    distance = np.linalg.norm(places[:, None] - path[None], axis=2)
    return np.exp(-((distance / 6.0) ** 2))


def test_cells_alone_and_together_are_no_wandering(field) -> None:
    random, places, traces = field
    assert told(places, traces) < 0.5 * WANDERS
    bursts = calcium(random, 1, traces.shape[1])
    assert told(places, traces + 2 * bursts) < 0.5 * WANDERS
    # Haze that parts of the field share.
    part = (places // 40) @ [3, 1]
    haze = calcium(random, 16, traces.shape[1])[part.astype(int) % 16]
    assert told(places, traces + haze) < 0.5 * WANDERS
    assert wandering_line(told(places, traces)) == ""


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_what_wanders_is_told_at_any_speed_and_rate(field, speed: float) -> None:
    random, places, traces = field
    several = sum(passing(random, places, traces.shape[1], speed) for _ in range(3))
    moving = (traces + 2 * several).astype(np.float32)
    assert told(places, moving) > WANDERS
    assert "wanders over the tissue" in wandering_line(told(places, moving))
    coarse = moving.reshape(len(places), -1, 4).mean(2)
    assert wandering(coarse, np.ones(len(places), bool), places, DIAMETER, FPS / 4) > WANDERS
    assert told(places, moving, np.arange(len(places)) < 12) == 0  # too few to say
    gaps = moving.copy()
    gaps[:, 100:120] = np.nan
    assert told(places, gaps) > WANDERS


def test_nothing_is_told_of_too_little() -> None:
    for shape in ((0, 900), (30, 0), (30, 100)):
        places = np.random.default_rng(0).uniform(0, SIDE, (shape[0], 2))
        assert told(places, np.ones(shape, np.float32)) == 0
    assert told(1000.0 * np.arange(60).reshape(30, 2), np.eye(30, 900, dtype=np.float32)) == 0


def test_a_part_of_the_field_that_flares_up_once_is_no_wandering(field) -> None:
    """Cell after cell within some seconds, then never again."""
    random, places, traces = field
    for lasting in (6, 15):
        onsets = 700 + places[:, 1] + random.normal(0, 2, len(places))
        since = (np.arange(traces.shape[1]) - onsets[:, None]) / lasting
        flare = np.exp(-(since**2)) * (places[:, 0] < 70)[:, None]
        assert told(places, traces + 8 * flare) < 0.5 * WANDERS
