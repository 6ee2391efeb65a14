"""Products strip by strip are the dense products."""

from __future__ import annotations

import pytest
import torch

from calcium_lightning.preprocess.strips import Strips

SIZE, REACH = (37, 20), 4.0


def local_images(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (K, h*w) that are zero beyond REACH of their rows, and those rows."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, SIZE[0], (count,), generator=generator).sort().values
    near = (torch.arange(SIZE[0]) - rows[:, None]).abs() <= REACH
    images = torch.randn(count, *SIZE, generator=generator) * near[:, :, None]
    return images.flatten(1), rows


@pytest.mark.parametrize("count", [0, 1, 30])
def test_products_agree_with_dense_ones(count: int) -> None:
    images, rows = local_images(count)
    strips = Strips(rows, REACH, SIZE)
    assert count == 0 or len(strips.parts) > 1 or count == 1
    frames = torch.randn(6, images.shape[1])
    brightness = torch.randn(6, count)

    torch.testing.assert_close(strips.project(frames, images), frames @ images.T, atol=1e-4, rtol=1e-4)
    rest = frames.clone()
    strips.subtract(rest, brightness, images)
    torch.testing.assert_close(rest, frames - brightness @ images, atol=1e-4, rtol=1e-4)
    total = torch.zeros_like(images)
    strips.accumulate(total, brightness, frames)
    near = images != 0
    torch.testing.assert_close(total[near], (brightness.T @ frames)[near], atol=1e-4, rtol=1e-4)


def test_most_of_the_zeros_are_left_out() -> None:
    images, rows = local_images(200)
    work = sum(
        (pixels.stop - pixels.start) * (near.stop - near.start)
        for pixels, near in Strips(rows, REACH, SIZE).parts
    )
    assert work < 0.5 * images.numel()
