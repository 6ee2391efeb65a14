"""Which blocks make which batch, on every rank, and where to go on after a break.

Knows numbers only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from calcium_lightning.data.dataset import Draw

#: batches in a row that share no segment of reading: as many workers read disjoint parts of the files (a
#: divisor or a multiple of it does well)
STRIPES = 4
#: places in the files from which one batch is drawn, at most
PLACES = 8

#: segments that a lane holds: where it is, the segment before for its last frames, and the one that it comes
#: from
HELD = 3


class BlockSampler(Sampler[list[Draw]]):
    """An endless shuffled stream of blocks, cut into epochs of ``steps`` batches.

    The stream runs through all blocks once before any comes again, in a new order each time, and goes on from
    epoch to epoch. It is the same whatever the number of ranks: of each global batch, rank r takes every
    ``world_size``-th block. So all ranks take equally many steps, and a run on two processes sees what a run
    on one does.

    With ``segments``, blocks are shuffled so that each segment of reading is needed once and then never again
    in a turn: batches are drawn from several *lanes*, far apart in the recordings, each of which goes through
    its part segment by segment, the blocks of a segment in random order. Ranks, and workers that take batches
    in turn, have lanes of their own. Where lanes begin differs from turn to turn.

    Parameters
    ----------
    count : int
        Number of blocks.
    batch : int
        Blocks in a global batch; a multiple of ``world_size``.
    steps : int, optional
        Batches in an epoch; default: as many as go through all blocks once, at least one.
    seed : int
        Of order and augmentation.
    shuffle : bool
        Otherwise blocks are spread evenly over the list, the same in every epoch.
    rank, world_size : int
        This process, and how many there are.
    segments : sequence of int, optional
        For each block the number of its segment; blocks of a segment are neighbours in the list, and so are
        segments in a file. Default: shuffle without regard to reading.
    capacity : int
        Segments that can be held at a time: decides the number of lanes, of which there are never fewer than
        :data:`STRIPES`.
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
        world_size: int = 1,
        segments: Sequence[int] | None = None,
        capacity: int = STRIPES * PLACES * HELD,
    ) -> None:
        if count < 1 or batch % world_size:
            raise ValueError(f"{count} blocks, {batch} in a batch, {world_size} processes")
        self.count = count
        self.batch = batch
        self.steps = steps or max(1, count // batch if shuffle else -(-count // batch))
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.position = 0
        self.segments = None if segments is None else np.asarray(segments)
        most = min(PLACES, max(1, capacity // (STRIPES * HELD)))
        self.places = max(number for number in range(1, most + 1) if batch % number == 0)

    @property
    def lanes(self) -> int:
        """Places in the recordings that a turn goes on from at the same time."""
        return STRIPES * self.places

    @property
    def held(self) -> int:
        """Segments to be held so that none is read twice in a turn; one where blocks come in order."""
        return HELD * self.lanes if self.shuffle else 1

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
            places = range(number * self.batch + self.rank, (number + 1) * self.batch, self.world_size)
            shuffled = int(self.shuffle)
            yield [
                (block, (self.seed, shuffled, place))
                for block, place in zip(self._blocks(places), places, strict=True)
            ]

    def _blocks(self, places: range) -> list[int]:
        where = np.arange(places.start, places.stop, places.step)
        if not self.shuffle:
            total = self.steps * self.batch
            # Evenly spread where not all are wanted; from the beginning again where there are too few.
            return (where * self.count // total if total < self.count else where % self.count).tolist()
        turn = where // self.count
        parts = [self._order(t)[where[turn == t] % self.count] for t in range(turn[0], turn[-1] + 1)]
        return np.concatenate(parts).tolist()

    def _order(self, turn: int) -> np.ndarray:
        cached = getattr(self, "_cached", None)
        if cached is None or cached[0] != turn:
            random = np.random.default_rng((self.seed, turn))
            if self.segments is None:
                order = random.permutation(self.count)
            else:
                order = self._laned(turn, self.segments, random)
            self._cached = (turn, order)
        return self._cached[1]

    def _laned(self, turn: int, segments: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The blocks of a turn, shuffled within segments, dealt to the lanes."""
        line = np.lexsort((random.random(self.count), segments))
        line = np.roll(line, random.integers(self.count))
        place = turn * self.count + np.arange(self.count)
        # A batch's lanes lie far apart, and so do those of the next.
        lane = place % self.batch % self.places * STRIPES + place // self.batch % STRIPES
        ends = np.bincount(lane, minlength=self.lanes).cumsum()
        parts = np.split(line, ends[:-1])
        # Every other lane runs backwards: neighbours begin or end at the same time where they meet, and what
        # both need there is read once.
        parts = [part[::-1] if number % 2 else part for number, part in enumerate(parts)]
        order = np.empty_like(line)
        order[np.argsort(lane, kind="stable")] = np.concatenate(parts)
        return order
