"""Head, coordinate maps, and the two ways of picking coordinates from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.feature import peak_local_max

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.scale import CELL_SIGMA
from calcium_lightning.nn.background import LowResolutionBackground, NoBackground
from calcium_lightning.nn.coordinates import CoordinateMaps, CoordinateRanges, find_peaks, top_coordinates
from calcium_lightning.nn.head import CoordinateHead
from calcium_lightning.nn.maps import AMPLITUDE, LOGIT

RANGES = CoordinateRanges()


def maps_of(probability: torch.Tensor, **raw: torch.Tensor) -> CoordinateMaps:
    """Maps with given probabilities (B, H, W) and raw numbers of other channels, by channel name."""
    batch, height, width = probability.shape
    values = torch.zeros(batch, 10, height, width)
    values[:, LOGIT] = torch.logit(probability, eps=1e-7)
    channels = {"amplitude": AMPLITUDE, "dy": 2, "dx": 3, "angle": 6, "std_y": 8}
    for name, value in raw.items():
        values[:, channels[name]] = value
    return CoordinateMaps(values, RANGES)


def test_head_starts_near_nothing_and_within_bounds() -> None:
    torch.manual_seed(0)
    head = CoordinateHead(24, initial_probability=0.02, initial_amplitude=0.05, initial_offset_std=0.5)
    maps = head(torch.randn(2, 24, 9, 7).relu())
    assert (
        maps.logit.shape == maps.amplitude.shape == maps.angle.shape == maps.amplitude_std.shape == (2, 9, 7)
    )
    assert (
        maps.offset.shape == maps.sigma.shape == maps.offset_std.shape == maps.position.shape == (2, 2, 9, 7)
    )
    assert abs(maps.probability.mean() - 0.02) < 0.005
    assert abs(maps.amplitude.mean() - 0.05) < 0.01
    assert abs(maps.sigma.mean() - CELL_SIGMA) < 0.1
    assert abs(maps.offset_std.mean() - 0.5) < 0.05


@given(st.floats(-1e4, 1e4))
def test_ranges_hold_for_any_raw_number(value: float) -> None:
    maps = CoordinateMaps(torch.full((1, 10, 1, 1), value), RANGES)
    assert (maps.amplitude >= 0).all()
    assert (maps.offset.abs() <= 1).all()
    assert ((maps.sigma >= CELL_SIGMA / 2 - 1e-5) & (maps.sigma <= CELL_SIGMA * 2 + 1e-5)).all()
    assert (maps.angle.abs() <= math.pi / 2 + 1e-6).all()
    assert (maps.amplitude_std >= 0.05).all()
    assert ((maps.offset_std >= 0.02) & (maps.offset_std <= 3.0001)).all()


def test_head_refuses_impossible_bounds() -> None:
    with pytest.raises(InputError, match="sigma"):
        CoordinateHead(4, sigma=-1)
    with pytest.raises(InputError, match="initial"):
        CoordinateHead(4, initial_probability=0.0)


def test_top_coordinates_takes_the_strongest_with_gradients() -> None:
    torch.manual_seed(1)
    raw = torch.randn(2, 10, 6, 5, requires_grad=True)
    maps = CoordinateMaps(raw, RANGES)
    top = top_coordinates(maps, 4)
    strength = (maps.probability * maps.amplitude).flatten(1)
    expected, index = strength.topk(4, dim=1)
    torch.testing.assert_close(top.probability * top.amplitude, expected)
    torch.testing.assert_close(
        top.positions, maps.position.flatten(2).transpose(1, 2)[torch.arange(2)[:, None], index]
    )
    torch.testing.assert_close(
        top.sigma, maps.sigma.flatten(2).transpose(1, 2)[torch.arange(2)[:, None], index]
    )
    assert top.valid.all()
    (
        top.amplitude.sum() + top.positions.sum() + top.sigma.sum() + top.angle.sum() + top.probability.sum()
    ).backward()
    assert raw.grad is not None
    assert (raw.grad[:, :7].abs().sum(dim=(0, 2, 3)) > 0).all()
    assert (raw.grad.abs().sum(dim=1) > 0).sum() == 8
    assert top_coordinates(maps, 1000).amplitude.shape == (2, 30)


def test_one_blob_between_four_pixels_is_found_once_where_it_is() -> None:
    probability = torch.full((1, 12, 12), 1e-6)
    y, x, truth = torch.tensor([4, 4, 5, 5]), torch.tensor([7, 8, 7, 8]), (4.4, 7.6)
    share = torch.tensor([0.23, 0.25, 0.22, 0.24])
    probability[0, y, x] = share
    dy, dx = torch.zeros(1, 12, 12), torch.zeros(1, 12, 12)
    dy[0, y, x], dx[0, y, x] = torch.atanh(truth[0] - y), torch.atanh(truth[1] - x)
    found = find_peaks(
        maps_of(probability, dy=dy, dx=dx, amplitude=torch.tensor(3.0)), threshold=0.5, count=5
    )
    assert found.valid.tolist() == [[True, False, False, False, False]]
    torch.testing.assert_close(found.positions[0, 0], torch.tensor(truth), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.probability[0, 0], share.sum(), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.amplitude[0, 0], torch.nn.functional.softplus(torch.tensor(3.0)))
    # All four pixels agree, so that the position is as uncertain as each says.
    torch.testing.assert_close(found.position_std[0, 0], RANGES.offset_std(torch.zeros(2)), atol=1e-3, rtol=0)


def test_disagreement_of_neighbours_widens_the_position() -> None:
    probability = torch.full((1, 5, 5), 1e-7)
    probability[0, 2, 2:4] = torch.tensor([0.5, 0.4])
    agree = torch.zeros(1, 5, 5)
    agree[0, 2, 2], agree[0, 2, 3] = math.atanh(0.5), math.atanh(-0.5)
    narrow = find_peaks(maps_of(probability, dx=agree, std_y=torch.tensor(-5.0)), 0.5, 1).position_std[0, 0]
    wide = find_peaks(maps_of(probability, std_y=torch.tensor(-5.0)), 0.5, 1).position_std[0, 0]
    assert wide[1] > narrow[1] + 0.05
    torch.testing.assert_close(wide[0], narrow[0], atol=1e-3, rtol=1e-3)


@given(
    seed=st.integers(0, 10_000), height=st.integers(1, 14), width=st.integers(1, 14), batch=st.integers(1, 3)
)
@settings(max_examples=40)
def test_peaks_are_those_of_scikit_image(seed: int, height: int, width: int, batch: int) -> None:
    logit = torch.from_numpy(np.random.default_rng(seed).normal(-2, 2, (batch, height, width))).float()
    raw = torch.zeros(batch, 10, height, width)
    raw[:, LOGIT] = logit
    found = find_peaks(CoordinateMaps(raw, RANGES), threshold=0.6, count=100)
    for b in range(batch):
        p = np.pad(torch.sigmoid(logit[b]).numpy(), 1)
        mass = sum(p[i : i + height, j : j + width] for i in range(3) for j in range(3))
        pixels = peak_local_max(p[1:-1, 1:-1], min_distance=1, exclude_border=False, threshold_abs=0.0)
        expected = sorted((min(mass[y, x], 1.0) for y, x in pixels if mass[y, x] >= 0.6), reverse=True)
        got = found.probability[b][found.valid[b]].tolist()
        assert got == pytest.approx(expected, abs=1e-4)


def test_equal_neighbours_count_once_and_no_frame_is_forgotten() -> None:
    probability = torch.full((3, 8, 8), 1e-6)
    probability[0, 2:4, 2:4] = 0.25
    probability[2, 7, 7] = 0.9
    probability[2, 0, 0] = 0.8
    found = find_peaks(maps_of(probability), 0.5, count=1)
    assert found.valid.sum(dim=1).tolist() == [1, 0, 1]
    torch.testing.assert_close(found.positions[2, 0], torch.tensor([7.0, 7.0]), atol=1e-4, rtol=0)
    flat = find_peaks(maps_of(probability), 0.5, count=9).to_list(first_frame=10)
    assert flat.frame.tolist() == [10, 12, 12]
    assert len(flat) == 3
    torch.testing.assert_close(flat.y, torch.tensor([2.5, 7.0, 0.0]), atol=1e-3, rtol=0)


def test_bfloat16_maps_keep_positions_exact() -> None:
    probability = torch.full((1, 4, 300), 1e-6)
    probability[0, 1, 290] = 0.9
    maps = maps_of(probability)
    found = find_peaks(CoordinateMaps(maps.raw.bfloat16(), RANGES), 0.5, 1)
    assert found.positions.dtype == torch.float32
    torch.testing.assert_close(found.positions[0, 0], torch.tensor([1.0, 290.0]), atol=1e-3, rtol=0)


def test_nothing_found_and_bad_threshold() -> None:
    maps = maps_of(torch.full((2, 5, 5), 1e-6))
    found = find_peaks(maps, 0.5, 3)
    assert not found.valid.any()
    assert len(found.to_list()) == 0
    assert found.detach().to("cpu").positions.shape == (2, 3, 2)
    with pytest.raises(ValueError, match="threshold"):
        find_peaks(maps, 0.0)


def test_background_starts_at_zero_and_cannot_paint_a_cell() -> None:
    torch.manual_seed(0)
    background = LowResolutionBackground(3, stride=12)
    features = torch.randn(2, 3, 50, 61)
    assert torch.equal(background(features), torch.zeros(2, 50, 61))
    assert torch.equal(NoBackground(3)(features), torch.zeros(2, 50, 61))
    torch.nn.init.normal_(background.output.weight)
    painted = background(features)
    assert painted.std() > 0
    # Smooth: steps between neighbouring pixels are small against its range.
    assert painted.diff(dim=1).abs().max() < 0.2 * (painted.max() - painted.min())
    with pytest.raises(InputError, match="stride"):
        LowResolutionBackground(3, stride=0)
