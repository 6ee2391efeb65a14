"""Products of local images are the dense products."""

from __future__ import annotations

import pytest
import torch

from calcium_lightning.preprocess.motion.local_images import LocalImages

SIZE, REACH, SIGMA = (37, 20), 4.0, 1.7


def places(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    found = torch.rand(count, 2, generator=generator) * torch.tensor(SIZE)
    return found.floor()[found[:, 0].floor().argsort()]


def dense(at: torch.Tensor) -> torch.Tensor:
    """Gaussians (K, h*w) that end at REACH, by the formula."""
    grid = torch.stack(torch.meshgrid(*map(torch.arange, SIZE), indexing="ij"))
    distance2 = (grid - at[:, :, None, None]).square().sum(1)
    return (torch.exp(-0.5 * distance2 / SIGMA**2) * (distance2 <= REACH**2)).flatten(1)


def shown(images: LocalImages) -> torch.Tensor:
    """All of them, (K, h*w)."""
    field = torch.zeros(len(images), SIZE[0] * SIZE[1])
    for block, (pixels, near) in zip(images.blocks, images.parts, strict=True):
        field[near, pixels] = block
    return field


@pytest.mark.parametrize("count", [0, 1, 30])
def test_products_agree_with_dense_ones(count: int) -> None:
    at = places(count)
    images, expected = LocalImages.gaussians(at, SIGMA, REACH, SIZE), dense(at)
    torch.testing.assert_close(shown(images), expected)
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(6, expected.shape[1], generator=generator)
    brightness = torch.randn(6, count, generator=generator)
    weights = torch.rand(expected.shape[1], generator=generator)
    factors = torch.rand(count, generator=generator)

    weighted = images.times(weights)
    torch.testing.assert_close(shown(weighted), expected * weights)
    torch.testing.assert_close(shown(images.scaled(factors)), expected * factors[:, None])
    torch.testing.assert_close(images.project(frames), frames @ expected.T)
    torch.testing.assert_close(images.overlaps(weighted), expected @ (expected * weights).T)
    torch.testing.assert_close(images.products(weighted), (expected.square() * weights).sum(1))
    rest = frames.clone()
    images.subtract_from(rest, brightness)
    torch.testing.assert_close(rest, frames - brightness @ expected)
    total = images.zeros()
    total.accumulate(brightness, frames)
    near = expected != 0
    torch.testing.assert_close(shown(total)[near], (brightness.T @ frames)[near])


def test_images_are_taken_over_into_more_of_them() -> None:
    old, new = places(7), places(9, seed=3)
    together = torch.cat([old, new])
    order = together[:, 0].argsort(stable=True)
    images = LocalImages.gaussians(together[order], SIGMA, REACH, SIZE)
    where = order.argsort()[: len(old)]
    images.take(LocalImages.gaussians(old, SIGMA, REACH, SIZE).scaled(torch.full((7,), -2.0)), where)
    sign = torch.cat([torch.full((7,), -2.0), torch.ones(9)])[order]
    torch.testing.assert_close(shown(images), dense(together[order]) * sign[:, None])


def test_most_of_the_zeros_are_left_out() -> None:
    images = LocalImages.gaussians(places(200), SIGMA, REACH, SIZE)
    assert sum(block.numel() for block in images.blocks) < 0.5 * dense(places(200)).numel()
