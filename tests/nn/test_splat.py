"""Splats against the dense formula in float64 and against finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from calcium_lightning.core.errors import InputError
from calcium_lightning.nn import splat as module
from calcium_lightning.nn import splat_autograd
from calcium_lightning.nn.coordinates import Coordinates
from calcium_lightning.nn.splat import SplatDecoder, splat, splat_dense

WAYS = ["patch", "product"]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Force one of the two ways of painting axis-aligned splats."""
    monkeypatch.setattr(module, "_product_is_faster", lambda *_: request.param == "product")
    return str(request.param)


def draw(
    seed: int,
    batch: int,
    count: int,
    size: tuple[int, int],
    sigma: tuple[float, float] = (0.4, 6.0),
    beyond: float = 8,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random splats (float64), some of them outside the field by up to ``beyond`` pixels."""
    rng = np.random.default_rng(seed)
    low, high = np.log(sigma[0]), np.log(sigma[1])
    values = (
        rng.uniform(-beyond, np.array(size) + beyond, (batch, count, 2)),
        rng.uniform(-2, 2, (batch, count)),
        np.exp(rng.uniform(low, high, (batch, count, 2))),
        rng.uniform(-4, 4, (batch, count)),
    )
    return tuple(torch.from_numpy(v) for v in values)  # type: ignore[return-value]


sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(
    seed=st.integers(0, 10**6),
    batch=st.integers(1, 3),
    count=st.integers(0, 12),
    size=sizes,
    kind=st.integers(0, 2),
)
@settings(max_examples=60)
def test_agrees_with_the_dense_formula(
    seed: int, batch: int, count: int, size: tuple[int, int], kind: int
) -> None:
    positions, amplitude, sigma, angle = draw(seed, batch, count, size)
    if kind == 2:
        sigma = sigma[..., :1]
    exact = splat_dense(positions, amplitude, sigma, angle if kind == 0 else None, size)
    bound = math.exp(-8) * amplitude.abs().sum(dim=1)[:, None, None] + 1e-12
    original = module._product_is_faster
    try:
        for product in (False, True):
            module._product_is_faster = lambda *_, product=product: product  # type: ignore[assignment]
            image = splat(positions, amplitude, sigma, angle if kind == 0 else None, size)
            assert image.shape == (batch, *size)
            assert ((image - exact).abs() <= bound).all()
            single = splat(
                *(v.float() for v in (positions, amplitude, sigma)),
                angle.float() if kind == 0 else None,
                size,
            )
            assert single.dtype == torch.float32
            torch.testing.assert_close(single.double(), image, atol=1e-4, rtol=1e-4)
    finally:
        module._product_is_faster = original


@pytest.mark.parametrize("rotated", [True, False])
@pytest.mark.parametrize("position", [(15.0, 15.0), (15.49, 14.51), (0.3, 29.7)])
@pytest.mark.parametrize("sigma", [0.5, 1.275, 2.55, 5.1])
def test_one_splat_errs_by_less_than_a_thousandth_of_its_peak(
    position: tuple[float, float], sigma: float, rotated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_product_is_faster", lambda *_: False)
    where = torch.tensor([[position]], dtype=torch.float64)
    one, scale = (
        torch.ones(1, 1, dtype=torch.float64),
        torch.tensor([[[sigma, sigma * 0.7]]], dtype=torch.float64),
    )
    angle = one * 0.6 if rotated else None
    error = splat(where, one, scale, angle, (30, 31)) - splat_dense(where, one, scale, angle, (30, 31))
    assert error.abs().max() < 1e-3


@pytest.mark.parametrize("rotated", [True, False])
def test_gradients_against_finite_differences(rotated: bool, way: str) -> None:
    positions, amplitude, sigma, angle = draw(3, 1, 3, (7, 6), sigma=(0.8, 2), beyond=2)
    # Away from half pixels, where the support jumps.
    positions = positions.round() + 0.3 * torch.sin(positions * 100)
    inputs = [positions, amplitude, sigma, *([angle] if rotated else [])]
    inputs = [value.requires_grad_() for value in inputs]

    def paint(p: Tensor, a: Tensor, s: Tensor, t: Tensor | None = None) -> Tensor:
        return splat(p, a, s, t, (7, 6), truncate=6.0)

    assert torch.autograd.gradcheck(paint, inputs)


@pytest.mark.parametrize("rotated", [True, False])
@pytest.mark.parametrize("count", [5, 400])
def test_gradients_against_the_dense_formula(rotated: bool, count: int, way: str) -> None:
    """With 400 splats there are several buckets and several blocks."""
    size = (50, 37)
    values = draw(count, 2, count, size, sigma=(0.5, 7))
    weight = torch.from_numpy(np.random.default_rng(1).normal(size=(2, *size)))
    grads = []
    for function in (splat, splat_dense):
        inputs = [value.clone().requires_grad_() for value in values]
        image = function(*inputs[:3], inputs[3] if rotated else None, size)
        (image * weight).sum().backward()
        grads.append([value.grad for value in inputs[: 4 if rotated else 3]])
    for ours, exact in zip(*grads, strict=True):
        assert ours is not None
        assert exact is not None
        assert (ours - exact).abs().max() < 5e-3 * exact.abs().max()


def test_blocks_and_buckets_do_not_change_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    values = draw(5, 3, 40, (30, 30), sigma=(0.5, 6))
    whole = splat(*values, (30, 30))
    monkeypatch.setitem(splat_autograd.BLOCK_ELEMENTS, "cpu", 1000)
    torch.testing.assert_close(splat(*values, (30, 30)), whole)
    monkeypatch.setattr(splat_autograd, "BUCKET_ELEMENTS", 0)
    assert (splat(*values, (30, 30)) - whole).abs().max() < 3 * math.exp(-8)


@pytest.mark.parametrize("rotated", [True, False])
def test_invalid_places_are_not_painted_and_get_no_gradient(rotated: bool, way: str) -> None:
    positions, amplitude, sigma, angle = draw(1, 2, 6, (20, 20), beyond=0)
    valid = torch.tensor([[True, False, True, True, False, False], [False] * 6])
    expected = splat(
        *(v[:1, [0, 2, 3]] for v in (positions, amplitude, sigma)),
        angle[:1, [0, 2, 3]] if rotated else None,
        (20, 20),
    )
    inputs = []
    for value in (positions, amplitude, sigma, angle):
        broken = value.clone()
        broken[~valid] = math.nan
        inputs.append(broken.requires_grad_())
    image = splat(*inputs[:3], inputs[3] if rotated else None, (20, 20), valid=valid)
    torch.testing.assert_close(image[:1], expected)
    assert (image[1] == 0).all()
    image.square().sum().backward()
    for value in inputs[: 4 if rotated else 3]:
        assert value.grad is not None
        assert (value.grad[~valid] == 0).all()
        assert (value.grad[valid].abs() > 0).any()


def test_no_splats_and_none_in_the_field(way: str) -> None:
    empty = splat(
        torch.zeros(2, 0, 2), torch.zeros(2, 0, requires_grad=True), torch.ones(2, 0, 2), None, (4, 5)
    )
    assert empty.shape == (2, 4, 5)
    empty.sum().backward()
    far = torch.tensor([[[-1e9, 3.0], [2.0, 1e9]]], requires_grad=True)
    image = splat(far, torch.ones(1, 2), torch.ones(1, 2, 2), torch.zeros(1, 2), (4, 5))
    assert (image == 0).all()
    image.sum().backward()
    assert far.grad is not None
    assert (far.grad == 0).all()


def test_a_splat_larger_than_the_field() -> None:
    values = [
        torch.tensor(v, dtype=torch.float64) for v in ([[[-30.0, 5.0]]], [[2.0]], [[[200.0, 40.0]]], [[0.2]])
    ]
    torch.testing.assert_close(splat(*values, (6, 9)), splat_dense(*values, (6, 9)))


def test_what_is_not_a_number_is_seen(way: str) -> None:
    image = splat(torch.tensor([[[math.nan, 2.0]]]), torch.ones(1, 1), torch.ones(1, 1, 2), None, (5, 5))
    assert image.isnan().any()


@pytest.mark.parametrize("rotated", [True, False])
def test_autocast_does_not_lower_the_precision(rotated: bool, way: str) -> None:
    values = [v.float().requires_grad_() for v in draw(2, 2, 5, (20, 20))]
    angle = values[3] if rotated else None
    exact = splat(*values[:3], angle, (20, 20))
    grads = torch.autograd.grad(exact.square().sum(), values[:3])
    with torch.autocast("cpu", torch.bfloat16):
        image = splat(*values[:3], angle, (20, 20))
        grads_half = torch.autograd.grad(image.square().sum(), values[:3])
    torch.testing.assert_close(image, exact)
    torch.testing.assert_close(grads_half, grads)


def test_angle_turns_from_y_towards_x() -> None:
    one = torch.ones(1, 1)
    long_y = torch.tensor([[[4.0, 1.0]]])
    image = splat(torch.tensor([[[10.0, 10.0]]]), one, long_y, one * math.pi / 4, (21, 21))[0]
    assert image[13, 13] > 0.5 > 0.1 > image[13, 7]
    upright = splat(torch.tensor([[[10.0, 10.0]]]), one, long_y, one * 0, (21, 21))[0]
    assert upright[14, 10] > 0.5 > 0.1 > upright[10, 14]


def coordinates_of(amplitude: float, probability: float) -> Coordinates:
    full = torch.full((1, 1), 1.0)
    return Coordinates(
        positions=torch.tensor([[[8.0, 8.0]]]),
        amplitude=full * amplitude,
        sigma=torch.tensor([[[4.0, 1.0]]]),
        angle=full * 0.0,
        probability=full * probability,
        amplitude_std=full,
        position_std=torch.ones(1, 1, 2),
        valid=full.bool(),
    )


def test_decoder_shapes() -> None:
    coordinates = coordinates_of(3.0, 0.5)
    ellipse = SplatDecoder("anisotropic")(coordinates, (17, 17))[0]
    circle = SplatDecoder("isotropic")(coordinates, (17, 17))[0]
    fixed = SplatDecoder("fixed", sigma=1.0, expected=False)(coordinates, (17, 17))[0]
    assert ellipse.max() == pytest.approx(1.5)
    assert ellipse[12, 8] > 5 * ellipse[8, 12]
    assert circle[12, 8] == pytest.approx(circle[8, 12].item())
    assert circle[12, 8] == pytest.approx(1.5 * math.exp(-0.5 * 16 / 4), rel=1e-4)
    assert fixed.max() == pytest.approx(3.0)
    assert fixed[9, 8] == pytest.approx(3 * math.exp(-0.5), rel=1e-4)
    with pytest.raises(InputError, match="shape"):
        SplatDecoder("square")
    with pytest.raises(InputError, match="positive"):
        SplatDecoder(sigma=0)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="positions"):
        splat(torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1, 2, 2), None, (4, 4))


def test_positions_are_learned_through_the_image() -> None:
    """Analysis by synthesis on one frame: three blobs find their places, sizes and angles."""
    truth = [torch.tensor(v) for v in ([[[8.3, 8.6], [20.2, 9.1], [14.7, 22.4]]], [[2.0, 3.0, 1.5]])]
    sigma, angle = torch.tensor([[[3.0, 2.0], [2.0, 2.5], [2.5, 3.5]]]), torch.tensor([[0.5, 0.0, -0.4]])
    target = splat(*truth, sigma, angle, (30, 30))
    start = [
        truth[0] + torch.tensor([1.5, -1.2]),
        torch.ones(1, 3),
        torch.full((1, 3, 2), 2.55),
        torch.zeros(1, 3),
    ]
    parameters = [value.clone().requires_grad_() for value in start]
    optimizer = torch.optim.Adam(parameters, lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        loss = (splat(*parameters, (30, 30)) - target).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 1e-5
    assert (parameters[0] - truth[0]).abs().max() < 0.05
