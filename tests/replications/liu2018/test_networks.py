"""The networks of the coordinate tasks: shapes, sizes, and that one of them can be right."""

from __future__ import annotations

import pytest
import torch

from calcium_lightning.core.errors import InputError
from calcium_lightning.replications.liu2018.networks import (
    ConvolutionRegressor,
    CoordConvRegressor,
    DeconvolutionPainter,
)
from calcium_lightning.replications.liu2018.tasks import Regression
from calcium_lightning.replications.teng2021.painter import DeCoordConv


def size_of(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameters_are_those_of_the_paper():
    assert size_of(DeCoordConv()) == 7553
    assert size_of(CoordConvRegressor()) == 906
    assert size_of(DeconvolutionPainter()) > 50 * size_of(DeCoordConv())
    assert size_of(ConvolutionRegressor()) > 50 * size_of(CoordConvRegressor())


@pytest.mark.parametrize("kernel_size", [2, 3, 4])
def test_painters_paint_whole_pictures(kernel_size):
    positions = torch.tensor([[3.0, 4.0], [10.0, 2.0]])
    for painter in (DeCoordConv([8]), DeconvolutionPainter([8, 4, 4], kernel_size)):
        assert painter.logits(positions, (16, 16)).shape == (2, 256)


@pytest.mark.parametrize("network", [CoordConvRegressor(), ConvolutionRegressor(16)])
def test_regressors_give_two_coordinates(network):
    assert network(torch.zeros(3, 1, 16, 16)).shape == (3, 2)


def test_a_deconvolution_knows_no_other_size():
    with pytest.raises(InputError, match="3 layers paint 16x16 pixels, not 64x64"):
        DeconvolutionPainter([8, 4, 4]).logits(torch.zeros(1, 2), (64, 64))


@pytest.mark.parametrize(
    "make",
    [
        lambda: DeconvolutionPainter([]),
        lambda: DeconvolutionPainter([8, 0]),
        lambda: DeconvolutionPainter(kernel_size=5),
        lambda: CoordConvRegressor(1),
        lambda: ConvolutionRegressor(60),
    ],
)
def test_bad_settings(make):
    with pytest.raises(InputError, match="layer"):
        make()


@torch.no_grad()
def test_a_coordconv_regressor_can_be_right_everywhere():
    """Weights by hand: the lit pixel is lifted above all coordinates, which come through beside it."""
    network = CoordConvRegressor(2)
    for parameter in network.parameters():
        parameter.zero_()
    lift = 10.0
    network.first.convolution.weight[:, :, 0, 0] = torch.tensor([[lift, 1, 0], [lift, 0, 1]])
    for layer in network.rest:
        middle = layer.kernel_size[0] // 2
        layer.weight[[0, 1], [0, 1], middle, middle] = 1
    network.rest[-1].bias -= lift
    task = Regression(16)
    positions = torch.cartesian_prod(torch.arange(16), torch.arange(16))
    assert task.scores(task.answer(network, positions), positions)["error"].max() < 1e-4
