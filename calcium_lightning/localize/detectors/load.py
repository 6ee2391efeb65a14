"""The network of a checkpoint as a detector (``detector=network``).

Knows checkpoints; a model that isn't a :class:`~calcium_lightning.nn.network.LocalizationNetwork` registers
what loads it (:func:`calcium_lightning.core.parts.register`, ``"model"``).
"""

from __future__ import annotations

from pathlib import Path

from calcium_lightning.core.parts import registered
from calcium_lightning.localize.detectors.base import SessionDetector, WindowDetector
from calcium_lightning.nn.checkpoint import load_network, read_weights
from calcium_lightning.nn.network import PARTS


def load_detector(checkpoint: Path | str | None = None) -> WindowDetector | SessionDetector:
    """Load a model, of whatever kind its checkpoint says.

    Parameters
    ----------
    checkpoint : path-like, optional
        Weights; default those of the package.

    Raises
    ------
    InputError
        If it is missing, damaged, not ours, or of parts that aren't known here.
    """
    if checkpoint is not None:
        for kind in sorted(set(read_weights(checkpoint, "checkpoint").architecture) - set(PARTS)):
            load = registered("model").get(kind)
            if load is not None:
                return load(checkpoint)
    return WindowDetector(*load_network(checkpoint))
