"""Coordinates: the type that head, decoder and losses speak, and how they are picked from maps.

For: holding what was found where (`Coordinates`), and picking it from what a head says about every pixel
(`CoordinateMaps`), differentiably (`top_coordinates`) or as detections (`find_peaks`).
Must not know: frames, sessions, losses, or what network made the maps.

Positions are (y, x) in pixels of the maps; the centre of the top-left pixel is (0, 0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from calcium_lightning.nn.maps import (
    AMPLITUDE,
    AMPLITUDE_STD,
    ANGLE,
    LOGIT,
    OFFSET,
    OFFSET_STD,
    SIGMA,
    CoordinateMaps,
    CoordinateRanges,
)

__all__ = [
    "CoordinateMaps",
    "CoordinateRanges",
    "Coordinates",
    "LocalizationBatch",
    "find_peaks",
    "top_coordinates",
]


@dataclass
class Coordinates:
    """Up to N blobs in each of B frames.

    Attributes
    ----------
    positions : Tensor
        (B, N, 2) float: (y, x), pixels.
    amplitude : Tensor
        (B, N) float: peak brightness given that the blob is there.
    sigma : Tensor
        (B, N, 2) float: standard deviations along the ellipse's axes, pixels.
    angle : Tensor
        (B, N) float: angle of the first axis from the y axis towards the x axis, radians.
    probability : Tensor
        (B, N) float in [0, 1]: that the blob is there.
    amplitude_std : Tensor
        (B, N) float.
    position_std : Tensor
        (B, N, 2) float, pixels.
    valid : Tensor
        (B, N) bool: False for the unused places of frames with fewer than N blobs.
    """

    positions: Tensor
    amplitude: Tensor
    sigma: Tensor
    angle: Tensor
    probability: Tensor
    amplitude_std: Tensor
    position_std: Tensor
    valid: Tensor

    def to(self, device: torch.device | str) -> Coordinates:
        """Return a copy on another device."""
        return Coordinates(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def detach(self) -> Coordinates:
        """Return the same coordinates without their gradient."""
        return Coordinates(**{f.name: getattr(self, f.name).detach() for f in fields(self)})

    def to_list(self, first_frame: int = 0) -> LocalizationBatch:
        """Flatten the valid blobs of all frames, in the order of frames.

        Parameters
        ----------
        first_frame : int
            The number of the batch's first frame.
        """
        frame, slot = torch.nonzero(self.valid, as_tuple=True)
        y, x = self.positions[frame, slot].unbind(dim=-1)
        y_std, x_std = self.position_std[frame, slot].unbind(dim=-1)
        return LocalizationBatch(
            frame=frame + first_frame,
            y=y,
            x=x,
            amplitude=self.amplitude[frame, slot],
            probability=self.probability[frame, slot],
            sigma=self.sigma[frame, slot],
            angle=self.angle[frame, slot],
            amplitude_std=self.amplitude_std[frame, slot],
            y_std=y_std,
            x_std=x_std,
        )


@dataclass
class LocalizationBatch:
    """The valid blobs of some frames as flat columns of length M (``sigma``: (M, 2)); see `Coordinates`."""

    frame: Tensor
    y: Tensor
    x: Tensor
    amplitude: Tensor
    probability: Tensor
    sigma: Tensor
    angle: Tensor
    amplitude_std: Tensor
    y_std: Tensor
    x_std: Tensor

    def __len__(self) -> int:
        """Count the blobs."""
        return len(self.frame)

    def among(self, kept: Tensor) -> LocalizationBatch:
        """Those that are kept, bool (M,)."""
        return LocalizationBatch(**{name: value[kept] for name, value in vars(self).items()})


class PeakMaps(Protocol):
    """What detection asks of maps: the logit everywhere, the rest at a few pixels; see `CoordinateMaps`."""

    ranges: CoordinateRanges

    @property
    def logit(self) -> Tensor:
        """(B, H, W)."""
        ...

    def rows(self, frame: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Raw numbers (..., 10) of some pixels."""
        ...


def top_coordinates(maps: CoordinateMaps, count: int, bonus: Tensor | None = None) -> Coordinates:
    """Take the strongest pixels of each frame, with gradients to all their maps.

    Parameters
    ----------
    maps : CoordinateMaps
        (B, H, W).
    count : int
        How many to take per frame; fewer where the frame has fewer pixels.
    bonus : Tensor, optional
        (B, H, W), added to the strength by which pixels are chosen: places to look at whatever the maps say.

    Returns
    -------
    Coordinates
        N = min(count, H * W), ordered by probability * amplitude, all valid. Neighbouring pixels may both be
        there.
    """
    height, width = maps.size
    strength = (maps.probability * maps.amplitude).detach()
    strength = (strength if bonus is None else strength + bonus).flatten(1)
    chosen = torch.topk(strength, min(count, height * width), dim=1).indices
    frame = torch.arange(len(chosen), device=chosen.device)[:, None].expand_as(chosen)
    y, x = chosen // width, chosen % width
    raw, ranges = maps.rows(frame, y, x), maps.ranges
    return Coordinates(
        positions=torch.stack([y, x], dim=-1) + ranges.offset(raw[..., OFFSET]),
        amplitude=ranges.amplitude(raw[..., AMPLITUDE]),
        sigma=ranges.scale(raw[..., SIGMA]),
        angle=ranges.angle(raw[..., ANGLE]),
        probability=torch.sigmoid(raw[..., LOGIT]),
        amplitude_std=ranges.amplitude_std(raw[..., AMPLITUDE_STD]),
        position_std=ranges.offset_std(raw[..., OFFSET_STD]),
        valid=torch.ones_like(chosen, dtype=torch.bool),
    )


