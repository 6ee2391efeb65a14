"""Painters: coordinates in, one picture of a dot for each out.

A dot sums to 1 over its picture. De-CoordConv paints by a network that was trained to and is frozen; the
Gaussian painter by the formula, which is what the design of this package does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calcium_lightning.core.errors import InputError, nearest

#: frozen weights that come with the package
WEIGHTS = Path(__file__).resolve().parent.parent.parent / "weights"
SHIPPED = {
    "sharp": WEIGHTS / "decoordconv.safetensors",
    "smeared": WEIGHTS / "decoordconv_smeared.safetensors",
}


class GaussianPainter(nn.Module):
    """Dots that are Gaussians.

    Parameters
    ----------
    sigma : float
        Standard deviation, pixels.
    """

    def __init__(self, sigma: float = 1.5) -> None:
        super().__init__()
        if not sigma > 0:
            raise InputError(f"painter.sigma={sigma}: above 0 pixels")
        self.sigma = sigma

    def forward(self, positions: Tensor, size: tuple[int, int]) -> Tensor:
        """Paint positions (N, 2), pixels, as (N, H, W); each dot sums to 1."""
        profiles = []
        for length, centre in zip(size, positions.unbind(1), strict=True):
            grid = torch.arange(length, device=positions.device, dtype=positions.dtype)
            profiles.append(torch.softmax(-0.5 * ((grid - centre[:, None]) / self.sigma) ** 2, 1))
        return torch.einsum("nh,nw->nhw", *profiles)


class DeCoordConv(nn.Module):
    """Coordinates tiled to a picture, CoordConv, 1×1 convolutions, softmax over the pixels.

    The reverse of a CoordConv (after Liu et al. 2018, arXiv:1807.03247, whose task it is). With the default
    features it has their 7.5 k parameters; one layer of few features can only smear.

    Parameters
    ----------
    features : sequence of int
        Of each layer.
    reach : int, optional
        Paint no further than so many pixels from the coordinate, and nothing beyond: all convolutions are
        pointwise, so a part of the picture costs no more than its share. A sharp dot has nothing there (the
        tests say how little). Default: the whole picture.
    weights : str, optional
        ``sharp`` or ``smeared`` (frozen, in the package), the .safetensors or .ckpt of a training, or None
        to be trained.

    Raises
    ------
    InputError
        For weights that are missing or of other features.
    """

    def __init__(
        self,
        features: Sequence[int] = (32, 32, 64, 64),
        reach: int | None = None,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        if not features or min(features) < 1 or (reach is not None and reach < 1):
            raise InputError(f"painter: features={list(features)}, reach={reach}: positive numbers")
        self.reach = reach
        self.architecture = {"painter": {"features": [int(width) for width in features]}}
        # Pointwise convolutions over a list of pixels are linear layers.
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise([4, *features, 1]))
        if weights is not None:
            self._load(weights)
            self.requires_grad_(False)

    def forward(self, positions: Tensor, size: tuple[int, int]) -> Tensor:
        """Paint positions (N, 2), pixels, as (N, H, W); each dot sums to 1."""
        height, width = size
        count = len(positions)
        if self.reach is None:
            return torch.softmax(self.logits(positions, size), 1).view(count, height, width)
        y, x = (
            self._window(centre, length).view(count, *shape)
            for centre, length, shape in zip(
                positions.detach().unbind(1), size, ((-1, 1), (1, -1)), strict=True
            )
        )
        pixels = (y * width + x).flatten(1)
        dots = torch.softmax(self._logits_at(positions, pixels, size), 1)
        return dots.new_zeros(count, height * width).scatter(1, pixels, dots).view(count, height, width)

    def logits(self, positions: Tensor, size: tuple[int, int]) -> Tensor:
        """What the softmax is taken of, over the whole picture, (N, H * W)."""
        pixels = torch.arange(size[0] * size[1], device=positions.device)
        return self._logits_at(positions, pixels[None], size)

    def _logits_at(self, positions: Tensor, pixels: Tensor, size: tuple[int, int]) -> Tensor:
        scale = 2 / (positions.new_tensor(size) - 1)
        place = torch.stack([pixels // size[1], pixels % size[1]], -1) * scale - 1
        first: nn.Linear = self.layers[0]  # type: ignore[assignment]
        # Tiled coordinates are the same in all pixels: their part of the first layer is computed once.
        tiled = F.linear(positions * scale - 1, first.weight[:, :2], first.bias)
        x = F.relu(tiled[:, None] + F.linear(place, first.weight[:, 2:]))
        for layer in self.layers[1:-1]:
            x = F.relu(layer(x))
        logits: Tensor = self.layers[-1](x)[..., 0]
        return logits

    def _window(self, centre: Tensor, length: int) -> Tensor:
        """Rows (or columns) within reach of each centre, moved inside the picture, (N, n) int64."""
        assert self.reach is not None
        count = min(2 * self.reach + 1, length)
        first = (centre.round().long() - self.reach).clamp(0, length - count)
        return first[:, None] + torch.arange(count, device=centre.device)

    def _load(self, name: str) -> None:
        path = SHIPPED.get(name, Path(name))
        if not path.is_file():
            raise InputError(f"painter.weights={name}: no such file{nearest(name, SHIPPED)}")
        try:
            self.load_state_dict(_read(path))
        except Exception as error:  # whatever Torch makes of other files
            raise InputError(
                f"painter.weights={name}: no weights of a De-CoordConv like this one "
                f"({str(error).splitlines()[0][:120]})"
            ) from error


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".ckpt":
        from safetensors.torch import load_file

        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix("network."): value for name, value in state.items()}
