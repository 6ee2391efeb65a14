import numpy as np
import pytest
import torch

from calcium_lightning.metrics.calibration import LocalizationCalibration
from calcium_lightning.training.callbacks.localizations import LocalizationCheck, draw


@pytest.fixture
def result():
    metric = LocalizationCalibration()
    positions = torch.tensor([[[4.0, 4.0], [9.0, 9.0]]])
    metric.update(positions, torch.ones(1, 2, 2), torch.tensor([[0.9, 0.1]]), torch.tensor([[[4.0, 5.0]]]))
    return metric.compute()


def test_calibration_is_drawn(result):
    reliability, errors = draw(result).axes
    assert reliability.lines[1].get_xdata() == pytest.approx([0.1, 0.9])
    assert reliability.lines[1].get_ydata() == pytest.approx([0, 1])
    assert sum(bar.get_height() * bar.get_width() for bar in errors.patches) == pytest.approx(1)


def test_nothing_found_is_drawn_too():
    metric, nothing = LocalizationCalibration(), torch.zeros(1, 0, 2)
    metric.update(nothing, nothing, torch.zeros(1, 0), nothing)
    draw(metric.compute())


def test_nothing_is_looked_at_where_nobody_would_see_it():
    class Idle:
        sanity_checking, current_epoch, max_epochs, is_global_zero, loggers = False, 0, 1, True, ()

    class Batch:
        labels = None

    LocalizationCheck(1).on_validation_batch_end(Idle(), None, None, Batch(), 0)  # the model isn't asked


def test_histograms_hold_what_lies_beyond(result):
    metric = LocalizationCalibration(radius=9.0)
    metric.update(
        torch.zeros(1, 1, 2), torch.full((1, 1, 2), 0.1), torch.ones(1, 1), torch.full((1, 1, 2), 5.0)
    )
    z = metric.compute().z_count
    assert (z[0], np.sum(z)) == (2, 2)
