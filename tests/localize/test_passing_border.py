"""A field that drifts: the frames' border passes over cells, and each stays one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.pipeline import extract
from calcium_lightning.preprocess.shown import PassingBorder

COUNT, SIDE, DRIFT, SIGMA, APART = 1200, 64, 24, 3.6, 13


def drifting(path: Path, seed: int) -> np.ndarray:
    """Write Gaussian cells that blink while the field drifts as told; their centres (K, 2)."""
    random = np.random.default_rng(seed)
    drawn = np.stack([random.uniform(-DRIFT / 2, SIDE + DRIFT / 2, 10), random.uniform(8, SIDE - 8, 10)], 1)
    centers = drawn[:1]
    for center in drawn[1:]:
        if np.hypot(*(centers - center).T).min() > APART:
            centers = np.vstack([centers, center])
    shifts = np.zeros((COUNT, 2), np.float32)
    shifts[:, 0] = np.linspace(-DRIFT / 2, DRIFT / 2, COUNT)
    events = (random.random((len(centers), COUNT)) < 0.02).astype(float)
    decay = np.exp(-np.arange(40) / 8)
    traces = 14 * np.stack([np.convolve(row, decay)[:COUNT] for row in events])
    line = np.arange(SIDE)
    y = line - centers[:, 0, None, None] - shifts[None, :, 0, None]
    x = line - centers[:, 1, None]
    light = np.einsum("kt,kty,kx->tyx", traces, *(np.exp(-0.5 * (d / SIGMA) ** 2) for d in (y, x)))
    frames = 100 + light + random.normal(0, 2, light.shape)
    with SessionWriter(path, SIDE, SIDE, "float32", 10.0) as writer:
        writer.append(frames.astype(np.float32))
        writer.set_shifts(shifts)
    return centers


@pytest.mark.parametrize("seed", [1, 3])
def test_no_cell_is_told_twice(seed, tmp_path, monkeypatch):
    centers = drifting(tmp_path / "a.h5", seed)

    def told() -> tuple[list[int], np.ndarray]:
        """How often each true cell is told, and how much of each one's activity the border cuts."""
        cells = extract(tmp_path / "a.h5", cell_diameter=8.5)
        distance = np.hypot(*(cells.centers[cells.accepted, None] - centers[None]).transpose(2, 0, 1))
        assert distance.min(1).max() < APART / 2
        times = np.bincount(distance.argmin(1), minlength=len(centers)).tolist()
        return times, cells.quality.get("border", np.zeros(len(cells)))[cells.accepted]

    times, cut = told()
    assert max(times) == 1
    assert times.count(1) >= 5
    assert 0 < cut.max() <= 0.65
    monkeypatch.setattr(PassingBorder, "of", lambda prepared: None)
    assert max(told()[0]) == 2
