"""Waves across the frames are found, taken off and said; what tissue, noise and lines do is no wave."""

from __future__ import annotations

import numpy as np
import pytest

from calcium_lightning.preprocess.motion.estimate import estimate_motion
from calcium_lightning.preprocess.repaired import RepairedSession

from . import artefacts
from .test_repaired import session


def waves(made: artefacts.Made, frequency: tuple[float, float], amplitude: float) -> np.ndarray:
    """One wave with another phase in each frame."""
    y, x = np.indices(made.size)
    phase = made.random.random(len(made.frames))[:, None, None]
    return amplitude * np.sin(2 * np.pi * (frequency[0] * y + frequency[1] * x + phase))


@pytest.mark.parametrize("frequency", [(0.06, 0.05), (-0.113, 0.031)])
def test_a_wave_is_taken_off_and_motion_follows_the_tissue(tmp_path, frequency):
    made = artefacts.make(41, motion=1.5)
    truth = made.frames.copy()
    added = waves(made, frequency, 6.0)
    made.frames += added
    repaired = RepairedSession.of(session(tmp_path, made))
    np.testing.assert_allclose(np.abs(repaired.waves.frequency), np.abs([frequency]), atol=5e-4)
    assert repaired.waves.strength == pytest.approx(6.0, rel=0.1)
    shifts = estimate_motion(repaired, cell_diameter_px=8.0).shifts
    error = shifts - made.shifts
    assert np.sqrt(((error - np.median(error, 0)) ** 2).mean(0)).max() < 0.2
    left = repaired.knowing_motion(shifts, 8.0).frames() - truth
    overlap = np.abs((left * added).mean((1, 2))) / np.square(added).mean((1, 2))
    assert np.median(overlap) < 0.1
    assert any("interference: 1 wave runs" in line for line in repaired.findings.lines())


def test_two_waves_are_told_apart(tmp_path):
    made = artefacts.make(42)
    made.frames += waves(made, (0.06, 0.05), 6.0) + waves(made, (0.09, -0.11), 4.0)
    found = RepairedSession.of(session(tmp_path, made)).waves
    np.testing.assert_allclose(np.sort(found.strength), [4, 6], rtol=0.1)


@pytest.mark.parametrize("motion", [0.5, 4.0])
def test_tissue_that_moves_is_no_wave(tmp_path, motion):
    repaired = RepairedSession.of(session(tmp_path, artefacts.make(43, motion=motion)))
    assert not len(repaired.waves)
    assert repaired.dtype == np.uint8
