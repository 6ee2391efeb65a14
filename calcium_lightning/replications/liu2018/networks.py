"""Networks between coordinates and pictures, by plain (transposed) convolution and by CoordConv.

After Liu et al. 2018 (arXiv:1807.03247) and the code that they published. Their CoordConv painter is
:class:`~calcium_lightning.replications.teng2021.painter.DeCoordConv`, which Teng et al. took from them.
For: comparing both kinds of layers where nothing but coordinates has to be learned.
Must not know: which coordinates are asked for, or what is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calcium_lightning.core.errors import InputError
from calcium_lightning.nn.coordconv import CoordConv2d

#: by how much a lit pixel stands above others at first; coordinates are in [-1, 1], times weights below 0.6
LIFT = 4.0


class DeconvolutionPainter(nn.Module):
    """Coordinates as a picture of one pixel, doubled by transposed convolutions until it is whole.

    Batch normalisation and ReLU between the layers.

    Parameters
    ----------
    features : sequence of int
        Of each layer but the last, which has one: n of them paint a picture of 2^(n + 1) pixels a side.
    kernel_size : int
        2, 3 or 4.
    """

    def __init__(self, features: Sequence[int] = (128, 128, 128, 64, 64), kernel_size: int = 3) -> None:
        super().__init__()
        if not features or min(features) < 1 or kernel_size not in (2, 3, 4):
            raise InputError(
                f"layer.painter: features={list(features)}: positive numbers; "
                f"kernel_size={kernel_size}: 2, 3 or 4"
            )
        self.architecture = {"painter": {"features": list(map(int, features)), "kernel_size": kernel_size}}
        layers: list[nn.Module] = []
        for before, after in pairwise([2, *features, 1]):
            layers += [
                nn.ConvTranspose2d(before, after, kernel_size, 2, (kernel_size - 1) // 2, kernel_size % 2),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers[:-2])
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(self, positions: Tensor, size: tuple[int, int]) -> Tensor:
        """Paint positions (N, 2), pixels, as (N, H * W), before any softmax or sigmoid.

        Raises
        ------
        InputError
            If the layers paint another size.
        """
        count = len(self.layers) // 3
        side = 2 ** (count + 1)
        if size != (side, side):
            raise InputError(
                f"layer.painter.features: {count} layers paint {side}x{side} pixels, not {size[0]}x{size[1]}"
            )
        scaled = positions * (2 / (side - 1)) - 1
        painted: Tensor = self.layers(scaled[:, :, None, None])
        return painted.flatten(1)


class CoordConvRegressor(nn.Module):
    """Where the lit pixel of a picture is: CoordConv, pointwise and 3×3 convolutions, greatest of all pixels.

    There are no non-linearities but the last: a lit pixel lifts its coordinates above all others'. It does so
    from the start (all layers but the first begin as identities), because the maximum learns nothing from a
    pixel that isn't the greatest: begun at random, one or both coordinates stay unlearned.

    Parameters
    ----------
    features : int
        Of each layer but the last, which has two; 2 or more. 8 make 906 parameters.
    """

    def __init__(self, features: int = 8) -> None:
        super().__init__()
        if features < 2:
            raise InputError(f"layer.regressor.features={features}: 2 or more")
        self.architecture = {"regressor": {"features": features}}
        self.first = CoordConv2d(1, features, 1)
        rest = [
            nn.Conv2d(features, features, 1),
            nn.Conv2d(features, features, 1),
            nn.Conv2d(features, features, 3, padding=1),
            nn.Conv2d(features, 2, 3, padding=1),
        ]
        self.rest = nn.Sequential(*rest)
        nn.init.constant_(self.first.convolution.weight[:, 0].detach(), LIFT)
        for layer in rest:
            nn.init.dirac_(layer.weight)
            nn.init.constant_(layer.bias, 0.0 if layer is not rest[-1] else -LIFT)  # type: ignore[arg-type]

    def forward(self, pictures: Tensor) -> Tensor:
        """Coordinates (N, 2), scaled to [-1, 1], of pictures (N, 1, H, W)."""
        found: Tensor = self.rest(self.first(pictures)).amax((2, 3))
        return found


class ConvolutionRegressor(nn.Module):
    """Where the lit pixel of a picture is: 3×3 convolutions, halved three times, two dense layers.

    Parameters
    ----------
    size : int
        Side of the pictures, pixels; a multiple of 8.
    features : int
        Of each convolution.
    hidden : int
        Of the first dense layer.
    """

    def __init__(self, size: int = 64, features: int = 16, hidden: int = 64) -> None:
        super().__init__()
        if size % 8 or min(size, features, hidden) < 1:
            raise InputError(
                f"layer.regressor: size={size}: a multiple of 8; "
                f"features={features}, hidden={hidden}: 1 or more"
            )
        self.architecture = {"regressor": {"size": size, "features": features, "hidden": hidden}}
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, features, 3, padding=1) for before in (1, features, features, features)
        )
        self.dense = nn.Sequential(
            nn.Linear(features * (size // 8) ** 2, hidden), nn.ReLU(), nn.Linear(hidden, 2)
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Coordinates (N, 2), scaled to [-1, 1], of pictures (N, 1, H, W)."""
        x = pictures
        for number, convolution in enumerate(self.convolutions):
            x = F.relu(convolution(x if number == 0 else F.max_pool2d(x, 2)))
        found: Tensor = self.dense(x.flatten(1))
        return found
