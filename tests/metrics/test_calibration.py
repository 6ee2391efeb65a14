import math

import numpy as np
import pytest
import torch

from calcium_lightning.metrics.calibration import LocalizationCalibration


def planted(frames: int, told: float, true: float, spread: float, seed: int = 0):
    """Localisations of which a share are cells, with errors of unit variance beside a standard error told."""
    random = torch.Generator().manual_seed(seed)
    cells = torch.rand(frames, 1, generator=random) < true
    positions = torch.full((frames, 1, 2), 20.0) + torch.randn(frames, 1, 2, generator=random)
    return {
        "positions": positions,
        "position_std": torch.full((frames, 1, 2), spread),
        "probability": torch.full((frames, 1), told),
        "true_positions": torch.full((frames, 1, 2), 20.0),
        "true_valid": cells,
    }


@pytest.mark.parametrize(
    ("told", "true", "spread", "error", "z"), [(0.7, 0.7, 1.0, 0.0, 1.0), (0.95, 0.6, 0.5, 0.35, 2.0)]
)
def test_the_honest_and_the_boastful(told, true, spread, error, z):
    metric = LocalizationCalibration(radius=6.0)
    metric.update(**planted(4000, told, true, spread))
    result = metric.compute()
    assert result.calibration_error == pytest.approx(error, abs=0.03)
    assert result.position_z == pytest.approx(z, rel=0.05)
    (some,) = np.flatnonzero(result.number)
    assert result.probability[some] == pytest.approx(told)
    assert result.share[some] == pytest.approx(true, abs=0.03)


def test_batches_add_up():
    whole, parts = LocalizationCalibration(), LocalizationCalibration()
    batch = planted(60, 0.4, 0.5, 1.0)
    whole.update(**batch)
    for half in (slice(0, 25), slice(25, 60)):
        parts.update(**{name: values[half] for name, values in batch.items()})
    one, two = whole.compute(), parts.compute()
    assert (one.calibration_error, one.position_z) == pytest.approx((two.calibration_error, two.position_z))
    assert (one.z_count == two.z_count).all()


def test_places_that_do_not_exist_do_not_count():
    metric = LocalizationCalibration()
    positions = torch.tensor([[[5.0, 5.0], [5.0, 5.0]]])
    label = torch.tensor([[[5.0, 5.0], [9.0, 9.0]]])
    metric.update(
        positions,
        torch.ones(1, 2, 2),
        torch.tensor([[0.9, 0.9]]),
        label,
        valid=torch.tensor([[True, False]]),
        true_valid=torch.tensor([[True, False]]),
    )
    result = metric.compute()
    assert result.number.sum() == 1
    assert result.calibration_error == pytest.approx(0.1)
    assert result.position_z == 0


def test_nothing_found_is_not_a_number():
    metric = LocalizationCalibration()
    nothing = torch.zeros(1, 0, 2)
    metric.update(nothing, nothing, torch.zeros(1, 0), torch.ones(1, 1, 2))
    result = metric.compute()
    assert math.isnan(result.calibration_error)
    assert math.isnan(result.position_z)
