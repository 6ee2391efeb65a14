"""What finds cells in frames, as a command names it: a network's weights, or a baseline.

Knows the models of the package; knows nothing of sessions or commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.localize.detect import Detector
from calcium_lightning.localize.detectors.bandpass import BandpassDetector
from calcium_lightning.nn.checkpoint import load_network
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.replications.teng2021.extract import is_published, load_published
from calcium_lightning.replications.teng2021.network import PublishedNetwork

NAMES = ("network", "bandpass")
#: what the band-pass baseline looks at
BANDPASS_WINDOW = WindowSettings(taps=11, seconds=0.5)


@dataclass(frozen=True)
class WindowDetector:
    """A detector that localises in windows of frames, and which windows it wants."""

    detector: Detector
    window: WindowSettings


def check_name(name: str) -> None:
    """Refuse a detector that doesn't exist.

    Raises
    ------
    InputError
        With the nearest that does.
    """
    if name not in NAMES:
        raise InputError(f"detector={name}: {' or '.join(NAMES)}{nearest(name, NAMES)}")


def load_detector(
    name: str, checkpoint: Path | str | None, device: torch.device
) -> WindowDetector | PublishedNetwork:
    """Build a detector on a device.

    Parameters
    ----------
    name : {"network", "bandpass"}
    checkpoint : path-like or None
        Weights of a network of ours, or of ``model=published``; None takes those of the package.
    device : torch.device

    Raises
    ------
    InputError
        If the name is unknown, or the checkpoint is missing, damaged or not ours.
    """
    check_name(name)
    if name == "bandpass":
        return WindowDetector(BandpassDetector().to(device), BANDPASS_WINDOW)
    if checkpoint is not None and is_published(checkpoint):
        return load_published(checkpoint).to(device)
    network, window = load_network(checkpoint)
    return WindowDetector(network.to(device), window)
