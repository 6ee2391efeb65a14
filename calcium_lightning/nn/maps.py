"""Maps: what a coordinate head says about every pixel.

For: giving the head's raw numbers their meaning, bounds and units, where they are asked for.
Must not know: the network that made them, or how coordinates are picked from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from calcium_lightning.core.scale import CELL_SIGMA

CHANNELS = 10
LOGIT, AMPLITUDE, ANGLE, AMPLITUDE_STD = 0, 1, 6, 7
OFFSET, SIGMA, OFFSET_STD = slice(2, 4), slice(4, 6), slice(8, 10)


@dataclass(frozen=True)
class CoordinateRanges:
    """What the raw numbers of a head mean: every quantity is a smooth function of one of them.

    Parameters
    ----------
    sigma : float
        Nominal standard deviation of a cell, pixels.
    sigma_factor : float
        Sigma stays within ``sigma / sigma_factor`` and ``sigma * sigma_factor``.
    max_offset : float
        Largest offset from a pixel's centre, pixels.
    min_amplitude_std : float
        Floor of the amplitude's standard deviation, in the amplitude's units.
    min_offset_std, max_offset_std : float
        Bounds of the position's standard deviation, pixels.
    """

    sigma: float = CELL_SIGMA
    sigma_factor: float = 2.0
    max_offset: float = 1.0
    min_amplitude_std: float = 0.05
    min_offset_std: float = 0.02
    max_offset_std: float = 3.0

    def amplitude(self, raw: Tensor) -> Tensor:
        """Amplitude, positive."""
        return F.softplus(raw)

    def offset(self, raw: Tensor) -> Tensor:
        """Offset from the pixel's centre, pixels."""
        return self.max_offset * torch.tanh(raw)

    def scale(self, raw: Tensor) -> Tensor:
        """Sigma, pixels; nominal at 0."""
        return self.sigma * torch.exp(math.log(self.sigma_factor) * torch.tanh(raw))

    def angle(self, raw: Tensor) -> Tensor:
        """Angle, radians, within ± pi / 2: all that an ellipse can have."""
        return (math.pi / 2) * torch.tanh(raw)

    def amplitude_std(self, raw: Tensor) -> Tensor:
        """Standard deviation of the amplitude."""
        return self.min_amplitude_std + F.softplus(raw)

    def offset_std(self, raw: Tensor) -> Tensor:
        """Standard deviation of the position, pixels."""
        return self.min_offset_std + (self.max_offset_std - self.min_offset_std) * torch.sigmoid(raw)


class CoordinateMaps:
    """What a head says about every pixel.

    Only raw numbers are stored. The maps are computed when they are asked for: detection needs all of them at
    a few pixels only, and computing them everywhere would take as long as the encoder.

    Parameters
    ----------
    raw : Tensor
        (B, 10, H, W): logit of the probability, amplitude, offset y and x, sigma y and x, angle, standard
        deviation of the amplitude, standard deviation of the offset in y and x, each before its bounding
        function.
    ranges : CoordinateRanges
        The bounding functions.
    """

    def __init__(self, raw: Tensor, ranges: CoordinateRanges) -> None:
        if raw.ndim != 4 or raw.shape[1] != CHANNELS:
            raise ValueError(f"raw maps must have shape (B, {CHANNELS}, H, W), they have {tuple(raw.shape)}")
        self.raw = raw
        self.ranges = ranges

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.raw.shape[-2], self.raw.shape[-1]

    @property
    def logit(self) -> Tensor:
        """(B, H, W): logit of the probability that a cell is active here."""
        return _full(self.raw[:, LOGIT])

    @property
    def probability(self) -> Tensor:
        """(B, H, W) in [0, 1]."""
        return torch.sigmoid(self.logit)

    @property
    def amplitude(self) -> Tensor:
        """(B, H, W) >= 0, in units of the input."""
        return self.ranges.amplitude(_full(self.raw[:, AMPLITUDE]))

    @property
    def offset(self) -> Tensor:
        """(B, 2, H, W): (dy, dx) from the pixel's centre, pixels."""
        return self.ranges.offset(_full(self.raw[:, OFFSET]))

    @property
    def sigma(self) -> Tensor:
        """(B, 2, H, W): standard deviations along the two axes of the ellipse, pixels."""
        return self.ranges.scale(_full(self.raw[:, SIGMA]))

    @property
    def angle(self) -> Tensor:
        """(B, H, W): angle of the ellipse's first axis from the y axis towards the x axis, radians."""
        return self.ranges.angle(_full(self.raw[:, ANGLE]))

    @property
    def amplitude_std(self) -> Tensor:
        """(B, H, W): standard deviation of the amplitude."""
        return self.ranges.amplitude_std(_full(self.raw[:, AMPLITUDE_STD]))

    @property
    def offset_std(self) -> Tensor:
        """(B, 2, H, W): standard deviation of the offset, pixels."""
        return self.ranges.offset_std(_full(self.raw[:, OFFSET_STD]))

    @property
    def position(self) -> Tensor:
        """(B, 2, H, W): pixel + offset, pixels."""
        height, width = self.size
        y = torch.arange(height, device=self.raw.device).view(1, -1, 1).expand(1, -1, width)
        x = torch.arange(width, device=self.raw.device).view(1, 1, -1).expand(1, height, -1)
        return torch.stack([y, x], dim=1) + self.offset

    def rows(self, frame: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Raw numbers of some pixels.

        Parameters
        ----------
        frame, y, x : Tensor
            Integer indices of one shape (...).

        Returns
        -------
        Tensor
            (..., 10).
        """
        return _full(self.raw.permute(0, 2, 3, 1)[frame, y, x])


def _full(x: Tensor) -> Tensor:
    """Half precision can't hold a position: bfloat16 steps by a whole pixel above 128."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
