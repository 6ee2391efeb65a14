"""The encoder: sizes, receptive field, independence of the batch, state dict, half precision."""

from __future__ import annotations

import pytest
import torch

from calcium_lightning.core.errors import InputError
from calcium_lightning.nn.encoder import UShapeEncoder


@pytest.mark.parametrize("size", [(32, 32), (17, 31), (1, 3), (40, 25)])
@pytest.mark.parametrize("upsampling", ["shuffle", "bilinear"])
def test_any_size(size: tuple[int, int], upsampling: str) -> None:
    encoder = UShapeEncoder(3, (8, 12, 16), 6, upsampling=upsampling)
    assert encoder(torch.randn(2, 3, *size)).shape == (2, 6, *size)


def test_default_has_about_150_thousand_parameters_and_keeps_the_variance() -> None:
    torch.manual_seed(0)
    encoder = UShapeEncoder()
    assert 140_000 < sum(p.numel() for p in encoder.parameters()) < 160_000
    features = encoder(torch.randn(2, 11, 64, 64))
    assert 0.3 < features.std() < 3


def test_receptive_field_is_wider_than_three_cells() -> None:
    torch.manual_seed(0)
    encoder = UShapeEncoder(1)
    x = torch.randn(1, 1, 129, 129, requires_grad=True)
    encoder(x)[0, :, 64, 64].sum().backward()
    assert x.grad is not None
    touched = torch.nonzero(x.grad[0, 0])
    assert (touched.amin(0) <= 64 - 24).all()
    assert (touched.amax(0) >= 64 + 24).all()


def test_result_does_not_depend_on_the_rest_of_the_batch() -> None:
    encoder = UShapeEncoder(2, (8, 8)).train()
    x, extent = torch.randn(3, 2, 20, 20), torch.rand(3, 4) * 2 - 1
    torch.testing.assert_close(encoder(x, extent)[1:2], encoder(x[1:2], extent[1:2]), atol=1e-5, rtol=1e-5)


def test_coordinates_matter_only_where_asked_for() -> None:
    x, extent = torch.randn(1, 2, 16, 16), torch.tensor([[0.0, 0.5, 0.0, 0.5]])
    plain, aware = UShapeEncoder(2, (8, 8), coordinates=False), UShapeEncoder(2, (8, 8))
    assert torch.equal(plain(x), plain(x, extent))
    assert not torch.allclose(aware(x), aware(x, extent))


def test_padding_leaves_the_coordinates_of_the_pixels() -> None:
    """A crop whose size needs padding says the same far from the border as the larger crop it is part of."""
    torch.manual_seed(0)
    encoder = UShapeEncoder(1, (8,))
    x = torch.randn(1, 1, 32, 32)
    step = 2 / 31
    crop = encoder(x[..., :27, :25], torch.tensor([[-1.0, -1 + 26 * step, -1.0, -1 + 24 * step]]))
    torch.testing.assert_close(crop[..., :18, :18], encoder(x)[..., :18, :18], atol=1e-5, rtol=1e-5)


def test_state_dict_holds_plain_tensors_and_restores(tmp_path: object) -> None:
    first, second = UShapeEncoder(2, (8, 8)), UShapeEncoder(2, (8, 8))
    path = f"{tmp_path}/weights.pt"
    torch.save(first.state_dict(), path)
    second.load_state_dict(torch.load(path, weights_only=True))
    x = torch.randn(1, 2, 16, 16)
    assert torch.equal(first(x), second(x))


def test_bfloat16_is_close() -> None:
    torch.manual_seed(0)
    encoder = UShapeEncoder(2, (8, 8))
    x = torch.randn(1, 2, 16, 16)
    with torch.inference_mode():
        exact = encoder(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = encoder(x)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, atol=0.1, rtol=0.1)


def test_every_parameter_gets_a_gradient() -> None:
    encoder = UShapeEncoder(2, (8, 8, 8))
    encoder(torch.randn(2, 2, 16, 16)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_bad_arguments() -> None:
    with pytest.raises(InputError, match="features"):
        UShapeEncoder(2, ())
    with pytest.raises(InputError, match="upsampling"):
        UShapeEncoder(2, (8,), upsampling="nearest")
    with pytest.raises(ValueError, match=r"\(B, 2, H, W\)"):
        UShapeEncoder(2, (8,))(torch.zeros(1, 3, 8, 8))