@torch.no_grad()
def find_peaks(maps: PeakMaps, threshold: float = 0.5, count: int = 256) -> Coordinates:
    """Detect blobs: local maxima with the probability of their neighbourhood (Speiser et al. 2021, DECODE).

    A network that places one blob between pixels shares its probability among them. So the probability of a
    local maximum and its eight neighbours is summed (at most 1), and the other quantities are their means
    weighted by probability; the variance of the position includes the spread of what the nine pixels say.

    Parameters
    ----------
    maps : PeakMaps
        (B, H, W), `CoordinateMaps` for instance.
    threshold : float
        Least summed probability, above 0 and at most 1.
    count : int
        How many to keep per frame, the most probable first.

    Returns
    -------
    Coordinates
        N = ``count`` places per frame, ordered by falling probability, unused ones not ``valid`` (zero with a
        sigma of one).
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, it is {threshold}")
    logit = maps.logit
    batch, height, width = logit.shape
    frame, y, x, score = _local_maxima(logit, least=_inverse_sigmoid(threshold / 9))
    weight = torch.sigmoid(score)
    keep = torch.nonzero(weight.sum(dim=1) >= threshold)[:, 0]
    frame, y, x, weight = frame[keep], y[keep], x[keep], weight[keep]
    mass = weight.sum(dim=1).clamp_(max=1.0)

    order, slot = _slots(frame, mass, batch, count)
    frame, y, x, weight, mass = frame[order], y[order], x[order], weight[order], mass[order]

    # Beyond the border the weight is zero, wherever one looks.
    step = torch.arange(-1, 2, device=frame.device)
    neighbour_y = (y[:, None] + step.repeat_interleave(3)).clamp_(0, height - 1)
    neighbour_x = (x[:, None] + step.repeat(3)).clamp_(0, width - 1)
    raw, ranges = maps.rows(frame[:, None], neighbour_y, neighbour_x), maps.ranges
    weight = (weight / weight.sum(dim=1, keepdim=True))[..., None]
    offset = ranges.offset(raw[..., OFFSET]) + torch.stack(
        [neighbour_y - y[:, None], neighbour_x - x[:, None]], -1
    )
    mean_offset = (weight * offset).sum(dim=1)
    variance = (
        weight * (ranges.offset_std(raw[..., OFFSET_STD]) ** 2 + (offset - mean_offset[:, None]) ** 2)
    ).sum(1)

    def mean(values: Tensor) -> Tensor:
        return (weight * values).sum(dim=1)

    def table(values: Tensor, unused: float = 0.0) -> Tensor:
        result = values.new_full((batch, count, *values.shape[1:]), unused)
        result[frame, slot] = values
        return result

    centre = torch.stack([y, x], dim=-1).to(offset.dtype)
    return Coordinates(
        positions=table(centre + mean_offset),
        amplitude=table(mean(ranges.amplitude(raw[..., AMPLITUDE, None]))[:, 0]),
        sigma=table(mean(ranges.scale(raw[..., SIGMA])), 1.0),
        # Angles do not average (they are periodic): the middle pixel's.
        angle=table(ranges.angle(raw[:, 4, ANGLE])),
        probability=table(mass),
        amplitude_std=table(mean(ranges.amplitude_std(raw[..., AMPLITUDE_STD, None]))[:, 0]),
        position_std=table(variance.sqrt(), 1.0),
        valid=table(torch.ones_like(slot, dtype=torch.bool), False),
    )


def _inverse_sigmoid(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _local_maxima(values: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels of (B, H, W) that no neighbour exceeds and that reach ``least``, few of all.

    Returns
    -------
    frame, y, x : Tensor (M,)
    around : Tensor (M, 9)
        Each one's neighbourhood row by row, minus infinity beyond the border.
    """
    width = values.shape[2] + 2
    padded = F.pad(values, (1, 1, 1, 1), value=-math.inf)
    flat = padded.flatten()
    place = torch.nonzero(flat >= least)[:, 0]
    # Of equal neighbours (frequent in bfloat16) only the first is a maximum. Those in the row rule most out.
    place = place[flat[place - 1] < flat[place]]
    place = place[flat[place + 1] <= flat[place]]
    step = torch.arange(-1, 2, device=values.device)
    around = flat[place[:, None] + (step[:, None] * width + step).flatten()]
    centre = around[:, 4:5]
    kept = (around[:, :4] < centre).all(dim=1) & (around[:, 5:] <= centre).all(dim=1)
    place, around = place[kept], around[kept]
    area = padded.shape[1] * width
    frame, rest = place // area, place % area
    return frame, rest // width - 1, rest % width - 1, around


def _slots(frame: Tensor, score: Tensor, batch: int, count: int) -> tuple[Tensor, Tensor]:
    """Order candidates by frame and falling score, and give each its place in its frame.

    Returns
    -------
    order, slot : Tensor
        Indices of the candidates that are kept (at most ``count`` per frame), and their places 0, 1, … in the
        frame.
    """
    order = torch.sort(score, descending=True, stable=True).indices
    order = order[torch.sort(frame[order], stable=True).indices]
    per_frame = torch.bincount(frame, minlength=batch)
    begin = torch.cumsum(per_frame, dim=0) - per_frame
    slot = torch.arange(len(order), device=order.device) - begin[frame[order]]
    kept = slot < count
    return order[kept], slot[kept]
