"""Products with small local images, strip by strip of the field.

An image of a cell is zero in all but a hundredth of the field. Sparse products would gather single pixels;
dense ones over a strip of rows, with the images that reach into it, stay as fast as a matrix product is, and
leave out most of the zeros. Knows tensors only.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: rows of a strip, in reaches of the images
ROWS = 2.0


class Strips:
    """Which of K local images reach into which strip of a field (h, w).

    Parameters
    ----------
    rows : Tensor (K,)
        Row of each image's middle, in ascending order.
    reach : float
        No image is non-zero farther than this from its middle, rows.
    size : (int, int)
        (h, w).
    """

    def __init__(self, rows: Tensor, reach: float, size: tuple[int, int]) -> None:
        height, width = size
        count = max(1, round(height / max(ROWS * reach, 1)))
        edges = torch.linspace(0, height, count + 1).round().long()
        first = torch.searchsorted(rows.cpu().double(), edges[:-1] - reach).tolist()
        last = torch.searchsorted(rows.cpu().double(), edges[1:] - 1 + reach, right=True).tolist()
        pixels = (edges * width).tolist()
        #: (pixels, images) of each strip
        self.parts = [
            (slice(*span), slice(*near))
            for *span, near in zip(pixels[:-1], pixels[1:], zip(first, last, strict=True), strict=True)
            if near[0] < near[1]
        ]

    def project(self, frames: Tensor, images: Tensor) -> Tensor:
        """``frames @ images.T``: (n, h*w) and (K, h*w) to (n, K)."""
        result = frames.new_zeros(len(frames), len(images))
        for pixels, near in self.parts:
            result[:, near] += frames[:, pixels] @ images[near, pixels].T
        return result

    def subtract(self, frames: Tensor, brightness: Tensor, images: Tensor) -> None:
        """``frames -= brightness @ images``, in place: (n, h*w), (n, K), (K, h*w)."""
        for pixels, near in self.parts:
            frames[:, pixels].addmm_(brightness[:, near], images[near, pixels], alpha=-1)

    def accumulate(self, images: Tensor, brightness: Tensor, frames: Tensor) -> None:
        """``images += brightness.T @ frames`` within reach, in place: (K, h*w), (n, K), (n, h*w)."""
        for pixels, near in self.parts:
            images[near, pixels].addmm_(brightness[:, near].T, frames[:, pixels])
