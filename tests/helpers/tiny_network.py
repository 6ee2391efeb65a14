"""The smallest network of the package's own parts."""

from __future__ import annotations

import torch

from calcium_lightning.nn.network import LocalizationNetwork

ARCHITECTURE = {
    "encoder": {
        "_target_": "calcium_lightning.nn.encoder.UShapeEncoder",
        "in_channels": 5,
        "features": [8, 12],
        "out_channels": 8,
    },
    "head": {"_target_": "calcium_lightning.nn.head.CoordinateHead", "in_channels": 8},
    "background": {
        "_target_": "calcium_lightning.nn.background.LowResolutionBackground",
        "in_channels": 8,
        "stride": 8,
    },
    "decoder": {"_target_": "calcium_lightning.nn.splat.SplatDecoder"},
}


def make_network(seed: int = 0) -> LocalizationNetwork:
    """Random weights."""
    torch.manual_seed(seed)
    return LocalizationNetwork.from_architecture(ARCHITECTURE).eval()
