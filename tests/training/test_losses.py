"""What is learned from: closed forms, Monte Carlo, and where the minimum lies."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.distributions import Normal

from calcium_lightning.nn.maps import (
    AMPLITUDE,
    AMPLITUDE_STD,
    CHANNELS,
    LOGIT,
    OFFSET,
    OFFSET_STD,
    CoordinateMaps,
    CoordinateRanges,
)
from calcium_lightning.nn.network import Prediction
from calcium_lightning.nn.splat import SplatDecoder
from calcium_lightning.nn.windows import Labels, WindowBatch
from calcium_lightning.training.losses import CombinedLoss, EvidenceLoss, LabelLoss, grain, remove_smooth

SIZE = (40, 48)
RANGES = CoordinateRanges()
NETWORK = SimpleNamespace(decoder=SplatDecoder())


def raw_maps(cells: list[tuple[float, float, float]], probability: float = 0.999, frames: int = 1) -> Tensor:
    """Raw numbers that say: these cells (y, x, amplitude), and nothing elsewhere."""
    raw = torch.zeros(frames, CHANNELS, *SIZE)
    raw[:, LOGIT] = -12.0
    raw[:, AMPLITUDE] = 0.5
    for y, x, amplitude in cells:
        row, column = round(y), round(x)
        raw[:, LOGIT, row, column] = math.log(probability / (1 - probability))
        raw[:, AMPLITUDE, row, column] = math.log(math.expm1(amplitude))
        offset = torch.atanh(torch.tensor([y - row, x - column]) / RANGES.max_offset)
        raw[:, OFFSET, row, column] = offset
    return raw


def batch_of(target: Tensor, labels: Labels | None = None) -> WindowBatch:
    count = len(target)
    index = torch.zeros(count, dtype=torch.long)
    return WindowBatch(target[:, None], target, torch.zeros(count, 4), index, index, labels)


def paint(cells: list[tuple[float, float, float]], sigma: float = 2.55) -> Tensor:
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    image = torch.zeros(SIZE)
    for cy, cx, amplitude in cells:
        image += amplitude * torch.exp(-0.5 * ((y - cy) ** 2 + (x - cx) ** 2) / sigma**2)
    return image[None]


def evidence(raw: Tensor, target: Tensor, loss: EvidenceLoss | None = None, step: int = 10**6):
    loss = loss or EvidenceLoss()
    prediction = Prediction(CoordinateMaps(raw, RANGES), torch.zeros(len(raw), *SIZE))
    return loss(NETWORK, prediction, batch_of(target), step)


CELLS = [(14.3, 15.6, 9.0), (28.8, 31.2, 6.0)]


def frame(seed: int = 0, cells=CELLS) -> Tensor:
    torch.manual_seed(seed)
    return remove_smooth(paint(cells) + torch.randn(1, *SIZE), 4.0)


def test_what_is_smooth_is_removed_as_scipy_does():
    torch.manual_seed(0)
    images = torch.randn(2, *SIZE)
    expected = images.numpy() - gaussian_filter(images.numpy(), 4.0, axes=(1, 2), truncate=3)
    torch.testing.assert_close(
        remove_smooth(images, 4.0)[:, 12:-12, 12:-12],
        torch.from_numpy(expected)[:, 12:-12, 12:-12],
        rtol=0,
        atol=1e-5,
    )
    torch.testing.assert_close(
        remove_smooth(torch.full((1, *SIZE), 7.0), 4.0), torch.zeros(1, *SIZE), rtol=0, atol=1e-4
    )


def test_the_truth_beats_what_is_not_the_truth():
    target = frame()
    best = float(evidence(raw_maps(CELLS), target).total)
    (y, x, a), other = CELLS
    for wrong in (
        [other],
        [*CELLS, (8.0, 40.0, 6.0)],
        [(y + 1, x, a), other],
        [(y, x - 1, a), other],
        [(y, x, 0.6 * a), other],
        [(y, x, 1.5 * a), other],
        [(y, x, a / 2), (y + 1, x, a / 2), other],  # one cell told by two halves costs twice
    ):
        assert float(evidence(raw_maps(wrong), target).total) > best, wrong
    unsure = evidence(raw_maps(CELLS, 0.5), target)
    assert float(unsure.total) > best


def test_the_reconstruction_of_the_truth_is_the_noise():
    errors = [float(evidence(raw_maps(CELLS), frame(seed)).parts["reconstruction"]) for seed in range(8)]
    noise = torch.stack([frame(seed, cells=[]) for seed in range(8)]).var()
    assert sum(errors) / 8 == pytest.approx(float(noise), rel=0.02)


def test_the_gradient_lights_up_a_cell_that_is_missing():
    raw = raw_maps([])
    raw[:, LOGIT] = -3.0  # nothing is known yet
    raw.requires_grad_()
    evidence(raw, remove_smooth(paint(CELLS), 4.0), step=0).total.backward()
    assert raw.grad is not None
    for y, x, _ in CELLS:
        pixel = (0, AMPLITUDE, round(y), round(x))
        assert raw.grad[pixel] < 0  # descent raises it
        assert raw.grad[0, LOGIT, round(y), round(x)] < 0
        towards = raw.grad[0, OFFSET, round(y), round(x)]
        assert (towards * torch.tensor([y - round(y), x - round(x)]) < 0).all()
    # Where there is nothing, saying so becomes dearer once the prices have risen.
    raw.grad = None
    evidence(raw, frame()).total.backward()
    assert (raw.grad[0, LOGIT, :6, -6:] > 0).all()


def test_the_expectation_over_coins_is_that_of_many_throws():
    loss = EvidenceLoss(coordinate_cost=0, amplitude_cost=0, background_diameters=10)
    target = paint(CELLS) + 0.5
    torch.manual_seed(1)
    p = (0.7, 0.3)
    raw = raw_maps(CELLS)
    for (y, x, _), probability in zip(CELLS, p, strict=True):
        raw[0, LOGIT, round(y), round(x)] = math.log(probability / (1 - probability))
    terms = evidence(raw, target, loss)
    expected = float(terms.total * grain(terms.reconstruction - target))
    total = 0.0
    for first in (0, 1):
        for second in (0, 1):  # both coins: the exact expectation
            chance = (p[0] if first else 1 - p[0]) * (p[1] if second else 1 - p[1])
            shown = remove_smooth(
                paint([cell for cell, lit in zip(CELLS, (first, second), strict=True) if lit]), 60
            )
            total += chance * 0.5 * float((shown - target).square().mean())
    assert expected == pytest.approx(total, rel=0.03)


def test_prices_rise_from_zero_and_are_in_nats():
    loss = EvidenceLoss(coordinate_cost=6.0, amplitude_cost=0.0, warmup_steps=100)
    target, certain = frame(cells=[]), raw_maps(CELLS, 1 - 1e-9)
    free, half, full = (float(evidence(certain, target, loss, step).total) for step in (-1, 49, 10**4))
    assert 0 < half - free < full - free
    assert full - free == pytest.approx(6.0 * 2 / (SIZE[0] * SIZE[1]), rel=0.01)
    brightness = EvidenceLoss(coordinate_cost=0.0, amplitude_cost=0.1)
    cost = float(
        evidence(certain, target, brightness).total - evidence(certain, target, brightness, -1).total
    )
    assert cost == pytest.approx(0.1 * 15 / (SIZE[0] * SIZE[1]), rel=0.01)


def test_blobs_of_noise_count_once():
    torch.manual_seed(0)
    white = torch.randn(2, 200, 220)  # repeated borders count a little more: large enough not to matter
    blobs = torch.from_numpy(gaussian_filter(white.numpy(), 2.0, axes=(1, 2)))
    assert float(grain(white)) == pytest.approx(1, abs=0.15)
    assert float(grain(blobs)) > 8  # white noise so smoothed has 4 pi 2^2 = 50 times fewer independent places
    torch.testing.assert_close(grain(1000 * blobs), grain(blobs))
    assert float(grain(torch.zeros(1, *SIZE))) == 1


def labels_of(cells: list[tuple[float, float, float]], padding: int = 0, junk: float = 0.0) -> Labels:
    table = torch.tensor(cells + [(junk, junk, junk)] * padding).reshape(-1, 3)
    valid = torch.arange(len(table)) < len(cells)
    return Labels(table[None, :, :2], table[None, :, 2], valid[None])


def label_loss(raw: Tensor, labels: Labels, **options):
    return LabelLoss(**options)(CoordinateMaps(raw, RANGES), labels)


def test_one_cell_has_the_likelihood_computed_by_hand():
    raw = raw_maps([])
    raw[:, LOGIT] = -40.0
    raw[0, LOGIT, 20, 21] = 2.0
    raw[0, OFFSET, 20, 21] = torch.tensor([0.3, -0.1])
    raw[0, OFFSET_STD, 20, 21] = torch.tensor([-2.0, -1.0])
    raw[0, AMPLITUDE, 20, 21], raw[0, AMPLITUDE_STD, 20, 21] = 4.0, 0.5
    truth = (20.4, 20.8, 5.0)
    terms = label_loss(raw, labels_of([truth]), amplitude_tolerance=0.1)
    y, x = 20 + math.tanh(0.3), 21 + math.tanh(-0.1)
    std = [0.02 + 2.98 / (1 + math.exp(2.0)), 0.02 + 2.98 / (1 + math.exp(1.0))]
    soft = math.log1p(math.exp(4.0)), 0.05 + math.log1p(math.exp(0.5))
    spread = math.hypot(soft[1], 0.1 * 5.0)
    by_hand = sum(
        float(Normal(m, s).log_prob(torch.tensor(v)))
        for m, s, v in ((y, std[0], 20.4), (x, std[1], 20.8), (soft[0], spread, 5.0))
    )
    assert float(terms.parts["placement"]) == pytest.approx(-by_hand, rel=1e-4)
    assert float(terms.parts["presence"]) == pytest.approx(math.log1p(math.exp(-2.0)), rel=1e-3)
    assert float(terms.total) == pytest.approx(math.log1p(math.exp(-2.0)) - by_hand, rel=1e-4)


def test_learning_from_labels_ends_at_the_labels():
    raw = raw_maps([])
    raw[:, LOGIT] = -3.0
    raw.requires_grad_()
    optimizer = torch.optim.Adam([raw], 0.1)
    cells = [*CELLS, (0.2, 47.3, 4.0)]  # one in a corner
    for _ in range(300):
        optimizer.zero_grad()
        label_loss(raw, labels_of(cells)).total.backward()
        assert torch.isfinite(raw.grad).all()
        optimizer.step()
    maps = CoordinateMaps(raw.detach(), RANGES)
    for y, x, amplitude in cells:
        at = (0, round(y), round(x))
        assert float(maps.probability[at]) > 0.9
        place = torch.stack([maps.position[0, axis, at[1], at[2]] for axis in (0, 1)])
        torch.testing.assert_close(place, torch.tensor([y, x]), rtol=0, atol=0.1)
        assert float(maps.amplitude[at]) == pytest.approx(amplitude, rel=0.1)
    assert int((maps.probability > 0.5).sum()) == 3


def test_frames_without_a_cell_tell_the_same_parts():
    """Another process may have some: they would wait for each other for ever."""
    raw = raw_maps([]).requires_grad_()
    empty = label_loss(raw, labels_of([]))
    assert empty.parts.keys() == label_loss(raw, labels_of(CELLS)).parts.keys()
    assert float(empty.parts["placement"]) == 0
    empty.total.backward()
    assert torch.isfinite(raw.grad).all()


@pytest.mark.parametrize("true_std", [0.1, 0.3, 0.8])
def test_the_best_uncertainty_is_the_true_one(true_std):
    torch.manual_seed(0)
    count = 1000
    truth = torch.tensor([20.0, 21.0]) + true_std * torch.randn(count, 1, 2)
    truth = truth.clamp(min=torch.tensor([18.6, 19.6]), max=torch.tensor([21.4, 22.4]))
    labels = Labels(truth, torch.full((count, 1), 5.0), torch.ones(count, 1, dtype=torch.bool))
    # Of the nine pixels only the middle one speaks.
    raw = raw_maps([(20.0, 21.0, 5.0)])
    grid = torch.linspace(0.05, 1.3, 36)
    losses = []
    for std in grid:
        raw[:, OFFSET_STD] = torch.logit((std - 0.02) / 2.98)
        maps = CoordinateMaps(raw.expand(count, -1, -1, -1), RANGES)
        losses.append(float(LabelLoss(reach=2)(maps, labels).parts["placement"]))
    best = float(grid[torch.tensor(losses).argmin()])
    assert best == pytest.approx(true_std, abs=0.04 + 0.1 * true_std)


def test_padding_and_cells_outside_are_ignored():
    raw = raw_maps(CELLS, 0.8).requires_grad_()
    plain = label_loss(raw, labels_of(CELLS)).total
    for junk in (0.0, 21.0, 1e6, -1e6):
        padded = label_loss(raw, labels_of(CELLS, 3, junk)).total
        torch.testing.assert_close(padded, plain)
    outside = label_loss(raw, labels_of([*CELLS, (-2.0, 5.0, 3.0), (5.0, 49.0, 3.0)])).total
    torch.testing.assert_close(outside, plain)
    nothing = label_loss(raw, labels_of([], 2))
    assert torch.isfinite(nothing.total)
    nothing.total.backward()
    assert torch.isfinite(raw.grad).all()


def test_labels_count_where_there_are_any():
    target, raw = frame(), raw_maps(CELLS)
    prediction = Prediction(CoordinateMaps(raw, RANGES), torch.zeros(1, *SIZE))
    alone = EvidenceLoss()(NETWORK, prediction, batch_of(target), 5).total
    both = CombinedLoss(EvidenceLoss(), LabelLoss(), evidence_weight=0.5, label_weight=2.0)
    torch.testing.assert_close(both(NETWORK, prediction, batch_of(target), 5).total, 0.5 * alone)
    labelled = both(NETWORK, prediction, batch_of(target, labels_of(CELLS)), 5)
    expected = 0.5 * alone + 2.0 * label_loss(raw, labels_of(CELLS)).total / (SIZE[0] * SIZE[1])
    torch.testing.assert_close(labelled.total, expected)
    assert {"reconstruction", "presence", "placement"} <= labelled.parts.keys()
