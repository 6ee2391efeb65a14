"""Flips, quarter turns and gain of whole batches, with everything that belongs to them.

A flipped crop is a crop of the flipped field: the extent moves with it, and so do the labels. Knows tensors
only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from calcium_lightning.core.errors import InputError
from calcium_lightning.nn.windows import Labels, WindowBatch


@dataclass(frozen=True)
class Transform:
    """One element of the square's symmetry group, and a gain.

    Attributes
    ----------
    flip : bool
        Mirror along x, before turning.
    turns : int
        Quarter turns, counterclockwise as in ``numpy.rot90``.
    gain : float
        Factor of the brightness.
    """

    flip: bool = False
    turns: int = 0
    gain: float = 1.0

    def image(self, image: Tensor) -> Tensor:
        """Transform the last two dimensions (y, x)."""
        if self.flip:
            image = image.flip(-1)
        if self.turns % 4:
            image = torch.rot90(image, self.turns, (-2, -1))
        return image * self.gain if self.gain != 1 else image

    def positions(self, positions: Tensor, size: tuple[int, int]) -> Tensor:
        """Transform positions (..., 2) of an image of ``size`` (h, w) before the transform."""
        y, x = positions.unbind(-1)
        height, width = size
        if self.flip:
            x = width - 1 - x
        for _ in range(self.turns % 4):
            y, x = width - 1 - x, y
            height, width = width, height
        return torch.stack([y, x], -1)

    def extent(self, extent: Tensor) -> Tensor:
        """Transform extents (B, 4), whose field spans -1 to 1."""
        y0, y1, x0, x1 = extent.unbind(-1)
        if self.flip:
            x0, x1 = -x1, -x0
        for _ in range(self.turns % 4):
            y0, y1, x0, x1 = -x1, -x0, y0, y1
        return torch.stack([y0, y1, x0, x1], -1)

    def __call__(self, batch: WindowBatch) -> WindowBatch:
        """Transform a whole batch."""
        size = (batch.target.shape[-2], batch.target.shape[-1])
        labels = batch.labels
        if labels is not None:
            positions = torch.where(labels.valid[..., None], self.positions(labels.positions, size), 0.0)
            labels = Labels(positions, labels.amplitude * self.gain, labels.valid)
        return replace(
            batch,
            windows=self.image(batch.windows).contiguous(),
            target=self.image(batch.target).contiguous(),
            extent=self.extent(batch.extent),
            labels=labels,
        )


@dataclass(frozen=True)
class Augmentation:
    """What may be done to a crop.

    Attributes
    ----------
    flips, turns : bool
        Mirror; turn by quarters.
    gain : float
        The brightness changes by a factor between ``1 / gain`` and ``gain``.
    """

    flips: bool = True
    turns: bool = True
    gain: float = 1.2

    def __post_init__(self) -> None:
        """Refuse gains below 1.

        Raises
        ------
        InputError
            Naming the setting.
        """
        if not self.gain >= 1:
            raise InputError(f"data.augment.gain={self.gain}: 1 (off) or more")

    def draw(self, random: np.random.Generator) -> Transform:
        """Draw one transform."""
        flip, turns, gain = random.integers(2), random.integers(4), random.uniform(-1, 1)
        return Transform(bool(flip) and self.flips, int(turns) if self.turns else 0, float(self.gain**gain))
