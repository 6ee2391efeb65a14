"""Not-so-Clevr: every place on a small canvas where a square fits, split into training and held-out ones."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from calcium_lightning.core.errors import InputError
from calcium_lightning.data.dataset import Draw
from calcium_lightning.data.resumable import ResumableData
from calcium_lightning.data.sampler import BlockSampler

#: positions in a batch of which nothing is learned
EVALUATED = 64


class Split(Protocol):
    """Which positions are held out."""

    def __call__(self, positions: Tensor, generator: torch.Generator) -> Tensor:
        """Take positions (N, 2); give (N,) bool."""
        ...


def all_positions(size: int, square: int) -> Tensor:
    """Centres of all squares that fit on a canvas.

    Parameters
    ----------
    size, square : int
        Sides of the canvas and of the square, pixels; the latter odd.

    Returns
    -------
    Tensor
        (N, 2) int64: y, x in pixels, in reading order.
    """
    if not 0 < square < size or square % 2 == 0:
        raise InputError(f"data.square={square}: an odd number below data.size={size}")
    margin = square // 2
    side = torch.arange(margin, size - margin)
    return torch.cartesian_prod(side, side)


def hold_out_share(positions: Tensor, generator: torch.Generator, share: float = 0.2) -> Tensor:
    """Hold out positions at random: those in between were seen.

    Parameters
    ----------
    positions : Tensor
        (N, 2).
    generator : torch.Generator
        Draws them.
    share : float
        Of all.

    Returns
    -------
    Tensor
        (N,) bool.
    """
    if not 0 < share < 1:
        raise InputError(f"data.validation={share}: a share of the positions, above 0 and below 1")
    held_out = torch.zeros(len(positions), dtype=torch.bool)
    held_out[torch.randperm(len(positions), generator=generator)[: round(share * len(positions))]] = True
    return held_out


def hold_out_quadrant(positions: Tensor, generator: torch.Generator) -> Tensor:
    """Hold out the quadrant of greatest y and x: nothing near it was seen.

    Parameters
    ----------
    positions : Tensor
        (N, 2).
    generator : torch.Generator
        Not needed.

    Returns
    -------
    Tensor
        (N,) bool.
    """
    middle = positions.float().mean(0)
    return (positions > middle).all(1)


class NotSoClevr(ResumableData):
    """Batches of positions; what is asked of them, the task makes on the fly.

    Parameters
    ----------
    split : callable
        Tells which positions are held out.
    size, square : int
        Sides of the canvas and of the square, pixels.
    batch_size : int
        Positions in a step, over all processes.
    validation : float
        Above 0; the share that is held out, where the split leaves it open.
    seed : int
        Of the split and of the order.
    sessions : None
        There are none; the key is that of the other data.

    Attributes
    ----------
    training, held_out : Tensor
        (N, 2) int64: y, x in pixels.

    Raises
    ------
    InputError
        For squares that don't fit, and in ``train_dataloader`` for batches that the processes can't share.
    """

    #: its samplers give each process its share
    knows_ranks = True

    def __init__(
        self,
        split: Split,
        size: int = 64,
        square: int = 9,
        batch_size: int = 16,
        validation: float = 0.2,
        seed: int = 0,
        sessions: None = None,
    ) -> None:
        super().__init__()
        if not callable(split):
            raise InputError("split=none: places must be held out; split=uniform or split=quadrant")
        positions = all_positions(size, square)
        held_out = split(positions, torch.Generator().manual_seed(seed))
        self.training, self.held_out = positions[~held_out], positions[held_out]
        self.batch_size = batch_size
        self.seed = seed

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Training positions in an endless shuffled stream."""
        rank, world_size = self.ranks
        if self.batch_size < 1 or self.batch_size % world_size:
            raise InputError(f"data.batch_size={self.batch_size}: a multiple of {world_size} processes")
        sampler = BlockSampler(
            len(self.training), self.batch_size, seed=self.seed, rank=rank, world_size=world_size
        )
        sampler.seek(self.position)
        return self._loader(_Positions(self.training), sampler)

    def val_dataloader(self) -> list[DataLoader[Tensor]]:
        """All held-out positions, and all training positions."""
        rank, world_size = self.ranks
        parts = (self.held_out, self.training)
        batches: list[Any] = [part[rank::world_size].split(EVALUATED) for part in parts]
        return [self._loader(part) for part in batches]

    def _loader(self, dataset: Any, sampler: Any = None) -> DataLoader[Tensor]:
        generator = torch.Generator().manual_seed(self.seed)  # leave the global one alone
        return DataLoader(dataset, batch_size=None, sampler=sampler, generator=generator)


class _Positions(Dataset[Tensor]):
    def __init__(self, positions: Tensor) -> None:
        self.positions = positions

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, draws: list[Draw]) -> Tensor:
        return self.positions[[number for number, _ in draws]]
