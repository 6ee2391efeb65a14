"""Many small images in a large field: held and multiplied strip by strip.

An image of a cell is zero in all but a hundredth of the field. Sparse products would gather single pixels;
dense ones over a strip of rows, with the images that reach into it, stay as fast as a matrix product is, and
leave out most of the zeros. Knows tensors only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from calcium_lightning.core.device import exact

#: rows of a strip, in reaches of the images
ROWS = 2.0


@dataclass
class LocalImages:
    """K images of a field (h, w), in the order of their rows.

    Attributes
    ----------
    count : int
        K.
    parts : list of (slice, slice)
        Pixels of each strip (of h*w), and the images that reach into it (of K).
    blocks : list of Tensor (images, pixels)
        What the images show of each strip.
    """

    count: int
    parts: list[tuple[slice, slice]]
    blocks: list[Tensor]

    @classmethod
    def gaussians(cls, places: Tensor, sigma: float, reach: float, size: tuple[int, int]) -> LocalImages:
        """Return Gaussians of peak 1 at places (K, 2), ordered by y, that end at the distance ``reach``."""
        (height, width), rows = size, exact(places[:, 0]).cpu()
        count = max(1, round(height / max(ROWS * reach, 1)))
        edges = torch.linspace(0, height, count + 1).round().long().tolist()
        parts, blocks = [], []
        x = torch.arange(width, device=places.device)
        for top, bottom in pairwise(edges):
            first = int(torch.searchsorted(rows, top - reach))
            last = int(torch.searchsorted(rows, bottom - 1 + reach, right=True))
            y = torch.arange(top, bottom, device=places.device)
            here = places[first:last, :, None]
            distance2 = (y - here[:, 0]).square()[:, :, None] + (x - here[:, 1]).square()[:, None]
            distance2 = distance2.flatten(1).float()
            seen = distance2 <= reach**2
            parts.append((slice(top * width, bottom * width), slice(first, last)))
            blocks.append(distance2.mul_(-0.5 / sigma**2).exp_().mul_(seen))
        return cls(len(places), parts, blocks)

    def __len__(self) -> int:
        return self.count

    def map(self, change: Callable[[Tensor, slice, slice], Tensor]) -> LocalImages:
        """Return images whose blocks are ``change(block, pixels, images)``."""
        blocks = [change(block, *part) for block, part in zip(self.blocks, self.parts, strict=True)]
        return LocalImages(self.count, self.parts, blocks)

    def zeros(self) -> LocalImages:
        """Return black images that may shine where these may."""
        return self.map(lambda block, *_: torch.zeros_like(block))

    def times(self, weights: Tensor) -> LocalImages:
        """Return the images times weights of pixels (h*w,)."""
        return self.map(lambda block, pixels, _: block * weights[pixels])

    def scaled(self, factors: Tensor) -> LocalImages:
        """Return the images times a factor for each (K,)."""
        return self.map(lambda block, _, near: block * factors[near, None])

    def take(self, source: LocalImages, where: Tensor) -> None:
        """Overwrite the images ``where`` (K',), ascending, with those of ``source``, of the same field."""
        for mine, (_, near), theirs, (_, there) in zip(
            self.blocks, self.parts, source.blocks, source.parts, strict=True
        ):
            mine[where[there] - near.start] = theirs

    def project(self, frames: Tensor) -> Tensor:
        """``frames @ images.T``: (n, h*w) to (n, K)."""
        result = frames.new_zeros(len(frames), self.count)
        for block, (pixels, near) in zip(self.blocks, self.parts, strict=True):
            result[:, near] += frames[:, pixels] @ block.T
        return result

    def overlaps(self, others: LocalImages) -> Tensor:
        """``images @ others.T`` (K, K), of images at the same places."""
        result = torch.zeros(self.count, self.count, device=self.blocks[0].device)
        for block, other, (_, near) in zip(self.blocks, others.blocks, self.parts, strict=True):
            result[near, near] += block @ other.T
        return result

    def products(self, others: LocalImages) -> Tensor:
        """Sum over pixels of each image times its counterpart, (K,)."""
        result = torch.zeros(self.count, device=self.blocks[0].device)
        for block, other, (_, near) in zip(self.blocks, others.blocks, self.parts, strict=True):
            result[near] += torch.einsum("kp,kp->k", block, other)
        return result

    def subtract_from(self, frames: Tensor, brightness: Tensor) -> None:
        """``frames -= brightness @ images``, in place: (n, h*w), (n, K)."""
        for block, (pixels, near) in zip(self.blocks, self.parts, strict=True):
            frames[:, pixels].addmm_(brightness[:, near], block, alpha=-1)

    def accumulate(self, brightness: Tensor, frames: Tensor) -> None:
        """``images += brightness.T @ frames``, in place: (n, K), (n, h*w)."""
        for block, (pixels, near) in zip(self.blocks, self.parts, strict=True):
            block.addmm_(brightness[:, near].T, frames[:, pixels])
