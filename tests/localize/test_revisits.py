"""What comes back whenever the tissue lies in the same place is told from activity."""

from __future__ import annotations

import numpy as np

from calcium_lightning.localize.revisits import told_by_place
from calcium_lightning.localize.scratch import ScratchTraces

FPS, FRAMES = 20.0, 900


def _shifts(size: float = 1.0) -> np.ndarray:
    time = np.arange(FRAMES) / FPS
    return size * np.stack([np.sin(time * 1.1), np.cos(time * 0.7)], 1)


def _traces(shifts: np.ndarray) -> np.ndarray:
    """One that goes by the place of the tissue, one with transients, one that is silent."""
    random = np.random.default_rng(0)
    placed = (np.hypot(*(shifts - shifts[200]).T) < 0.6) * 5.0
    active = np.convolve(random.random(FRAMES) < 0.01, np.exp(-np.arange(60) / 10))[:FRAMES]
    noise = random.normal(0, 0.3, (2, FRAMES))
    return np.stack([placed + noise[0], 5 * active + noise[1], np.zeros(FRAMES)]).astype(np.float32)


def test_what_goes_by_the_place_of_the_tissue_is_told_from_activity() -> None:
    placed, active, silent = told_by_place(ScratchTraces.of(_traces(_shifts())), _shifts(), FPS)

    assert placed > 0.7
    assert abs(active) < 0.25
    assert silent == 0


def test_tissue_that_stays_where_it_is_tells_nothing() -> None:
    traces = ScratchTraces.of(_traces(_shifts()))

    np.testing.assert_array_equal(told_by_place(traces, _shifts(0.1), FPS), 0)
    few = ScratchTraces.of(_traces(_shifts())[:, :5])
    np.testing.assert_array_equal(told_by_place(few, _shifts()[:5], FPS), 0)
    assert told_by_place(ScratchTraces.of(np.zeros((0, FRAMES), np.float32)), _shifts(), FPS).shape == (0,)
