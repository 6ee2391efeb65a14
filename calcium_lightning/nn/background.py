"""What is smooth in space is not a cell: the background branch.

For: predicting what the foreground still holds of neuropil, leakage and out-of-focus light, at a resolution
that can't paint cells.
Must not know: coordinates or the splat decoder.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from calcium_lightning.core.errors import InputError


class LowResolutionBackground(nn.Module):
    """A coarse grid, interpolated; zero before training.

    Parameters
    ----------
    in_channels : int
        Features per pixel.
    stride : int
        Distance of the grid's points, pixels (two cell diameters: a cell can't be painted).
    hidden : int
        Features of the hidden layer.
    """

    def __init__(self, in_channels: int, stride: int = 12, hidden: int = 16) -> None:
        super().__init__()
        if stride < 1 or hidden < 1:
            raise InputError(f"background: stride={stride} and hidden={hidden} must be at least 1")
        self.stride = stride
        self.hidden = nn.Conv2d(in_channels, hidden, 1)
        self.output = nn.Conv2d(hidden, 1, 1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """Predict the background (B, H, W) from features (B, C, H, W), in units of the input."""
        height, width = features.shape[-2:]
        grid = (-(-height // self.stride), -(-width // self.stride))
        coarse = self.output(F.relu(self.hidden(F.adaptive_avg_pool2d(features, grid))))
        fine = F.interpolate(coarse.float(), size=(height, width), mode="bilinear", align_corners=False)
        return fine[:, 0]


class NoBackground(nn.Module):
    """Zeros, for models without a background branch.

    Parameters
    ----------
    in_channels : int, optional
        Accepted and ignored, so that it can stand where `LowResolutionBackground` does.
    """

    def __init__(self, in_channels: int | None = None) -> None:
        super().__init__()

    def forward(self, features: Tensor) -> Tensor:
        """Return zeros (B, H, W)."""
        return features.new_zeros(features.shape[0], *features.shape[-2:]).float()
