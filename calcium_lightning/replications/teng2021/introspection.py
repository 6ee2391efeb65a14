"""What a published model's reconstruction owes to which coordinates.

The published question: how much of the frames is left when half of the latent is taken away. And the exact
one: what does each coordinate contribute (leave-one-out). Knows the network and frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from calcium_lightning.replications.teng2021.network import PublishedNetwork

#: coordinates that are taken away, as shares of all: name -> (which of the ordered ones)
HALVES: dict[str, Callable[[int], slice | list[int]]] = {
    "whole": lambda count: slice(0, 0),
    "head and tail": lambda count: [*range(count // 4), *range(count - count // 4, count)],
    "top": lambda count: slice(0, count // 2),
    "middle": lambda count: slice(count // 4, count // 4 + count // 2),
    "bottom": lambda count: slice(count - count // 2, count),
}
#: frames at a time
BATCH = 16


@dataclass(frozen=True)
class Reduced:
    """A reconstruction from a part of the latent.

    Attributes
    ----------
    dropped : str
        Which half was taken away.
    order : str
        In which order the coordinates stood when it was: ``unordered`` or ``by x``.
    error : float
        Mean squared error over all frames.
    pictures : ndarray, float32 (frames, h, w)
        The reconstructions.
    """

    dropped: str
    order: str
    error: float
    pictures: np.ndarray


@torch.no_grad()
def reduced_latents(network: PublishedNetwork, frames: Tensor, seed: int = 0) -> list[Reduced]:
    """Reconstruct from the whole latent and from halves of it.

    25 of 100 coordinates are dropped at head and tail, 50 at the top, in the middle, at the bottom and at
    random; once in their own order, once in that of x, so that a half is a part of the field. A dropped
    coordinate's [y, x, similarity] are zeros; the others keep their places, which the decoder knows them by.

    Parameters
    ----------
    network : PublishedNetwork
        In evaluation mode.
    frames : Tensor, float32 (B, h, w)
        Some frames.
    seed : int
        Of the random half.
    """
    count = len(network.positions)
    device = network.positions.device
    random = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[: count // 2]
    orders = {"unordered": torch.arange(count), "by x": network.positions[:, 1].argsort().cpu()}
    results = []
    for name, order in orders.items():
        choices = {half: order[choose(count)] for half, choose in HALVES.items()}
        choices["random"] = order[random]
        for half, dropped in choices.items():
            keep = torch.ones(count, 1, device=device)
            keep[dropped.to(device)] = 0
            pictures = _reconstruct(network, frames, keep)
            error = float((pictures - frames).square().mean())
            results.append(Reduced(half, name, error, pictures.numpy()))
    return results


@torch.no_grad()
def leave_one_out(network: PublishedNetwork, frames: Tensor) -> Tensor:
    """How much the mean squared error grows without each coordinate's similarity, float32 (N,).

    For the splat decoder this is exact: its picture is a sum, and a similarity of 0 takes one summand away.
    For the published decoder it is what the dense layer makes of a 0.
    """
    latent = _latent(network, frames)
    target = frames
    whole = (_decode(network, latent) - target).square().mean()
    grown = []
    for index in range(latent.shape[1]):
        without = latent.clone()
        without[:, index, 2] = 0
        grown.append((_decode(network, without) - target).square().mean() - whole)
    return torch.stack(grown)


def _latent(network: PublishedNetwork, frames: Tensor) -> Tensor:
    device = network.positions.device
    return torch.cat([network(part[:, None].to(device).float()).latent for part in frames.split(BATCH)])


def _decode(network: PublishedNetwork, latent: Tensor) -> Tensor:
    return torch.cat([network.decoder(part).float().cpu() for part in latent.split(BATCH)])


def _reconstruct(network: PublishedNetwork, frames: Tensor, keep: Tensor) -> Tensor:
    latent = _latent(network, frames)
    if network.splats:
        keep = torch.cat(
            [torch.ones_like(keep).expand(-1, 2), keep], 1
        )  # a place without brightness is nothing
    return _decode(network, latent * keep)


def draw(frames: Tensor, results: list[Reduced], samples: int = 2) -> object:
    """Pictures of :func:`reduced_latents`: one row per order and frame.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    orders = list(dict.fromkeys(result.order for result in results))
    chosen = torch.linspace(0, len(frames) - 1, samples).round().int().tolist()
    width = 1 + len(results) // len(orders)
    height = len(orders) * len(chosen)
    figure = Figure(figsize=(1.8 * width, 2 * height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(height, width, squeeze=False)
    rows = [(order, frame) for order in orders for frame in chosen]
    for line, (order, frame) in zip(axes, rows, strict=True):
        pictures = [("frame", frames[frame].numpy())]
        pictures += [
            (f"{part.dropped}\n{order}, MSE {part.error:.4f}", part.pictures[frame])
            for part in results
            if part.order == order
        ]
        for axis, (title, image) in zip(line, pictures, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_axis_off()
            axis.set_title(title, fontsize=7)
    return figure
