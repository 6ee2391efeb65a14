"""Decoders of the published latent [y, x, similarity] (B, N, 3) to frames."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.scale import CELL_SIGMA
from calcium_lightning.nn.coordconv import CoordConv2d
from calcium_lightning.nn.splat import splat

#: times that the dense layer's picture is doubled
DOUBLINGS = 2


class PublishedDecoder(nn.Module):
    """Dense, reshape, ×2 and CoordConv, ×2 and convolution, convolution to one channel, linear.

    Left open by the paper and chosen here: 3×3 kernels, the numbers of channels, positions scaled to [-1, 1].

    Parameters
    ----------
    coordinates : int
        N.
    size : int
        Side of the frames, pixels.
    seed_channels : int
        Of the dense layer's picture, a quarter of the frame's side wide.
    filters : (int, int)
        Of the CoordConv and of the convolution after it.
    dropout : float
        Of the dense layer's input and output; the authors named regularisation as missing.
    """

    def __init__(
        self,
        coordinates: int = 100,
        size: int = 100,
        seed_channels: int = 8,
        filters: tuple[int, int] = (32, 16),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise InputError(f"decoder.dropout={dropout}: a share, 0 or more and below 1")
        self.size = size
        self.side = math.ceil(size / 2**DOUBLINGS)
        self.seed_channels = seed_channels
        self.dense = nn.Linear(3 * coordinates, seed_channels * self.side**2)
        self.dropout = nn.Dropout(dropout)
        self.first = CoordConv2d(seed_channels, filters[0], padding_mode="replicate")
        self.second = nn.Conv2d(filters[0], filters[1], 3, padding=1, padding_mode="replicate")
        self.last = nn.Conv2d(filters[1], 1, 3, padding=1, padding_mode="replicate")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, latent: Tensor) -> Tensor:
        """Paint (B, N, 3) as frames (B, H, W)."""
        seed = self.dropout(F.relu(self.dense(self.dropout(latent).flatten(1))))
        x = seed.view(len(latent), self.seed_channels, self.side, self.side)
        x = F.relu(self.first(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)))
        x = F.interpolate(x, size=(self.size, self.size), mode="bilinear", align_corners=False)
        output: Tensor = self.last(F.relu(self.second(x)))[:, 0]
        return output


class SplatLatentDecoder(nn.Module):
    """Gaussians at the coordinates, as bright as their similarity says, on a still background.

    The picture is a sum, so each coordinate's share of it is exact. What is learned: a gain and a width per
    coordinate, and the background.

    Parameters
    ----------
    coordinates : int
        N.
    size : int
        Side of the frames, pixels.
    sigma : float
        Standard deviation that the widths start from, pixels.
    shape : str
        ``fixed`` keeps that width; any other lets it be learned (round).
    """

    def __init__(
        self, coordinates: int = 100, size: int = 100, sigma: float = CELL_SIGMA, shape: str = "isotropic"
    ) -> None:
        super().__init__()
        self.size = size
        self.log_sigma = nn.Parameter(
            torch.full((coordinates,), math.log(sigma)), requires_grad=shape != "fixed"
        )
        self.gain = nn.Parameter(torch.ones(coordinates))
        self.background = nn.Parameter(torch.full((size, size), 0.5))

    @torch.no_grad()
    def start_from(self, mean: Tensor, latent: Tensor) -> None:
        """Let a latent (1, N, 3) that says nothing yet be painted as the mean frame (H, W).

        A picture that starts brighter than the frames teaches the encoder to be dark everywhere, and a dark
        encoder learns nothing more.
        """
        self.background.copy_(mean - (self(latent)[0] - self.background))

    def forward(self, latent: Tensor) -> Tensor:
        """Paint (B, N, 3) as frames (B, H, W)."""
        batch = len(latent)
        positions = (latent[..., :2] + 1) * (self.size - 1) / 2
        sigma = self.log_sigma.exp().expand(batch, -1)[..., None]
        painted = splat(positions, latent[..., 2] * self.gain, sigma, None, (self.size, self.size))
        return self.background + painted
