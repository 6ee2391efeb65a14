"""The published encoder: a frame in, a map of how lit each pixel's cell is out.

In the style of a denoising autoencoder: a CoordConv of 128 filters first and fewer after, two reducing
blocks, then resizing and convolving back to the frame's own size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calcium_lightning.core.errors import InputError
from calcium_lightning.nn.coordconv import CoordConv2d


class BlurPool2d(nn.Module):
    """Blur by the binomial kernel [1 2 1] along both axes, so that every second pixel can be taken.

    Zhang (2019, arXiv:1904.11486) blurs between a dense convolution and its subsampling. Convolutions
    commute: blurring before a strided convolution is the same, the border and a ReLU in between aside, at a
    quarter of the cost.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Blur (B, C, H, W), the size kept, the border repeated."""
        x = F.pad(x, (0, 0, 1, 1), mode="replicate")
        x = x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]
        x = F.pad(x, (1, 1, 0, 0), mode="replicate")
        return (x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]) / 16


class ReducingBlock(nn.Module):
    """Two parallel 3×3 convolutions of stride 2, concatenated; ReLU and dropout.

    Parameters
    ----------
    in_channels, filters : int
        Channels in, and of each of the two convolutions.
    dropout : float
        Share of activations that are dropped while training.
    blur_pool : bool
        Blur before subsampling.
    """

    def __init__(self, in_channels: int, filters: int, dropout: float, blur_pool: bool) -> None:
        super().__init__()
        self.blur = BlurPool2d() if blur_pool else nn.Identity()
        # Two of 32 filters on the same input, concatenated, are one of 64: the same sums, in one call.
        self.convolution = _convolution(in_channels, 2 * filters, stride=2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the size of (B, C, H, W)."""
        reduced: Tensor = self.dropout(F.relu(self.convolution(self.blur(x))))
        return reduced


class PublishedEncoder(nn.Module):
    """CoordConv, two reducing blocks, two times resize and convolve, sigmoid.

    Left open by the paper and chosen here: 3×3 kernels everywhere, dropout in the reducing blocks, the
    numbers of filters on the way back.

    Parameters
    ----------
    filters : int
        Of the CoordConv at the frame's resolution.
    reducing : int
        Of each of the two convolutions in a reducing block.
    back : (int, int)
        Of the convolutions after the first and the second resizing.
    dropout : float
        In the reducing blocks.
    blur_pool : bool
        Blur before subsampling, which the authors named as missing.
    coordinates : bool
        Whether the first layer sees where its pixels lie.
    """

    def __init__(
        self,
        filters: int = 128,
        reducing: int = 32,
        back: Sequence[int] = (32, 16),
        dropout: float = 0.4,
        *,
        blur_pool: bool = False,
        coordinates: bool = True,
    ) -> None:
        super().__init__()
        widths = [int(width) for width in back]
        if min(filters, reducing, *widths) < 1 or len(widths) != 2:
            raise InputError(
                f"encoder: filters={filters}, reducing={reducing}, back={widths}: positive, two in back"
            )
        if not 0 <= dropout < 1:
            raise InputError(f"encoder.dropout={dropout}: a share, 0 or more and below 1")
        # Symmetric padding by one pixel repeats the border's, which torch calls replicate.
        self.first: nn.Module = (
            CoordConv2d(1, filters, padding_mode="replicate") if coordinates else _convolution(1, filters)
        )
        self.reduce = nn.ModuleList(
            [
                ReducingBlock(filters, reducing, dropout, blur_pool),
                ReducingBlock(2 * reducing, reducing, dropout, blur_pool),
            ]
        )
        self.back = nn.ModuleList([_convolution(2 * reducing, widths[0]), _convolution(widths[0], widths[1])])
        self.last = _convolution(widths[1], 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, frames: Tensor) -> Tensor:
        """Look at frames (B, 1, H, W) in [0, 1]; gives logits (B, H, W), whose sigmoid is the published
        output.

        The logits are handed on because a cross-entropy of saturated sigmoids has no gradient.
        """
        sizes = [frames.shape[-2:]]
        x = F.relu(self.first(frames.contiguous(memory_format=torch.channels_last)))
        for block in self.reduce:
            x = block(x)
            sizes.append(x.shape[-2:])
        for convolution, size in zip(self.back, reversed(sizes[:-1]), strict=True):
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
            x = F.relu(convolution(x))
        output: Tensor = self.last(x)[:, 0]
        return output


def _convolution(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, padding_mode="replicate")
