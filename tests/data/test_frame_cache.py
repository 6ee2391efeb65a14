import pickle
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from calcium_lightning.data.frame_cache import FrameCache
from calcium_lightning.data.splits import Block, equal_blocks


@dataclass
class Counting:
    """Frames that hold their own number, and how often each was read."""

    n_frames: int
    chunk_frames: int
    size: tuple[int, int] = (2, 3)
    read: Counter = field(default_factory=Counter)
    dtype = np.dtype(np.uint16)

    def read_into(self, start, out):
        assert start % self.chunk_frames == 0
        self.read.update(range(start, start + len(out)))
        out.copy_(torch.arange(start, start + len(out))[:, None, None].expand(out.shape))

    def detached(self):
        return Counting(self.n_frames, self.chunk_frames)


def looked_at(block, margin, length):
    return max(0, block.start - margin), min(length, block.start + block.count + margin)


@given(st.integers(1, 200), st.integers(1, 20), st.integers(0, 15), st.integers(1, 9), st.integers(1, 40))
def test_frames_are_those_of_the_file_and_read_once_in_order(length, count, margin, chunk, least):
    source = Counting(length, chunk)
    blocks = equal_blocks(0, range(length), count)
    cache = FrameCache([source], blocks, [margin], least)
    for block in blocks:
        start, stop = looked_at(block, margin, length)
        assert cache.frames(0, start, stop)[:, 1, 2].tolist() == list(range(start, stop))
    assert source.read == Counter(range(length))
    numbers = cache.numbers(blocks)
    assert numbers == sorted(numbers)


@given(st.integers(20, 200), st.integers(1, 4), st.randoms(use_true_random=False))
def test_any_order_and_capacity_gives_the_same(length, capacity, random):
    source = Counting(length, 5)
    blocks = equal_blocks(0, range(length), 8)
    cache = FrameCache([source, Counting(30, 4)], [*blocks, Block(1, 3, 8)], [6, 2], 10, capacity)
    random.shuffle(blocks)
    kept = []
    for block in blocks:
        start, stop = looked_at(block, 6, length)
        kept.append((start, stop, cache.frames(0, start, stop)))
        assert cache.frames(1, 1, 13)[:, 0, 0].tolist() == list(range(1, 13))
    for start, stop, frames in kept:  # views stay what they were when their segment is forgotten
        assert frames[:, 0, 0].tolist() == list(range(start, stop))


def test_memory_is_used_again():
    blocks = equal_blocks(0, range(400), 8)
    cache = FrameCache([Counting(400, 8)], blocks, [4], 16)
    places = {cache.frames(0, *looked_at(block, 4, 400)).untyped_storage().data_ptr() for block in blocks}
    assert len(places) <= 4


def test_a_copy_and_a_detached_cache_are_empty():
    cache = FrameCache([Counting(40, 8)], [Block(0, 0, 8)], [4], 16)
    cache.frames(0, 0, 12)
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.frames(0, 0, 12)[:, 0, 0].tolist() == list(range(12))
    assert copy.sources[0].read[0] == 2  # its own count went on
    cache.detach()
    assert not cache.sources[0].read
    cache.frames(0, 0, 12)
    assert cache.sources[0].read[0] == 1
