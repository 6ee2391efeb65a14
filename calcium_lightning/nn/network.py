"""The whole network: windows in, coordinates and a picture of them out.

For: holding encoder, head, background and decoder together, and being rebuilt from a checkpoint's plain
settings.
Must not know: losses, optimisers, files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from calcium_lightning.nn.coordinates import CoordinateMaps, Coordinates, find_peaks
from calcium_lightning.nn.parts import build_part

PARTS = ("encoder", "head", "background", "decoder")


@dataclass
class Prediction:
    """What the network says of a batch of windows.

    Attributes
    ----------
    maps : CoordinateMaps
        (B, h, w).
    background : Tensor
        (B, h, w), units of the input.
    """

    maps: CoordinateMaps
    background: Tensor


class LocalizationNetwork(nn.Module):
    """Encoder, coordinate head, background and splat decoder.

    Parameters
    ----------
    encoder, head, background, decoder : nn.Module
        The parts; see their modules.
    architecture : mapping, optional
        Plain settings of each part (``_target_`` and keyword arguments), kept for checkpoints.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        background: nn.Module,
        decoder: nn.Module,
        architecture: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.background, self.decoder = encoder, head, background, decoder
        self.architecture = {part: dict((architecture or {}).get(part, {})) for part in PARTS}

    @classmethod
    def from_architecture(cls, architecture: Mapping[str, Any]) -> LocalizationNetwork:
        """Build from a checkpoint's settings, of known parts only.

        Raises
        ------
        InputError
            If a part is missing, unknown, or has settings that it doesn't take.
        """
        modules = {part: build_part(f"the checkpoint's {part}", architecture.get(part)) for part in PARTS}
        return cls(**modules, architecture=architecture)

    def forward(self, windows: Tensor, extent: Tensor | None = None) -> Prediction:
        """Look at windows (B, taps, h, w) of a field's part ``extent`` (B, 4)."""
        features = self.encoder(windows, extent)
        return Prediction(self.head(features), self.background(features))

    @torch.inference_mode()
    def localize(
        self, windows: Tensor, extent: Tensor | None = None, threshold: float = 0.3, count: int = 512
    ) -> Coordinates:
        """Detect cells in the middle frame of each window."""
        return find_peaks(self.head(self.encoder(windows, extent)), threshold, count)
