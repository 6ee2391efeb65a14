from collections import Counter, OrderedDict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calcium_lightning.data.sampler import HELD, STRIPES, BlockSampler


def epochs(sampler, count):
    for epoch in range(count):
        sampler.set_epoch(epoch)
        yield list(sampler)


def units_of(count: int, size: int | None) -> list[int] | None:
    """Blocks in segments of ``size``, or no segments."""
    return None if size is None else [block // size for block in range(count)]


UNITS = st.sampled_from([None, 1, 3, 8])


@given(
    st.integers(1, 30),
    st.integers(1, 6),
    st.sampled_from([None, 1, 5]),
    st.sampled_from([1, 2, 3]),
    st.booleans(),
    UNITS,
)
def test_ranks_share_the_stream_of_one_process(count, batch, steps, world_size, shuffle, size):
    options = {"seed": 1, "shuffle": shuffle, "segments": units_of(count, size)}
    whole = BlockSampler(count, batch * world_size, steps, **options)
    shares = [
        BlockSampler(count, batch * world_size, steps, rank=r, world_size=world_size, **options)
        for r in range(world_size)
    ]
    for one, *parts in zip(epochs(whole, 3), *(epochs(share, 3) for share in shares), strict=True):
        assert all(len(part) == len(one) == len(whole) for part in parts)
        for place, draws in enumerate(one):
            ours = [draw for group in zip(*(part[place] for part in parts), strict=True) for draw in group]
            assert ours == draws


@given(st.integers(1, 30), st.integers(1, 6), st.sampled_from([None, 1, 7]), UNITS)
def test_every_block_comes_once_before_any_comes_again(count, batch, steps, size):
    sampler = BlockSampler(count, batch, steps, segments=units_of(count, size))
    stream = [draw[0] for epoch in epochs(sampler, 9) for draws in epoch for draw in draws]
    for turn in range(len(stream) // count):
        assert sorted(stream[turn * count : (turn + 1) * count]) == list(range(count))
    times = Counter(stream)
    assert max(times.values()) - min(times.values()) <= 1 or len(times) < count


@given(st.integers(1, 20), st.integers(1, 4), st.integers(0, 40), UNITS)
def test_seeking_goes_on_where_the_stream_was(count, batch, position, size):
    segments = units_of(count, size)
    stream = [
        draws for epoch in epochs(BlockSampler(count, batch, 5, segments=segments), 9) for draws in epoch
    ]
    resumed = BlockSampler(count, batch, 5, segments=segments)
    resumed.seek(position)
    resumed.set_epoch(position // 5)
    assert list(resumed) == stream[position : (position // 5 + 1) * 5]


@given(st.integers(1, 50), st.integers(1, 6), st.sampled_from([None, 2]))
def test_held_out_blocks_are_the_same_every_time_and_spread(count, batch, steps):
    sampler = BlockSampler(count, batch, steps, shuffle=False)
    first, second = list(epochs(sampler, 2))
    assert first == second
    chosen = [draw[0] for draws in first for draw in draws]
    assert all(0 <= block < count for block in chosen)
    if steps is None:
        assert set(chosen) == set(range(count))
    else:
        assert len(set(chosen)) == min(count, len(chosen))


def test_seeds_differ():
    assert list(BlockSampler(20, 4, seed=1)) != list(BlockSampler(20, 4, seed=2))


def loads(draws: list[int], segments: list[int], held: int) -> Counter[int]:
    """How often each segment is loaded where the last ``held`` are kept, each after the one before it."""
    kept: OrderedDict[int, None] = OrderedDict()
    loaded: Counter[int] = Counter()
    for draw in draws:
        for segment in (segments[draw] - 1, segments[draw]):
            if segment not in kept and segment >= 0:
                loaded[segment] += 1
            kept[segment] = None
            kept.move_to_end(segment)
        while len(kept) > held:
            kept.popitem(last=False)
    return loaded


@given(st.integers(1, 60), st.integers(1, 8), st.integers(8, 20), st.integers(1, 99), st.integers(0, 3))
def test_a_turn_loads_each_unit_once(batches, batch, size, capacity, turn):
    count = batches * batch
    segments = units_of(count, size)
    sampler = BlockSampler(count, batch, segments=segments, capacity=capacity, seed=capacity)
    sampler.set_epoch(turn)
    order = [draw[0] for draws in sampler for draw in draws]
    assert sorted(order) == list(range(count))
    assert sampler.held <= max(STRIPES * HELD, capacity)
    assert set(loads(order, segments, sampler.held).values()) == {1}


def test_workers_and_ranks_load_different_units():
    count, batch, segments = 4000, 4, units_of(4000, 8)
    drawn = []
    for rank in (0, 1):
        sampler = BlockSampler(count, batch, segments=segments, rank=rank, world_size=2)
        batches = [{segments[draw[0]] for draw in draws} for draws in sampler]
        drawn += [set().union(*batches[worker::2]) for worker in (0, 1)]
    assert len(set().union(*drawn)) == 500
    # Where one's part ends and another's begins, both need the segment.
    assert sum(map(len, drawn)) <= 500 + sampler.lanes


def test_a_batch_is_drawn_from_places_far_apart():
    segments = units_of(4000, 8)
    sampler = BlockSampler(4000, 8, segments=segments)
    for draws in sampler:
        blocks = sorted(draw[0] for draw in draws)
        assert max(np.diff(blocks)) < 2 * 4000 / 8
        assert blocks[-1] - blocks[0] > 4000 / 2


def test_turns_differ():
    sampler = BlockSampler(64, 4, segments=units_of(64, 8))
    one, two = ([draw[0] for draws in epoch for draw in draws] for epoch in epochs(sampler, 2))
    assert one != two
