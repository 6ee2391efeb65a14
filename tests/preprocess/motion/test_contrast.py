"""Contrast that comes and goes, and what looks like that."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.moving import moving_tissue

from calcium_lightning.preprocess.motion.contrast import contrast_wanders
from calcium_lightning.preprocess.motion.registration import Correlator

PHASE = np.linspace(0, 2 * np.pi, 120)[:, None, None]


@pytest.fixture(scope="module")
def clear() -> np.ndarray:
    return moving_tissue(np.zeros((120, 2))).astype(np.float32)


def wanders(frames: np.ndarray) -> bool:
    still = torch.from_numpy(frames.astype(np.float32))
    correlate = Correlator(*frames.shape[1:], 8.0, 0.2, still.device)
    return contrast_wanders(correlate, still, still.mean(0))


def test_fog_and_glare_wander(clear):
    veiled = 0.35 + 0.65 * np.cos(PHASE / 2) ** 2
    assert wanders(clear * veiled + clear.mean((1, 2), keepdims=True) * (1 - veiled))
    assert wanders(0.7 * clear + 60 * np.sin(PHASE / 2) ** 2)


def test_cells_that_light_up_a_dimming_lamp_and_noise_do_not(clear):
    assert not wanders(clear)
    assert not wanders(clear * np.linspace(1, 0.3, 120)[:, None, None])
    random = np.random.default_rng(0).uniform(0.8, 1.2, (120, 1, 1))
    assert not wanders(clear.mean((1, 2), keepdims=True) * (1 - random) + clear * random)


def test_dark_and_few_frames_tell_nothing(clear):
    assert not wanders(0 * clear)
    assert not wanders(clear[:2])
