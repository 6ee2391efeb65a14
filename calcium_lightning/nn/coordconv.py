"""Convolutions that know where they are in the field.

For: giving a translation-invariant network the position of each pixel (vignette, leakage and focus depend on
it).
Must not know: what the frames mean, or how crops are drawn; it only takes their extent.

Positions are scaled so that the *centre* of the field's first pixel is -1 and that of its last pixel is +1,
on each axis. A crop's ``extent`` = (y0, y1, x0, x1) holds the positions of the centres of its first and last
pixels, so that the same tissue gets the same coordinates whatever the crop. A flipped crop has y0 > y1 or x0
> x1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn


def crop_extent(
    top: Tensor | Sequence[int] | int,
    left: Tensor | Sequence[int] | int,
    size: tuple[int, int],
    field: tuple[int, int],
) -> Tensor:
    """Say where crops lie in their field.

    Parameters
    ----------
    top, left : int, or (B,) sequence or tensor
        Row and column of each crop's first pixel, pixels of the field.
    size : (int, int)
        Height and width of the crops, pixels.
    field : (int, int)
        Height and width of the whole field, pixels.

    Returns
    -------
    Tensor
        (B, 4) float32: y0, y1, x0, x1 in [-1, 1].
    """
    columns: list[Tensor] = []
    for start, length, whole in ((top, size[0], field[0]), (left, size[1], field[1])):
        first = torch.as_tensor(start, dtype=torch.float32).reshape(-1)
        step = 2.0 / max(whole - 1, 1)
        columns += [first * step - 1.0, (first + length - 1) * step - 1.0]
    batch = max(len(column) for column in columns)
    return torch.stack([column.expand(batch) for column in columns], dim=1)


def extend_extent(extent: Tensor, size: tuple[int, int], padded: tuple[int, int]) -> Tensor:
    """Continue an extent linearly to crops that were padded below and to the right.

    Parameters
    ----------
    extent : Tensor
        (B, 4), of crops of ``size``.
    size, padded : (int, int)
        Height and width before and after padding.

    Returns
    -------
    Tensor
        (B, 4).
    """
    y0, y1, x0, x1 = extent.unbind(dim=1)
    y1 = y0 + (y1 - y0) * ((padded[0] - 1) / max(size[0] - 1, 1))
    x1 = x0 + (x1 - x0) * ((padded[1] - 1) / max(size[1] - 1, 1))
    return torch.stack([y0, y1, x0, x1], dim=1)


def coordinate_channels(
    size: tuple[int, int],
    extent: Tensor | None = None,
    *,
    radius: bool = False,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Make the channels that a CoordConv concatenates.

    Parameters
    ----------
    size : (int, int)
        Height and width, pixels.
    extent : Tensor, optional
        (B, 4) = (y0, y1, x0, x1); the whole field where it is not given.
    radius : bool
        Add a channel with the distance from the middle of the field.
    device, dtype
        Of the result.

    Returns
    -------
    Tensor
        (B, 2 or 3, H, W): y, x and perhaps the radius. B is 1 without ``extent``.
    """
    if extent is None:
        extent = torch.tensor([[-1.0, 1.0, -1.0, 1.0]])
    if extent.ndim != 2 or extent.shape[1] != 4:
        raise ValueError(f"extent must have shape (B, 4), it has {tuple(extent.shape)}")
    extent = extent.to(device=device, dtype=torch.float32)
    height, width = size
    y0, y1, x0, x1 = extent[:, :, None].unbind(dim=1)
    y = y0 + (y1 - y0) * torch.linspace(0, 1, height, device=device)
    x = x0 + (x1 - x0) * torch.linspace(0, 1, width, device=device)
    y, x = y[:, :, None].expand(-1, -1, width), x[:, None, :].expand(-1, height, -1)
    channels = [y, x, torch.hypot(y, x)] if radius else [y, x]
    return torch.stack(channels, dim=1).to(dtype)


class CoordConv2d(nn.Module):
    """A convolution that also sees the coordinates of its pixels (Liu et al. 2018, arXiv:1807.03247).

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input (without coordinates) and of the output.
    kernel_size, stride : int
        As in ``torch.nn.Conv2d``.
    padding : int, optional
        Default: half the kernel, which keeps the size at stride 1.
    dilation : int
        As in ``torch.nn.Conv2d``.
    bias : bool
        As in ``torch.nn.Conv2d``.
    padding_mode : str
        As in ``torch.nn.Conv2d``.
    radius : bool
        Add the distance from the middle of the field as a third coordinate.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        radius: bool = False,
    ) -> None:
        super().__init__()
        self.radius = radius
        self.convolution = nn.Conv2d(
            in_channels + (3 if radius else 2),
            out_channels,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size // 2) if padding is None else padding,
            dilation=dilation,
            bias=bias,
            padding_mode=padding_mode,
        )

    def forward(self, x: Tensor, extent: Tensor | None = None) -> Tensor:
        """Convolve ``x`` (B, C, H, W) of ``extent`` (B, 4); without it, ``x`` is the whole field."""
        coordinates = coordinate_channels(
            (x.shape[-2], x.shape[-1]), extent, radius=self.radius, device=x.device, dtype=x.dtype
        )
        output: Tensor = self.convolution(torch.cat([x, coordinates.expand(x.shape[0], -1, -1, -1)], dim=1))
        return output
