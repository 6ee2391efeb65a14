"""Teach a De-CoordConv to paint: random coordinates in, a dot at each out.

The published system did this first and froze the result. Knows no recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from calcium_lightning.core.errors import InputError
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.replications.teng2021.painter import DeCoordConv
from calcium_lightning.training.base import BaseModel

#: pixels on either side of a coordinate that every step looks at, and how many others stand for the rest
NEAR, FAR = 8, 512


class RandomCoordinates(L.LightningDataModule):
    """Coordinates drawn evenly over the field but for its margin.

    Parameters
    ----------
    size : int
        Side of the field, pixels.
    margin : float
        Distance from its border, pixels.
    batch_size : int
        Coordinates in a step.
    steps_per_epoch, validation_steps : int
        Batches.
    validation : float
        Above 0; every draw is new, so nothing has to be held out.
    seed : int
        Of the draws.
    sessions : None
        There are none; the key is that of the other data.
    """

    #: its samplers give each process its share
    knows_ranks = True

    def __init__(
        self,
        size: int = 100,
        margin: float = 5.0,
        batch_size: int = 64,
        steps_per_epoch: int = 500,
        validation_steps: int = 4,
        validation: float = 1.0,
        seed: int = 0,
        sessions: None = None,
    ) -> None:
        super().__init__()
        self.size, self.margin, self.batch_size, self.seed = size, margin, batch_size, seed
        self.steps = (steps_per_epoch, validation_steps)
        if min(batch_size, *self.steps) < 1:
            raise InputError("data.batch_size=, data.steps_per_epoch= and data.validation_steps=: 1 or more")

    def train_dataloader(self) -> DataLoader[Tensor]:
        """New coordinates in every epoch."""
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        return self._loader(0, epoch)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """The same coordinates every time."""
        return self._loader(1, 0)

    def _loader(self, part: int, epoch: int) -> DataLoader[Tensor]:
        draws = _Draws(self.seed, part, epoch, self.steps[part], self.batch_size, self.size, self.margin)
        return DataLoader(draws, batch_size=None, generator=torch.Generator().manual_seed(0))


class _Draws(IterableDataset[Tensor]):
    def __init__(
        self, seed: int, part: int, epoch: int, steps: int, batch: int, size: int, margin: float
    ) -> None:
        self.seed, self.part, self.epoch, self.steps, self.batch = seed, part, epoch, steps, batch
        self.low, self.span = margin, size - 1 - 2 * margin

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(hash((self.seed, self.part, self.epoch)) % 2**31)
        self.epoch += 1
        for _ in range(self.steps):
            yield self.low + self.span * torch.rand(self.batch, 2, generator=generator)


class PainterModel(BaseModel):
    """Cross-entropy of the painted dot with the coordinate, shared bilinearly by the four pixels around it.

    Parameters
    ----------
    painter : DeCoordConv
        With ``weights=null``.
    optimizer : callable
        Gives an optimiser for parameters.
    scheduler : callable, optional
        Gives a schedule for it.
    size : int
        Side of the field, pixels.
    window : WindowSettings, optional
        Kept with every checkpoint; a painter sees no frames.
    architecture : mapping, optional
        Not needed: a painter describes itself.

    Notes
    -----
    ``val/misfit`` is the squared difference of dots and targets over the targets' own: 1 is an empty
    picture. ``val/error`` is the distance of a dot's brightest pixel from the coordinate, ``val/width`` its
    root mean square radius, pixels.
    """

    def __init__(
        self,
        painter: DeCoordConv,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
        size: int = 100,
        window: WindowSettings | None = None,
        architecture: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = painter
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.size = size
        self.window = window or WindowSettings(taps=1)

    def training_step(self, positions: Tensor, index: int) -> Tensor:
        """One step, on the pixels around each coordinate and some of the others."""
        pixels, target, weight = self._sample(positions)
        logits = self.network._logits_at(positions, pixels, (self.size, self.size)) + weight
        loss = (torch.logsumexp(logits, 1) - (target * logits).sum(1)).mean()
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(positions))
        return loss

    def validation_step(self, positions: Tensor, index: int) -> None:
        """Whole pictures."""
        size = (self.size, self.size)
        dots = torch.softmax(self.network.logits(positions, size), 1)
        target = torch.zeros_like(dots).scatter_add_(1, *_bilinear(positions, self.size))
        pixels = torch.arange(dots.shape[1], device=dots.device)
        place = torch.stack([pixels // self.size, pixels % self.size], 1).float()
        distance = torch.cdist(positions, place)
        values = {
            "loss": -(target * dots.clamp_min(1e-30).log()).sum(1).mean(),
            "misfit": (dots - target).square().sum() / target.square().sum(),
            "error": distance.gather(1, dots.argmax(1, keepdim=True)).mean(),
            "width": (dots * distance.square()).sum(1).mean().sqrt(),
        }
        named = {f"val/{name}": value for name, value in values.items()}
        self.log_dict(named, batch_size=len(positions), sync_dist=True)

    def _sample(self, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels (N, P), their targets, and the log of how many pixels each stands for."""
        count, size = len(positions), self.size
        step = torch.arange(-NEAR, NEAR + 1, device=positions.device)
        middle = positions.round().long()[:, None].clamp(NEAR, size - 1 - NEAR)
        near = middle + torch.cartesian_prod(step, step)
        far = torch.randint(size, (count, FAR, 2), device=positions.device)
        inside = ((far - middle).abs() <= NEAR).all(-1)
        outside = (~inside).sum(1, keepdim=True).clamp_min(1)
        share = ((size**2 - (2 * NEAR + 1) ** 2) / outside).log().expand(-1, FAR)
        weight = torch.cat([positions.new_zeros(near.shape[:2]), share.masked_fill(inside, -1e4)], 1)
        place = torch.cat([near, far], 1)
        share_of = (1 - (place - positions[:, None]).abs()).clamp_min(0).prod(-1)
        share_of[:, near.shape[1] :] = 0
        return place[..., 0] * size + place[..., 1], share_of, weight


def _bilinear(positions: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The four pixels around each position and their shares, (N, 4)."""
    first = positions.floor()
    part = positions - first
    pixels, shares = [], []
    for dy in (0, 1):
        for dx in (0, 1):
            corner = (first + first.new_tensor([dy, dx])).clamp(0, size - 1).long()
            pixels.append(corner[:, 0] * size + corner[:, 1])
            wy = part[:, 0] if dy else 1 - part[:, 0]
            wx = part[:, 1] if dx else 1 - part[:, 1]
            shares.append(wy * wx)
    return torch.stack(pixels, 1), torch.stack(shares, 1)
