"""Which blocks make which batch, on every rank, and where to go on after a break.

Knows numbers only.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from calcium_lightning.data.dataset import Draw


class BlockSampler(Sampler[list[Draw]]):
    """An endless shuffled stream of blocks, cut into epochs of ``steps`` batches.

    The stream runs through all blocks once before any comes again, in a new order each time, and goes on from
    epoch to epoch. It is the same whatever the number of ranks: of each global batch, rank r takes every
    ``world``-th block. So all ranks take equally many steps, and a run on two processes sees what a run on
    one does.

    Parameters
    ----------
    count : int
        Number of blocks.
    batch : int
        Blocks in a global batch; a multiple of ``world``.
    steps : int, optional
        Batches in an epoch; default: as many as go through all blocks once, at least one.
    seed : int
        Of order and augmentation.
    shuffle : bool
        Otherwise blocks are spread evenly over the list, the same in every epoch.
    rank, world : int
        This process, and how many there are.
    """

    def __init__(
        self,
        count: int,
        batch: int,
        steps: int | None = None,
        *,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if count < 1 or batch % world:
            raise ValueError(f"{count} blocks, {batch} in a batch, {world} processes")
        self.count = count
        self.batch = batch
        self.steps = steps or max(1, count // batch if shuffle else -(-count // batch))
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world = world
        self.position = 0

    def __len__(self) -> int:
        return self.steps

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch, unless the stream stands in the middle of it already (Lightning calls it)."""
        if self.position // self.steps != epoch:
            self.position = epoch * self.steps

    def seek(self, position: int) -> None:
        """Go on after ``position`` batches of the whole run."""
        self.position = position

    def __iter__(self) -> Iterator[list[Draw]]:
        begin = self.position
        end = (begin // self.steps + 1) * self.steps if self.shuffle else self.steps
        if not self.shuffle:
            begin = 0
        for number in range(begin, end):
            places = range(number * self.batch + self.rank, (number + 1) * self.batch, self.world)
            yield [(self._block(place), (self.seed, int(self.shuffle), place)) for place in places]

    def _block(self, place: int) -> int:
        if not self.shuffle:
            total = self.steps * self.batch
            # Evenly spread where not all are wanted; from the beginning again where there are too few.
            return place * self.count // total if total < self.count else place % self.count
        turn, index = divmod(place, self.count)
        return int(self._order(turn)[index])

    def _order(self, turn: int) -> np.ndarray:
        cached = getattr(self, "_cached", None)
        if cached is None or cached[0] != turn:
            self._cached = (turn, np.random.default_rng((self.seed, turn)).permutation(self.count))
        return self._cached[1]
