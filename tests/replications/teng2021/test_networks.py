"""The published networks: by their definitions, and the frozen painters by what they paint."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from calcium_lightning.core.errors import InputError
from calcium_lightning.replications.teng2021.decoder import PublishedDecoder, SplatLatentDecoder
from calcium_lightning.replications.teng2021.encoder import BlurPool2d, PublishedEncoder, ReducingBlock
from calcium_lightning.replications.teng2021.network import PublishedNetwork
from calcium_lightning.replications.teng2021.painter import DeCoordConv, GaussianPainter

DECODER = {
    "_target_": "calcium_lightning.replications.teng2021.decoder.PublishedDecoder",
    "seed_channels": 2,
    "filters": (4, 4),
}
SPLAT = {"_target_": "calcium_lightning.nn.splat.SplatDecoder", "sigma": 2.0, "shape": "isotropic"}
ENCODER = {
    "_target_": "calcium_lightning.replications.teng2021.encoder.PublishedEncoder",
    "filters": 6,
    "reducing": 3,
    "back": [4, 4],
}
PAINTER = {"_target_": "calcium_lightning.replications.teng2021.painter.GaussianPainter", "sigma": 1.2}


def tiny(decoder: dict = DECODER, coordinates: int = 7, size: int = 32) -> PublishedNetwork:
    torch.manual_seed(0)
    encoder = PublishedEncoder(6, 3, (4, 4))
    architecture = {"encoder": ENCODER, "painter": PAINTER}
    return PublishedNetwork(
        encoder, GaussianPainter(1.2), decoder, coordinates, size, 3.0, architecture
    ).eval()


@pytest.mark.parametrize("size", [(100, 100), (33, 46)])
@pytest.mark.parametrize("blur_pool", [False, True])
def test_the_encoder_keeps_the_size(size, blur_pool):
    encoder = PublishedEncoder(6, 3, (4, 4), blur_pool=blur_pool)
    assert encoder(torch.rand(2, 1, *size)).shape == (2, *size)


def test_a_reducing_block_is_two_parallel_convolutions_side_by_side():
    block = ReducingBlock(5, 3, dropout=0.0, blur_pool=False)
    x = F.pad(torch.randn(2, 5, 12, 12), (1, 1, 1, 1), mode="replicate")
    weight, bias = block.convolution.weight, block.convolution.bias
    halves = [
        F.relu(F.conv2d(x, w, b, stride=2)) for w, b in zip(weight.split(3), bias.split(3), strict=True)
    ]
    torch.testing.assert_close(block(x[..., 1:-1, 1:-1]), torch.cat(halves, 1))


def test_blur_pool_takes_away_what_subsampling_would_fold():
    y, x = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    board = ((y + x) % 2).float()[None, None]
    assert board[..., ::2, ::2].std() == 0  # folded to a constant that depends on the phase
    assert board[..., ::2, ::2].mean() != board[..., ::2, 1::2].mean()
    blurred = BlurPool2d()(board)[..., 1:-1, 1:-1]
    torch.testing.assert_close(blurred, torch.full_like(blurred, 0.5))
    ones = torch.ones(1, 2, 7, 9)
    torch.testing.assert_close(BlurPool2d()(ones), ones)


@pytest.mark.parametrize(
    "painter",
    [GaussianPainter(1.5), DeCoordConv((8,)), DeCoordConv((8,), reach=4), DeCoordConv(weights="sharp")],
)
def test_a_dot_sums_to_1_and_follows_its_coordinate(painter):
    positions = torch.tensor([[10.0, 22.3], [39.0, 0.0]], requires_grad=True)
    dots = painter(positions, (40, 40))
    torch.testing.assert_close(dots.sum((1, 2)), torch.ones(2))
    bright = torch.arange(40.0).expand(40, 40) / 40  # brighter to the right
    (gradient,) = torch.autograd.grad((dots[0] * bright).sum(), positions)
    assert gradient[0].abs().max() > 0
    assert gradient[1].abs().max() == 0


def test_the_gaussian_painter_is_the_formula():
    dot = GaussianPainter(2.0)(torch.tensor([[15.25, 20.5]]), (40, 50))[0]
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    expected = torch.exp(-((y - 15.25) ** 2 + (x - 20.5) ** 2) / 8)
    torch.testing.assert_close(dot, expected / expected.sum(), rtol=1e-4, atol=1e-7)


def test_the_sharp_weights_paint_sharp_dots_and_nothing_beyond_their_reach():
    generator = torch.Generator().manual_seed(3)
    positions = 5 + 90 * torch.rand(50, 2, generator=generator)
    whole = DeCoordConv(weights="sharp")(positions, (100, 100))
    best = whole.flatten(1).argmax(1)
    assert (torch.stack([best // 100, best % 100], 1) - positions).abs().max() < 0.7
    grid = torch.stack(torch.meshgrid(torch.arange(100.0), torch.arange(100.0), indexing="ij"), -1)
    middle = (whole[..., None] * grid).sum((1, 2))
    assert (middle - positions).norm(dim=1).median() < 0.15
    near = DeCoordConv(reach=10, weights="sharp")(positions, (100, 100))
    assert (whole - near).abs().sum((1, 2)).max() < 1e-4


def test_the_smeared_weights_smear():
    positions = torch.tensor([[50.0, 40.0], [20.0, 70.0]])
    sharp = DeCoordConv(weights="sharp")(positions, (100, 100))
    smeared = DeCoordConv((16,), weights="smeared")(positions, (100, 100))
    assert (smeared.amax((1, 2)) < 0.1 * sharp.amax((1, 2))).all()
    best = smeared.flatten(1).argmax(1)
    assert (torch.stack([best // 100, best % 100], 1) - positions).norm(dim=1).max() < 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DeCoordConv(weights="shrp"), "nearest: sharp"),
        (lambda: DeCoordConv((8,), weights="sharp"), "no weights of a De-CoordConv like this one"),
        (lambda: DeCoordConv(reach=0), "reach=0"),
        (lambda: GaussianPainter(0), "painter.sigma=0"),
        (lambda: PublishedEncoder(dropout=1.0), "encoder.dropout=1.0"),
        (lambda: PublishedEncoder(back=[3]), "back=[3]"),
        (lambda: PublishedDecoder(dropout=-1), "decoder.dropout=-1"),
        (lambda: tiny({"_target_": "os.system"}), "decoder 'os.system' is unknown"),
        (lambda: tiny({**DECODER, "dropuot": 0.1}), "dropuot"),
        (lambda: tiny(coordinates=0), "coordinates=0"),
    ],
)
def test_senseless_settings_are_refused(make, message):
    with pytest.raises(InputError, match=message.replace("[", r"\[")):
        make()


def test_similarity_is_the_product_of_encoder_output_and_dot():
    network = tiny()
    frames = torch.rand(3, 1, 32, 32)
    seen = network(frames)
    lit = torch.sigmoid(network.encoder(frames))
    dots = network.painter(network.positions, (32, 32))
    for frame in range(3):
        for number in range(7):
            torch.testing.assert_close(seen.similarity[frame, number], (lit[frame] * dots[number]).sum())
    expected = sum(seen.similarity[1, n] * dots[n] for n in range(7))
    torch.testing.assert_close(seen.painted[1], expected)
    torch.testing.assert_close((seen.latent[2, :, :2] + 1) * 31 / 2, network.positions)
    assert seen.reconstruction.shape == (3, 32, 32)


@pytest.mark.parametrize("decoder", [DECODER, SPLAT])
def test_a_network_is_rebuilt_from_plain_settings(decoder):
    network = tiny(decoder)
    again = PublishedNetwork.from_architecture(network.architecture)
    again.load_state_dict(network.state_dict())
    frames = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(again.eval()(frames).reconstruction, network(frames).reconstruction)


def test_the_splat_decoder_is_a_sum_of_its_coordinates():
    decoder = SplatLatentDecoder(5, 24, sigma=2.0)
    latent = torch.rand(2, 5, 3) * 2 - 1
    parts = []
    for index in range(5):
        only = latent.clone()
        only[:, torch.arange(5) != index, 2] = 0
        parts.append(decoder(only) - decoder.background)
    torch.testing.assert_close(sum(parts) + decoder.background, decoder(latent), rtol=1e-4, atol=1e-5)


def test_the_splat_decoder_starts_as_the_mean_frame():
    decoder = SplatLatentDecoder(5, 24, sigma=2.0)
    mean, latent = torch.rand(24, 24), torch.rand(1, 5, 3) * 2 - 1
    decoder.start_from(mean, latent)
    torch.testing.assert_close(decoder(latent)[0], mean)
    assert (decoder.background - mean).abs().max() > 0.1  # the splats are part of it


def test_coordinates_stay_in_the_field():
    network = tiny()
    assert ((network.start >= 3) & (network.start <= 28)).all()
    with torch.no_grad():
        network.positions[0] = torch.tensor([-4.0, 77.0])
    network.clip()
    assert network.positions[0].tolist() == [0.0, 31.0]
