"""What is learned from: likelihoods of frames and of labels. Knows tensors only.

Two terms, each a negative log-likelihood per pixel in units of the frames' noise, so that they can be added:

* :class:`EvidenceLoss` needs no labels. A pixel's coordinate is a Bernoulli variable with a brightness and a
  place; the decoder paints them, and the loss is the expected squared difference to the frame plus the cost
  of saying that a cell is there: amortised sparse deconvolution, an evidence lower bound for a spike-and-slab
  prior.
* :class:`LabelLoss` is for simulated sessions: which pixels hold a cell, and where in the pixel and how
  bright
  (a mixture over the pixels around it, after Speiser et al. 2021, DECODE).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calcium_lightning.core.scale import CELL_SIGMA, background_sigma
from calcium_lightning.nn.coordinates import CoordinateMaps, Coordinates, top_coordinates
from calcium_lightning.nn.maps import AMPLITUDE, AMPLITUDE_STD, LOGIT, OFFSET, OFFSET_STD
from calcium_lightning.nn.network import LocalizationNetwork, Prediction
from calcium_lightning.nn.windows import Labels, WindowBatch

Gather = Callable[[Tensor], Tensor]


@dataclass
class LossTerms:
    """A loss and what it is made of.

    Attributes
    ----------
    total : Tensor
        What is minimised.
    parts : dict of str to Tensor
        For the logs.
    reconstruction : Tensor, float32 (B, h, w), optional
        The painted frames with background, units of the input.
    coordinates : Coordinates, optional
        What was painted.
    """

    total: Tensor
    parts: dict[str, Tensor]
    reconstruction: Tensor | None = None
    coordinates: Coordinates | None = None


def remove_smooth(images: Tensor, sigma: float) -> Tensor:
    """Subtract a Gaussian blur, as preprocessing did to the frames, so that both sides are compared alike.

    Parameters
    ----------
    images : Tensor (B, h, w)
        Painted coordinates.
    sigma : float
        Standard deviation of the blur, network pixels.
    """
    reach = math.ceil(3 * sigma)
    grid = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (grid / sigma) ** 2)
    kernel = kernel / kernel.sum()
    stack = images[:, None]
    blurred = F.conv2d(
        F.conv2d(stack, kernel.view(1, 1, -1, 1), padding=(reach, 0)),
        kernel.view(1, 1, 1, -1),
        padding=(0, reach),
    )
    # Beyond the crop's edge nothing is known: the blur is of what is inside.
    ones = torch.ones_like(stack[:1])
    inside = F.conv2d(
        F.conv2d(ones, kernel.view(1, 1, -1, 1), padding=(reach, 0)),
        kernel.view(1, 1, 1, -1),
        padding=(0, reach),
    )
    return images - (blurred / inside)[:, 0]


def fit_cells(images: Tensor) -> Tensor:
    """Height of the best-fitting cell-sized Gaussian around each pixel, (B, h, w) like ``images``."""
    reach = math.ceil(3 * CELL_SIGMA)
    grid = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (grid / CELL_SIGMA) ** 2)
    kernel = kernel / kernel.square().sum()
    stack = F.pad(images[:, None], (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(stack, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))[:, 0]


def unexplored(target: Tensor, least: float = 0.5) -> Tensor:
    """Where a cell-sized Gaussian fits the frames best: a bonus for being painted.

    So every bright place is tried, above all while the network says nothing yet.

    Parameters
    ----------
    target : Tensor (B, h, w)
        Frames in units of their noise.
    least : float
        Least height of such a place, units of the noise.

    Returns
    -------
    Tensor (B, h, w)
        The height of the best fit at its local maxima, 0 elsewhere.
    """
    fit = fit_cells(target.detach())
    best = (fit == F.max_pool2d(fit[:, None], 5, 1, 2)[:, 0]) & (fit > least)
    return torch.where(best, fit, 0)


def grain(rest: Tensor, gather: Gather | None = None) -> Tensor:
    """How much more noise there is at the scale of cells than white noise would have, a scalar of at least 1.

    Smoothed frames have noise in blobs. A likelihood that takes their pixels for independent counts each of
    them so many times.

    Parameters
    ----------
    rest : Tensor (B, h, w)
        What a picture leaves of the frames.
    gather : callable, optional
        Gives all processes' values of a tensor, where each has a part of the batch.
    """
    rest = rest.detach()
    # A white image of unit variance has fits of variance 1 / sum(kernel**2) = 1 / (pi sigma**2).
    # Medians: places that aren't painted yet are no noise.
    squares = fit_cells(rest).square(), rest.square()
    fit, pixel = (gather(part).median() if gather else part.median() for part in squares)
    return (fit * math.pi * CELL_SIGMA**2 / pixel.clamp_min(1e-9)).clamp_min(1.0)


class EvidenceLoss(nn.Module):
    """Expected reconstruction error plus the cost of each coordinate.

    What is minimised is divided by :func:`grain`, which falls as the residual becomes white, and its prices
    rise with the steps: it can rise while the model gets better. Its parts have units that stay: the
    ``reconstruction`` error over the noise variance, and, nats per pixel of white noise at full prices,
    ``uncertainty``, ``price`` and their sum with half the error, the ``evidence`` (less is better).

    Parameters
    ----------
    splats : int
        How many coordinates of a crop are painted, the strongest first.
    coordinate_cost : float
        Price of one coordinate in nats: its explanation of the frame must be worth more. Log of the prior
        odds that a pixel holds no cell.
    amplitude_cost : float
        Price per unit of brightness (an exponential prior), units of noise.
    warmup_steps : int
        Steps over which both prices, and that of half-heartedness, rise from zero: at the start nothing is
        worth its price yet.
    background_diameters : float, optional
        Standard deviation of the blur that preprocessing removed, in cell diameters; default as there.
    """

    def __init__(
        self,
        splats: int = 96,
        coordinate_cost: float = 3.0,
        amplitude_cost: float = 0.02,
        warmup_steps: int = 600,
        background_diameters: float | None = None,
    ) -> None:
        super().__init__()
        self.splats = splats
        self.coordinate_cost = coordinate_cost
        self.amplitude_cost = amplitude_cost
        self.warmup_steps = warmup_steps
        self.background_sigma = background_sigma(background_diameters)

    def forward(
        self,
        network: LocalizationNetwork,
        prediction: Prediction,
        batch: WindowBatch,
        step: int,
        gather: Gather | None = None,
    ) -> LossTerms:
        """Compare what the coordinates paint with the middle frames."""
        maps = prediction.maps
        coordinates = top_coordinates(maps, self.splats, unexplored(batch.target))
        height, width = batch.target.shape[-2:]
        # The decoder paints the expectation: brightness times probability.
        painted = remove_smooth(network.decoder(coordinates, (height, width)), self.background_sigma)
        picture = painted + prediction.background
        error = (picture - batch.target).square()
        # The variance that a Bernoulli coordinate adds to the picture: a half-hearted one pays for it.
        p, brightness = coordinates.probability, coordinates.amplitude
        square = coordinates.sigma.prod(-1)
        # Of a Gaussian's energy, what the removal of the background leaves.
        wide = self.background_sigma**2
        left = 1 - 4 * square / (2 * square + wide) + square / (square + wide)
        energy = math.pi * square * left
        variance = (p * (1 - p) * brightness.square() * energy).sum(1)
        pixels = height * width
        rise = min(1.0, (step + 1) / max(1, self.warmup_steps)) ** 3
        price = self.coordinate_cost * maps.probability.sum((1, 2)) + self.amplitude_cost * (
            maps.probability * maps.amplitude
        ).sum((1, 2))
        reconstruction, uncertainty, price = error.mean(), variance.mean() / pixels, price.mean() / pixels
        doubt = grain(picture - batch.target, gather)
        total = 0.5 * reconstruction / doubt + rise * (0.5 * uncertainty / doubt + price)
        parts = {
            "reconstruction": reconstruction,
            "evidence": 0.5 * (reconstruction + uncertainty) + price,
            "uncertainty": 0.5 * uncertainty,
            "price": price,
            "grain": doubt,
            "coordinates": maps.probability.sum((1, 2)).mean(),
        }
        parts = {name: part.detach() for name, part in parts.items()}
        return LossTerms(total, parts, picture.detach(), coordinates.detach())


class LabelLoss(nn.Module):
    """Likelihood of the true cells of simulated frames.

    Parameters
    ----------
    weight : float
        Of the likelihood of place and brightness beside that of presence.
    reach : int
        A cell may be told by any pixel within ``reach`` of its own.
    amplitude_tolerance : float
        Relative error of a brightness label, added to the network's own uncertainty.
    """

    def __init__(self, weight: float = 1.0, reach: int = 1, amplitude_tolerance: float = 0.1) -> None:
        super().__init__()
        self.weight = weight
        self.reach = reach
        self.amplitude_tolerance = amplitude_tolerance

    def forward(self, maps: CoordinateMaps, labels: Labels) -> LossTerms:
        """Negative log-likelihood per frame of the labels' cells under the maps.

        All parts are told even where no cell is lit: the ranks of a run reduce the same figures.
        """
        height, width = maps.size
        count = len(labels.positions)
        frame = torch.arange(count, device=labels.positions.device)[:, None].expand(labels.valid.shape)
        pixel = labels.positions.round().long()
        inside = labels.valid & (pixel >= 0).all(-1) & (pixel[..., 0] < height) & (pixel[..., 1] < width)
        # Places without a cell stay among the others and count for nothing: to pick the cells out, a graphics
        # card would have to tell how many there are, and be waited for.
        pixel = torch.where(inside[..., None], pixel, 0).flatten(0, 1)
        truth = torch.where(inside[..., None], labels.positions, 0.0).flatten(0, 1)
        brightness = torch.where(inside, labels.amplitude, 1.0).flatten()
        frame, inside = frame.flatten(), inside.flatten()
        place = (frame * height + pixel[:, 0]) * width + pixel[:, 1]
        target = torch.zeros_like(maps.logit)
        target.view(-1).scatter_reduce_(0, place, inside.to(target), "amax")
        presence = F.binary_cross_entropy_with_logits(maps.logit, target, reduction="sum") / count
        step = torch.arange(-self.reach, self.reach + 1, device=pixel.device)
        around = torch.cartesian_prod(step, step)
        near = pixel[:, None] + around
        known = (near >= 0).all(-1) & (near[..., 0] < height) & (near[..., 1] < width)
        y, x = near[..., 0].clamp(0, height - 1), near[..., 1].clamp(0, width - 1)
        at = _lookup(maps, frame[:, None].expand_as(y), y, x)
        weight = F.logsigmoid(at["logit"]).masked_fill(~known, -1e4)
        placed = _normal(truth[:, None], near + at["offset"], at["offset_std"]).sum(-1)
        spread = (
            at["amplitude_std"].square() + (self.amplitude_tolerance * brightness[:, None]).square()
        ).sqrt()
        bright = _normal(brightness[:, None], at["amplitude"], spread)
        mixture = torch.logsumexp(torch.log_softmax(weight, 1) + placed + bright, 1)
        placement = -torch.where(inside, mixture, 0.0).sum() / count
        total = presence + self.weight * placement
        return LossTerms(total, {"presence": presence.detach(), "placement": placement.detach()})


class CombinedLoss(nn.Module):
    """Labels where there are any, evidence everywhere.

    Parameters
    ----------
    evidence : EvidenceLoss
        The label-free term.
    labels : LabelLoss, optional
        The term for simulated sessions.
    evidence_weight, label_weight : float
        Their weights per pixel and per labelled frame.
    """

    def __init__(
        self,
        evidence: EvidenceLoss | None = None,
        labels: LabelLoss | None = None,
        evidence_weight: float = 1.0,
        label_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.evidence = evidence or EvidenceLoss()
        self.labels = labels
        self.evidence_weight = evidence_weight
        self.label_weight = label_weight

    def forward(
        self,
        network: LocalizationNetwork,
        prediction: Prediction,
        batch: WindowBatch,
        step: int,
        gather: Gather | None = None,
    ) -> LossTerms:
        """Add the terms."""
        terms = self.evidence(network, prediction, batch, step, gather)
        if self.labels is None or batch.labels is None:
            return LossTerms(
                self.evidence_weight * terms.total, terms.parts, terms.reconstruction, terms.coordinates
            )
        labelled = self.labels(prediction.maps, batch.labels)
        pixels = batch.target[0].numel()
        total = self.evidence_weight * terms.total + self.label_weight * labelled.total / pixels
        return LossTerms(total, {**terms.parts, **labelled.parts}, terms.reconstruction, terms.coordinates)


def _normal(value: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return -0.5 * ((value - mean) / std).square() - std.log() - 0.5 * math.log(2 * math.pi)


def _lookup(maps: CoordinateMaps, frame: Tensor, y: Tensor, x: Tensor) -> dict[str, Tensor]:
    """The maps' values at some pixels, with gradients."""
    raw, ranges = maps.rows(frame, y, x), maps.ranges
    return {
        "logit": raw[..., LOGIT],
        "amplitude": ranges.amplitude(raw[..., AMPLITUDE]),
        "amplitude_std": ranges.amplitude_std(raw[..., AMPLITUDE_STD]),
        "offset": ranges.offset(raw[..., OFFSET]),
        "offset_std": ranges.offset_std(raw[..., OFFSET_STD]),
    }
