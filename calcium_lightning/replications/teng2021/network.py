"""Encoder, learnable coordinates, painter and decoder together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from calcium_lightning.core.errors import InputError
from calcium_lightning.nn import parts
from calcium_lightning.nn.splat import SplatDecoder
from calcium_lightning.replications.teng2021.decoder import SplatLatentDecoder
from calcium_lightning.replications.teng2021.parts import KIND

#: where its parts may be from
ROOMS = (*parts.ROOMS, __name__.rpartition(".")[0])


@dataclass
class PublishedPrediction:
    """What the network says of a batch of frames.

    Attributes
    ----------
    logits : Tensor (B, H, W)
        The encoder's output before its sigmoid.
    dots : Tensor (N, H, W)
        The painted coordinates, each summing to 1.
    similarity : Tensor (B, N)
        Of the encoder's output with each dot.
    latent : Tensor (B, N, 3)
        [y, x, similarity], positions scaled to [-1, 1].
    reconstruction : Tensor (B, H, W)
        What the decoder makes of it.
    """

    logits: Tensor
    dots: Tensor
    similarity: Tensor
    latent: Tensor
    reconstruction: Tensor

    @property
    def painted(self) -> Tensor:
        """Dots as bright as their similarity, (B, H, W)."""
        return torch.einsum("bn,nhw->bhw", self.similarity, self.dots)


class PublishedNetwork(nn.Module):
    """The published model: N coordinates that all frames share, and how similar each frame is to their dots.

    Parameters
    ----------
    encoder, painter : nn.Module
        See their modules.
    decoder : mapping
        Plain settings of the decoder; its numbers of coordinates and pixels come from here.
    coordinates : int
        N.
    size : int
        Side of the frames, pixels.
    margin : float
        Distance from the border within which no coordinate starts, pixels.
    architecture : mapping, optional
        Plain settings of encoder and painter, kept for checkpoints.

    Attributes
    ----------
    positions : Parameter (N, 2)
        (y, x), pixels.
    start : Tensor (N, 2)
        Where they were drawn.
    """

    def __init__(
        self,
        encoder: nn.Module,
        painter: nn.Module,
        decoder: Mapping[str, Any],
        coordinates: int = 100,
        size: int = 100,
        margin: float = 5.0,
        architecture: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if coordinates < 1 or size < 16 or not 0 <= margin < size / 2:
            raise InputError(
                f"model: coordinates={coordinates} (1 or more), size={size} (16 or more), margin={margin} "
                "(less than half of the size)"
            )
        self.size = size
        self.encoder, self.painter = encoder, painter
        self.decoder = make_decoder(decoder, coordinates, size)
        start = margin + torch.rand(coordinates, 2) * (size - 1 - 2 * margin)
        self.register_buffer("start", start)
        self.start: Tensor
        self.positions = nn.Parameter(start.clone())
        self.architecture = {
            KIND: {"coordinates": coordinates, "size": size},
            **{part: dict((architecture or {}).get(part, {})) for part in ("encoder", "painter")},
            "decoder": dict(decoder),
        }

    @classmethod
    def from_architecture(cls, architecture: Mapping[str, Any]) -> PublishedNetwork:
        """Build from a checkpoint's settings, of known parts only.

        Raises
        ------
        InputError
            If a part is unknown, or has settings that it doesn't take.
        """
        modules: dict[str, Any] = {}
        for part in ("encoder", "painter"):
            settings = dict(architecture.get(part) or {})
            settings.pop("weights", None)  # the checkpoint has them
            modules[part] = parts.build_part(f"the published model's {part}", settings, ROOMS)
        return cls(
            **modules,
            decoder=dict(architecture.get("decoder") or {}),
            **architecture[KIND],
            architecture=architecture,
        )

    @property
    def splats(self) -> bool:
        """Whether the picture is a sum of the coordinates' own."""
        return isinstance(self.decoder, SplatLatentDecoder)

    def clip(self) -> None:
        """Bring coordinates that left the field back to its border."""
        with torch.no_grad():
            self.positions.clamp_(0, self.size - 1)

    def encode(self, frames: Tensor) -> Tensor:
        """Logits (B, H, W) of frames (B, 1, H, W)."""
        logits: Tensor = self.encoder(frames)
        return logits

    def read(self, logits: Tensor) -> PublishedPrediction:
        """Everything that follows from the encoder's output."""
        positions = self.positions
        dots: Tensor = self.painter(positions, (self.size, self.size))
        lit = torch.sigmoid(logits.float())
        similarity = lit.flatten(1) @ dots.float().flatten(1).T
        place = positions * (2 / (self.size - 1)) - 1
        latent = torch.cat([place.expand(len(lit), -1, -1), similarity[..., None]], -1)
        return PublishedPrediction(logits, dots, similarity, latent, self.decoder(latent))

    def forward(self, frames: Tensor) -> PublishedPrediction:
        """Look at frames (B, 1, H, W) in [0, 1]."""
        return self.read(self.encode(frames))


def make_decoder(settings: Mapping[str, Any], coordinates: int, size: int) -> nn.Module:
    """The decoder that settings describe: the published one, or splats of the same coordinates.

    Raises
    ------
    InputError
        For a decoder that isn't known, or settings that it doesn't take.
    """
    options = dict(settings)
    name = "the published model's decoder"
    kind = parts.find_part(name, str(options.pop("_target_", "")), ROOMS)
    if kind is SplatDecoder:
        chosen = {name: options[name] for name in ("sigma", "shape") if name in options}
        return SplatLatentDecoder(coordinates, size, **chosen)
    parts.check_settings(name, kind, options)
    return kind(coordinates=coordinates, size=size, **options)
