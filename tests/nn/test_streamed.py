"""The streamed network says what the plain one says."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor

from calcium_lightning.nn import streamed
from calcium_lightning.nn.background import NoBackground
from calcium_lightning.nn.checkpoint import load_network
from calcium_lightning.nn.coordinates import Coordinates
from calcium_lightning.nn.encoder import UShapeEncoder
from calcium_lightning.nn.head import CoordinateHead
from calcium_lightning.nn.network import LocalizationNetwork
from calcium_lightning.nn.splat import SplatDecoder
from calcium_lightning.nn.streamed import StreamedNetwork, can_stream
from calcium_lightning.nn.windows import WindowSettings, take_windows, window_weights

THRESHOLD = 0.3


def network_of(
    taps: int = 5, features: tuple[int, ...] = (8, 12), hidden: int = 0, **encoder: Any
) -> LocalizationNetwork:
    """A network that finds something in noise, at random."""
    torch.manual_seed(0)
    layers = UShapeEncoder(taps, features, 6, **encoder)
    head = CoordinateHead(layers.out_channels, hidden=hidden)
    with torch.no_grad():
        for parameter in [*layers.parameters(), *head.parameters()]:
            parameter.add_(0.1 * torch.randn_like(parameter))
        head.output.weight[0] *= 3
        head.output.bias[0] = -1.5  # type: ignore[index]
    return LocalizationNetwork(layers, head, NoBackground(), SplatDecoder())


def frames_of(weights: Tensor, count: int, size: tuple[int, int]) -> Tensor:
    return torch.randn(count + weights.shape[1] - 1, *size, generator=torch.Generator().manual_seed(1))


def assert_same(found: Coordinates, expected: Coordinates, tolerance: float = 2e-4) -> None:
    assert torch.equal(found.valid, expected.valid)
    for name in (field.name for field in fields(Coordinates) if field.name != "valid"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), atol=tolerance, rtol=tolerance, msg=name
        )


@pytest.mark.parametrize("encoder", [{}, {"radius": True}, {"coordinates": False}], ids=str)
@pytest.mark.parametrize("size", [(32, 24), (29, 35)], ids=str)
def test_it_finds_what_the_plain_network_finds(
    size: tuple[int, int], encoder: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed, "BATCH_PIXELS", 3 * 32 * 36)  # several batches, the last one short
    network = network_of(**encoder)
    weights = window_weights(20.0, WindowSettings(5, 0.5, blind_spot=True))
    frames = frames_of(weights, 7, size)
    expected = network.localize(take_windows(frames, weights), None, THRESHOLD)
    found = StreamedNetwork(network, weights, size, torch.float32).localize(frames, THRESHOLD)
    assert len(found.valid) == 7
    assert found.valid.sum() > 20
    assert_same(found, expected)


def test_it_looks_at_every_so_many_th_frame() -> None:
    network, weights = network_of(), window_weights(20.0, WindowSettings(5, 0.5))
    frames = frames_of(weights, 8, (32, 32))
    streamed_network = StreamedNetwork(network, weights, (32, 32), torch.float32)
    every = streamed_network.localize(frames, THRESHOLD)
    third = streamed_network.localize(frames, THRESHOLD, stride=3)
    assert torch.equal(third.valid, every.valid[::3])
    torch.testing.assert_close(third.positions, every.positions[::3])


def test_half_precision_moves_cells_by_little() -> None:
    """The weights that ship, on cells in noise: nearly all are found at the same place."""
    network, window = load_network(None)
    weights = window_weights(20.0, window)
    frames = 0.7 * frames_of(weights, 4, (64, 64))
    y, x = torch.arange(64.0)[:, None], torch.arange(64.0)
    places = [(12.3, 11.8), (30.6, 40.1), (50.2, 20.9), (45.0, 52.4)]
    frames += sum(6 * torch.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * 2.55**2)) for a, b in places)
    exact = StreamedNetwork(network, weights, (64, 64), torch.float32).localize(frames, 0.5)
    half = StreamedNetwork(network, weights, (64, 64), torch.bfloat16).localize(frames, 0.5)
    for frame in range(4):
        there, here = (found.positions[frame][found.valid[frame]] for found in (exact, half))
        assert len(there) >= len(places)
        assert (torch.cdist(there, here).amin(1) < 0.1).sum() >= len(places)
    torch.testing.assert_close(
        exact.to_list().probability.sum(), half.to_list().probability.sum(), rtol=0.05, atol=0
    )


def test_it_refuses_frames_of_another_field() -> None:
    weights = window_weights(20.0, WindowSettings(5, 0.5))
    network = StreamedNetwork(network_of(), weights, (32, 32))
    with pytest.raises(ValueError, match=r"\(32, 32\)"):
        network.localize(torch.zeros(20, 32, 40))
    with pytest.raises(ValueError, match="or more"):
        network.localize(torch.zeros(3, 32, 32))


def test_unknown_shapes_stay_with_the_plain_network() -> None:
    assert can_stream(network_of())
    assert not can_stream(network_of(hidden=4))
    assert not can_stream(network_of(upsampling="bilinear"))
