"""The coordinate head: from features to what is where.

For: one linear layer that says for each pixel whether a cell is active there, how bright, exactly where, how
large, and how sure all of this is; with initial values that a training needn't undo.
Must not know: how pixels are picked from its maps, or what the loss is.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.scale import CELL_SIGMA
from calcium_lightning.nn.maps import (
    AMPLITUDE,
    AMPLITUDE_STD,
    CHANNELS,
    LOGIT,
    OFFSET_STD,
    CoordinateMaps,
    CoordinateRanges,
)


class CoordinateHead(nn.Module):
    """Read coordinate maps from features.

    Parameters
    ----------
    in_channels : int
        Features per pixel.
    hidden : int
        Features of one more 1 x 1 layer; 0 for none (the encoder's last layer serves as it).
    sigma : float
        Nominal standard deviation of a cell, pixels.
    sigma_factor : float
        Sigma stays within ``sigma / sigma_factor`` and ``sigma * sigma_factor``.
    max_offset : float
        Largest offset from a pixel's centre, pixels.
    min_amplitude_std : float
        Floor of the amplitude's standard deviation.
    min_offset_std, max_offset_std : float
        Bounds of the position's standard deviation, pixels.
    initial_probability : float
        Probability of every pixel before training.
    initial_amplitude : float
        Amplitude of every pixel before training: near zero, as a large start takes hundreds of steps to undo.
    initial_amplitude_std, initial_offset_std : float
        Standard deviations before training.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        hidden: int = 0,
        sigma: float = CELL_SIGMA,
        sigma_factor: float = 2.0,
        max_offset: float = 1.0,
        min_amplitude_std: float = 0.05,
        min_offset_std: float = 0.02,
        max_offset_std: float = 3.0,
        initial_probability: float = 0.01,
        initial_amplitude: float = 0.05,
        initial_amplitude_std: float = 1.0,
        initial_offset_std: float = 0.5,
    ) -> None:
        super().__init__()
        if sigma <= 0 or sigma_factor <= 1 or max_offset <= 0 or not 0 <= min_offset_std < max_offset_std:
            raise InputError(
                f"head: sigma={sigma} and max_offset={max_offset} must be positive, "
                f"sigma_factor={sigma_factor} above 1, and "
                f"min_offset_std={min_offset_std} below max_offset_std={max_offset_std}"
            )
        if (
            not 0 < initial_probability < 1
            or initial_amplitude <= 0
            or initial_amplitude_std <= min_amplitude_std
            or not min_offset_std < initial_offset_std < max_offset_std
        ):
            raise InputError(
                "head: the initial values must lie strictly within the bounds of what they start"
            )
        self.ranges = CoordinateRanges(
            sigma=sigma,
            sigma_factor=sigma_factor,
            max_offset=max_offset,
            min_amplitude_std=min_amplitude_std,
            min_offset_std=min_offset_std,
            max_offset_std=max_offset_std,
        )
        self.hidden = nn.Conv2d(in_channels, hidden, 1) if hidden else None
        self.output = nn.Conv2d(hidden or in_channels, CHANNELS, 1)
        if self.hidden is not None:
            nn.init.kaiming_normal_(self.hidden.weight, nonlinearity="relu")
            nn.init.zeros_(self.hidden.bias)  # type: ignore[arg-type]
        # Small weights: at first all pixels say nearly the same.
        nn.init.normal_(self.output.weight, std=0.1 / math.sqrt(hidden or in_channels))
        bias = torch.zeros(CHANNELS)
        bias[LOGIT] = math.log(initial_probability / (1 - initial_probability))
        bias[AMPLITUDE] = _inverse_softplus(initial_amplitude)
        bias[AMPLITUDE_STD] = _inverse_softplus(initial_amplitude_std - min_amplitude_std)
        share = (initial_offset_std - min_offset_std) / (max_offset_std - min_offset_std)
        bias[OFFSET_STD] = math.log(share / (1 - share))
        with torch.no_grad():
            assert self.output.bias is not None
            self.output.bias.copy_(bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, features: Tensor) -> CoordinateMaps:
        """Read the maps.

        Parameters
        ----------
        features : Tensor
            (B, C, H, W).

        Returns
        -------
        CoordinateMaps
            (B, H, W); computed from raw numbers where they are asked for.
        """
        if self.hidden is not None:
            features = F.relu(self.hidden(features))
        return CoordinateMaps(self.output(features), self.ranges)


def _inverse_softplus(value: float) -> float:
    return value + math.log(-math.expm1(-value))
