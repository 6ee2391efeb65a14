"""The network that looks at windows of frames.

For: turning a window of N frames into C features per pixel, from which the coordinate head and the background
read.
Must not know: what the features are used for, or what the frames mean.

Its shape is chosen for speed (design.md, section 4): nothing but one pixel shuffle happens at full
resolution, as cells are six pixels wide and their sub-pixel position is told by offsets; three strided levels
give a receptive field of ninety pixels, fifteen cell diameters, for 370 MFLOP per 128 x 128 window.

There is no normalisation layer. Group normalisation costs more than the convolutions between them on a CPU,
and batch statistics differ between the tiny batches of training and the recordings of inference. Blocks start
close to the identity instead, with variance-preserving initial weights, so that signals neither vanish nor
explode.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calcium_lightning.core.errors import InputError
from calcium_lightning.nn.coordconv import CoordConv2d, extend_extent

RESIDUAL_GAIN = 0.3


class ResidualBlock(nn.Module):
    """``relu(x + conv(x))``, close to the identity at first.

    Parameters
    ----------
    channels : int
        Of the input and the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = _initialised(nn.Conv2d(channels, channels, 3, padding=1), RESIDUAL_GAIN)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``x`` (B, C, H, W)."""
        return F.relu(x + self.convolution(x))


class UShapeEncoder(nn.Module):
    """A strided U-shape with a CoordConv as its first layer.

    Parameters
    ----------
    in_channels : int
        Frames in a window, N.
    features : sequence of int
        Features of each level; level i works at 1 / 2**(i + 1) of the input's resolution.
    out_channels : int
        Features per full-resolution pixel, C.
    coordinates : bool
        Whether the first layer sees where its pixels lie in the field.
    radius : bool
        With ``coordinates``, whether it sees the distance from the middle as well.
    upsampling : {'shuffle', 'bilinear'}
        How the last features come to full resolution: 'shuffle' gives each pixel weights of its own.

    Attributes
    ----------
    out_channels : int
        C, for whoever reads the features.
    """

    def __init__(
        self,
        in_channels: int = 11,
        features: Sequence[int] = (32, 48, 64),
        out_channels: int = 24,
        *,
        coordinates: bool = True,
        radius: bool = False,
        upsampling: str = "shuffle",
    ) -> None:
        super().__init__()
        widths = [int(width) for width in features]
        if not widths or min(widths) < 1 or in_channels < 1 or out_channels < 1:
            raise InputError(
                f"encoder: in_channels={in_channels}, features={widths}, out_channels={out_channels}: give "
                "positive numbers and at least one level of features"
            )
        if upsampling not in ("shuffle", "bilinear"):
            raise InputError(
                f"encoder: upsampling={upsampling!r} is not known; choose 'shuffle' or 'bilinear'"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.coordinates = coordinates
        self.upsampling = upsampling
        self.multiple = 2 ** len(widths)

        self.stem: nn.Module
        if coordinates:
            stem = CoordConv2d(in_channels, widths[0], 3, stride=2, radius=radius)
            _initialised(stem.convolution)
            self.stem = stem
        else:
            self.stem = _initialised(nn.Conv2d(in_channels, widths[0], 3, stride=2, padding=1))
        levels = list(pairwise(widths))
        self.encode = nn.ModuleList(ResidualBlock(width) for width in widths)
        self.down = nn.ModuleList(_initialised(nn.Conv2d(a, b, 3, stride=2, padding=1)) for a, b in levels)
        self.lateral = nn.ModuleList(_initialised(nn.Conv2d(b, a, 1), RESIDUAL_GAIN) for a, b in levels)
        self.decode = nn.ModuleList(ResidualBlock(a) for a, _ in levels)
        self.final = nn.Conv2d(widths[0], out_channels * (4 if upsampling == "shuffle" else 1), 1)
        _initialised(self.final)
        if upsampling == "shuffle":
            # The four sub-pixels start with the same weights, so that no checkerboard has to be unlearned
            # (Aitken et al. 2017, arXiv:1707.02937).
            with torch.no_grad():
                self.final.weight.copy_(self.final.weight[::4].repeat_interleave(4, dim=0))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, extent: Tensor | None = None) -> Tensor:
        """Encode windows.

        Parameters
        ----------
        x : Tensor
            (B, N, H, W), any H and W, the foreground in units of its noise.
        extent : Tensor, optional
            (B, 4) = (y0, y1, x0, x1) of each window in its field (see ``coordconv``); default the whole
            field.

        Returns
        -------
        Tensor
            (B, C, H, W) features, channels-last in memory.
        """
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"windows must have shape (B, {self.in_channels}, H, W), they have {tuple(x.shape)}"
            )
        height, width = x.shape[-2:]
        below, right = -height % self.multiple, -width % self.multiple
        if below or right:
            # Zero is what the convolutions themselves put beyond the border: nothing seen there.
            if extent is None:
                extent = x.new_tensor([[-1.0, 1.0, -1.0, 1.0]], dtype=torch.float32)
            extent = extend_extent(extent, (height, width), (height + below, width + right))
            x = F.pad(x, (0, right, 0, below))
        x = x.contiguous(memory_format=torch.channels_last)

        x = F.relu(self.stem(x, extent) if self.coordinates else self.stem(x))
        x = self.encode[0](x)
        skips = []
        for down, encode in zip(self.down, self.encode[1:], strict=True):
            skips.append(x)
            x = encode(F.relu(down(x)))
        for lateral, decode in zip(reversed(self.lateral), reversed(self.decode), strict=True):
            # The 1 x 1 convolution commutes with the interpolation and is cheaper before it.
            up = F.interpolate(lateral(x), scale_factor=2, mode="bilinear", align_corners=False)
            x = decode(skips.pop() + up)
        x = self.final(x)
        if self.upsampling == "shuffle":
            x = F.pixel_shuffle(x, 2)
        else:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return F.relu(x)[..., :height, :width]


def _initialised(convolution: nn.Conv2d, gain: float = 1.0) -> nn.Conv2d:
    """Draw weights that keep the variance through a ReLU (He et al. 2015), times ``gain``; no bias."""
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    with torch.no_grad():
        convolution.weight.mul_(gain)
        if convolution.bias is not None:
            convolution.bias.zero_()
    return convolution
