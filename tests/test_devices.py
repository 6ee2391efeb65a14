"""Everything runs on a device that has no float64, as Apple's: from a recording to cells, and a training's step.

The device is pretended; what it computes is what the CPU does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.moving import moving_tissue, wandering
from helpers.pretended import pretended_device
from helpers.tiny_network import ARCHITECTURE, make_network
from helpers.tiny_session import make_session
from scipy.spatial.distance import cdist

from calcium_lightning.data.datamodule import SessionData
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.localize.detectors.bandpass import BandpassDetector
from calcium_lightning.localize.detectors.base import WindowDetector
from calcium_lightning.metrics.calibration import LocalizationCalibration
from calcium_lightning.nn.checkpoint import load_network
from calcium_lightning.nn.coordinates import find_peaks
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.pipeline import extract
from calcium_lightning.preprocess.motion.estimate import MotionSettings
from calcium_lightning.preprocess.prepare import PreprocessSettings
from calcium_lightning.training.callbacks.localizations import table_rows
from calcium_lightning.training.localization import LocalizationModel
from calcium_lightning.training.losses import CombinedLoss, LabelLoss

DIAMETER = 8.0


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    path = tmp_path_factory.mktemp("devices") / "moving.h5"
    movie = moving_tissue(wandering(96), size=(72, 80), cell_diameter=DIAMETER)
    with SessionWriter(path, *movie.shape[1:], "uint8", 20.0) as writer:
        writer.append(movie)
    return Session(path)


def test_the_device_refuses_what_a_mac_refuses() -> None:
    with pretended_device() as device:
        there = torch.arange(3.0, device=device)
        with pytest.raises(TypeError, match="float64"):
            there.double()
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.arange(3.0)
        assert (2 * there).cpu().tolist() == [0, 2, 4]


@pytest.mark.parametrize("patches", [None, (2, 2)])
@pytest.mark.parametrize("kind", ["network", "bandpass"])
def test_cells_are_those_of_the_cpu(session: Session, kind: str, patches: tuple[int, int] | None) -> None:
    settings = PreprocessSettings(motion=MotionSettings(patches=patches))

    def find(device: torch.device):
        network, window = load_network()
        if kind == "network":
            detector = WindowDetector(network.to(device), window)
        else:
            detector = WindowDetector(BandpassDetector().to(device), WindowSettings(11, 0.5))
        return extract(session, cell_diameter=DIAMETER, detector=detector, preprocess=settings, device=device)

    expected = find(torch.device("cpu"))
    with pretended_device() as device:
        found = find(device)
    np.testing.assert_allclose(found.shifts, expected.shifts, atol=1e-3)
    assert expected.accepted.sum() > 3
    # The network is computed another way there, in another precision.
    apart = cdist(expected.centers[expected.accepted], found.centers).min(1)
    assert np.mean(apart < 0.5) > 0.8


def test_a_step_of_a_training_and_its_scores(tmp_path: Path) -> None:
    data = SessionData(
        [make_session(tmp_path / "a.h5")],
        WindowSettings(5, 0.5),
        cell_diameter=6,
        labels=True,
        batch_size=4,
        block=4,
    )
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    with pretended_device() as device:
        network = make_network()
        parts = (network.encoder, network.head, network.decoder, network.background)
        loss = CombinedLoss(labels=LabelLoss())
        model = LocalizationModel(*parts, loss, torch.optim.AdamW, architecture=ARCHITECTURE).to(device)
        optimizer = torch.optim.AdamW(model.parameters())
        there = batch.to(device)
        prediction, terms = model.evaluate(there)
        terms.total.backward()
        optimizer.step()
        found = find_peaks(prediction.maps, 0.001)
        model.scores.update(found.positions, there.labels.positions, found.valid, there.labels.valid)
        assert 0 <= float(model.scores.compute()["f1"]) <= 1
        calibration = LocalizationCalibration().to(device)
        calibration.update(
            found.positions,
            found.position_std,
            found.probability,
            there.labels.positions,
            found.valid,
            there.labels.valid,
        )
        assert calibration.compute().number.sum() == int(found.valid.sum())
        rows = table_rows(there, found, data.prepared)
        assert len(rows) == int(found.valid.sum())
