"""What is asked of a network about a position, and how good its answer is.

Each task makes a network's input from positions (B, 2), y and x in whole pixels, and judges what comes out.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Task(Protocol):
    """A question about positions (B, 2)."""

    #: the score that pictures show
    shown: str

    def answer(self, network: Any, positions: Tensor) -> Tensor:
        """Ask the network; what it gives is the task's own business."""
        ...

    def loss(self, answer: Tensor, positions: Tensor) -> Tensor:
        """What is learned from, a scalar."""
        ...

    def scores(self, answer: Tensor, positions: Tensor) -> dict[str, Tensor]:
        """Figures of merit, each (B,)."""
        ...


class Classification:
    """Coordinates in, their pixel out: one class per pixel, cross-entropy.

    Scores: ``accuracy``, whether the brightest pixel is the right one.

    Parameters
    ----------
    size : int
        Side of the canvas, pixels.
    """

    shown = "accuracy"

    def __init__(self, size: int = 64) -> None:
        self.size = size

    def answer(self, network: Any, positions: Tensor) -> Tensor:
        """Logits (B, size²)."""
        logits: Tensor = network.logits(positions.float(), (self.size, self.size))
        return logits.float()

    def loss(self, answer: Tensor, positions: Tensor) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(answer, self._pixel(positions))

    def scores(self, answer: Tensor, positions: Tensor) -> dict[str, Tensor]:
        """Hits, 0 or 1."""
        return {"accuracy": (answer.argmax(1) == self._pixel(positions)).float()}

    def _pixel(self, positions: Tensor) -> Tensor:
        return positions[:, 0] * self.size + positions[:, 1]


class Rendering:
    """Coordinates in, the square around them out: lit or not for each pixel, binary cross-entropy.

    Scores: ``iou``, intersection over union of the square with the pixels of probability above ½, and
    ``perfect``, whether all pixels are right.

    Parameters
    ----------
    size, square : int
        Sides of the canvas and of the square, pixels.
    """

    shown = "iou"

    def __init__(self, size: int = 64, square: int = 9) -> None:
        self.size = size
        self.square = square

    def answer(self, network: Any, positions: Tensor) -> Tensor:
        """Logits (B, size²)."""
        logits: Tensor = network.logits(positions.float(), (self.size, self.size))
        return logits.float()

    def loss(self, answer: Tensor, positions: Tensor) -> Tensor:
        """Binary cross-entropy, summed over the pixels of a picture and divided by the square's."""
        wrong = F.binary_cross_entropy_with_logits(answer, self.target(positions), reduction="sum")
        return wrong / (len(positions) * self.square**2)

    def scores(self, answer: Tensor, positions: Tensor) -> dict[str, Tensor]:
        """Shares of 1."""
        lit, target = answer > 0, self.target(positions) > 0
        iou = (lit & target).sum(1) / (lit | target).sum(1)
        return {"iou": iou, "perfect": (lit == target).all(1).float()}

    def target(self, positions: Tensor) -> Tensor:
        """The squares, float32 (B, size²), 0 or 1."""
        pixel = torch.arange(self.size, device=positions.device)
        near = (pixel - positions[:, :, None]).abs() <= self.square // 2
        return (near[:, 0, :, None] & near[:, 1, None, :]).flatten(1).float()


class Regression:
    """A picture with one lit pixel in, its coordinates out: mean squared error.

    Scores: ``error``, the distance in pixels, and whether it is ``within_half`` or ``within_one`` of a pixel.

    Parameters
    ----------
    size : int
        Side of the canvas, pixels.
    """

    shown = "error"

    def __init__(self, size: int = 64) -> None:
        self.size = size

    def answer(self, network: Any, positions: Tensor) -> Tensor:
        """Coordinates (B, 2), scaled to [-1, 1]."""
        found: Tensor = network(self.pictures(positions))
        return found.float()

    def loss(self, answer: Tensor, positions: Tensor) -> Tensor:
        """Mean squared error of scaled coordinates."""
        return F.mse_loss(answer, positions * (2 / (self.size - 1)) - 1)

    def scores(self, answer: Tensor, positions: Tensor) -> dict[str, Tensor]:
        """Pixels, and 0 or 1."""
        found = (answer + 1) * ((self.size - 1) / 2)
        error = (found - positions).norm(dim=1)
        return {
            "error": error,
            "within_half": (error <= 0.5).float(),
            "within_one": (error <= 1.0).float(),
        }

    def pictures(self, positions: Tensor) -> Tensor:
        """One lit pixel each, float32 (B, 1, size, size)."""
        pixels = F.one_hot(positions[:, 0] * self.size + positions[:, 1], self.size**2)
        return pixels.float().view(-1, 1, self.size, self.size)
