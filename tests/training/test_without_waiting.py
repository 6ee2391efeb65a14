"""A training step asks the device for nothing: what it does doesn't depend on numbers that are on it.

Tensors of the meta device have no numbers, so whatever would read one fails there, on any machine. What reads
them only to copy them is refused by a mode.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from calcium_lightning.nn.background import LowResolutionBackground
from calcium_lightning.nn.coordinates import top_coordinates
from calcium_lightning.nn.encoder import UShapeEncoder
from calcium_lightning.nn.head import CoordinateHead
from calcium_lightning.nn.network import LocalizationNetwork
from calcium_lightning.nn.splat import SplatDecoder
from calcium_lightning.nn.splat_autograd import PatchSplat
from calcium_lightning.nn.windows import Labels, WindowBatch
from calcium_lightning.training.losses import CombinedLoss, LabelLoss

FRAMES, TAPS, SIDE, CELLS = 2, 3, 32, 4


class NoRoundTrips(TorchFunctionMode):
    """Refuse what brings numbers to the host."""

    REFUSED = (
        Tensor.item,
        Tensor.tolist,
        Tensor.cpu,
        Tensor.numpy,
        Tensor.nonzero,
        torch.nonzero,
        Tensor.__bool__,
        Tensor.__float__,
        Tensor.__int__,
        Tensor.__index__,
    )

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in self.REFUSED:
            raise AssertionError(f"{func.__name__} waits for the device")
        return func(*args, **(kwargs or {}))


def network() -> LocalizationNetwork:
    # On the meta device, coordinates (linspace) would have Torch load its compiler, for a second.
    encoder = UShapeEncoder(TAPS, [8, 8], coordinates=False)
    head = CoordinateHead(encoder.out_channels)
    return LocalizationNetwork(encoder, head, LowResolutionBackground(encoder.out_channels), SplatDecoder())


def batch() -> WindowBatch:
    index = torch.zeros(FRAMES, dtype=torch.long)
    labels = Labels(
        torch.rand(FRAMES, CELLS, 2) * (SIDE - 1),
        torch.rand(FRAMES, CELLS) + 1,
        torch.tensor([[True, True, False, False], [True, True, True, True]]),
    )
    windows = torch.randn(FRAMES, TAPS, SIDE, SIDE)
    extent = torch.tensor([[-1.0, 1.0, -1.0, 1.0]]).expand(FRAMES, 4)
    return WindowBatch(windows, windows[:, TAPS // 2], extent, index, index, labels)


def step(model: nn.Module, data: WindowBatch) -> Tensor:
    terms = CombinedLoss(labels=LabelLoss())(model, model(data.windows, data.extent), data, 3)
    terms.total.backward()
    return terms.total


def test_a_training_step_runs_where_there_are_no_numbers():
    model, data = network().to("meta"), batch().to("meta")
    with NoRoundTrips():
        assert step(model, data).device.type == "meta"
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_mode_refuses():
    with NoRoundTrips(), pytest.raises(AssertionError, match="waits for the device"):
        torch.ones(2).sum().item()


def test_splats_of_bounded_size_are_painted_as_ever():
    torch.manual_seed(0)
    coordinates = top_coordinates(network()(batch().windows, batch().extent).maps, 12)
    place = coordinates.positions.detach().requires_grad_()
    given = (place, coordinates.amplitude.detach(), coordinates.sigma.detach(), coordinates.angle.detach())
    pictures = [
        PatchSplat.apply(*given, coordinates.valid, (SIDE, SIDE), 4.0, largest)
        for largest in (None, 1.2 * float(coordinates.sigma.detach().max()))
    ]
    torch.testing.assert_close(*pictures, atol=2e-3 * float(coordinates.amplitude.max()), rtol=0)
    slopes = [torch.autograd.grad(picture.square().sum(), place)[0] for picture in pictures]
    torch.testing.assert_close(*slopes, atol=2e-2 * float(slopes[0].abs().max()), rtol=0)
