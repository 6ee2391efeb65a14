"""What a graphics card computes is what the CPU does: run by ``make gpu``, skipped where there is none.

Tolerances: the network in bfloat16 against the CPU's bfloat16, motion in single precision.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.moving import moving_tissue, wandering
from helpers.tiny_training import TINY, real, sessions
from scipy.spatial.distance import cdist

from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.nn.splat import splat
from calcium_lightning.pipeline import extract
from calcium_lightning.preprocess.motion.estimate import estimate_motion

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
DIAMETER = 8.0


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gpu") / "moving.h5"
    movie = moving_tissue(wandering(160), size=(96, 112), cell_diameter=DIAMETER)
    with SessionWriter(path, *movie.shape[1:], "uint8", 20.0) as writer:
        writer.append(movie)
    return path


def test_motion_is_the_cpus_within_a_hundredth_of_a_pixel(session):
    found = [estimate_motion(Session(session), None, DIAMETER, device).shifts for device in ("cpu", "cuda")]
    np.testing.assert_allclose(found[1], found[0], atol=0.01)


def test_cells_are_the_cpus_within_half_a_pixel(session):
    expected, found = (extract(session, cell_diameter=DIAMETER, device=name) for name in ("cpu", "cuda"))
    assert expected.accepted.sum() > 3
    apart = cdist(expected.centers[expected.accepted], found.centers).min(1)
    assert np.mean(apart < 0.5) > 0.9


def test_splats_are_the_cpus():
    torch.manual_seed(0)
    given = [
        torch.rand(2, 30, 2) * 40,
        torch.rand(2, 30),
        1 + torch.rand(2, 30, 2),
        torch.rand(2, 30) * 3,
    ]
    there = [part.cuda() for part in given]
    painted = splat(*there, (40, 44), largest=2.0).cpu()
    torch.testing.assert_close(painted, splat(*given, (40, 44)), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("devices", [1, 2])
def test_a_training_runs(session, tmp_path, devices):
    if torch.cuda.device_count() < devices:
        pytest.skip(f"{torch.cuda.device_count()} CUDA device")
    trainer = ["trainer=gpu"] if devices == 1 else ["trainer=ddp", "trainer.devices=2"]
    result = real(*TINY, sessions(session), *trainer, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
