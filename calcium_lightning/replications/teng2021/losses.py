"""The published losses. Knows tensors only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.preprocess.motion.registration import smooth
from calcium_lightning.replications.teng2021.network import PublishedPrediction

SPARSITY = ("bce", "black_white", "none")


@dataclass
class PublishedTerms:
    """The two losses, each with an optimiser of its own.

    Attributes
    ----------
    reconstruction : Tensor
        The "global" loss: mean squared difference of decoder output and frame.
    sparsity : Tensor
        Of the encoder's output.
    """

    reconstruction: Tensor
    sparsity: Tensor


class PublishedLoss(nn.Module):
    """Global and sparsity loss.

    Parameters
    ----------
    sparsity : {"bce", "black_white", "none"}
        ``bce``: cross-entropy of the encoder's output with the dots, as bright as their similarity: lit only
        where a coordinate is. ``black_white``: squared distance of each pixel to the nearer of 0 and 1.
    blur : float
        Standard deviation of a Gaussian blur of both sides before the sparsity loss, pixels; 0 for none.
    """

    def __init__(self, sparsity: str = "bce", blur: float = 0.0) -> None:
        super().__init__()
        if sparsity not in SPARSITY:
            raise InputError(f"loss.sparsity={sparsity}: {' | '.join(SPARSITY)}{nearest(sparsity, SPARSITY)}")
        if blur < 0:
            raise InputError(f"loss.blur={blur}: 0 or more pixels")
        self.sparsity = sparsity
        self.blur = blur

    def forward(self, prediction: PublishedPrediction, frames: Tensor) -> PublishedTerms:
        """Compare with frames (B, H, W) in [0, 1]."""
        reconstruction = F.mse_loss(prediction.reconstruction.float(), frames)
        if self.sparsity == "none":
            return PublishedTerms(reconstruction, reconstruction.new_zeros(()))
        logits = prediction.logits.float()
        if self.sparsity == "black_white":
            lit = torch.sigmoid(logits)
            lit = smooth(lit, self.blur) if self.blur else lit
            return PublishedTerms(reconstruction, torch.minimum(lit, 1 - lit).square().mean())
        painted = prediction.painted
        if self.blur:
            lit = smooth(torch.sigmoid(logits), self.blur).clamp(1e-6, 1 - 1e-6)
            target = smooth(painted, self.blur).clamp(0, 1)
            # written out: autocast refuses the library's, which takes probabilities
            entropy = -(target * lit.log() + (1 - target) * (1 - lit).log()).mean()
        else:
            # The same without a logarithm of 0; the target has gradients too, to the coordinates.
            target = painted.clamp(0, 1)
            entropy = (F.softplus(logits) - target * logits).mean()
        return PublishedTerms(reconstruction, entropy)
