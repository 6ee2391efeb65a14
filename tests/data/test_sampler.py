from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from calcium_lightning.data.sampler import BlockSampler


def epochs(sampler, count):
    for epoch in range(count):
        sampler.set_epoch(epoch)
        yield list(sampler)


@given(
    st.integers(1, 30),
    st.integers(1, 6),
    st.sampled_from([None, 1, 5]),
    st.sampled_from([1, 2, 3]),
    st.booleans(),
)
def test_ranks_share_the_stream_of_one_process(count, batch, steps, world, shuffle):
    whole = BlockSampler(count, batch * world, steps, seed=1, shuffle=shuffle)
    shares = [
        BlockSampler(count, batch * world, steps, seed=1, shuffle=shuffle, rank=r, world=world)
        for r in range(world)
    ]
    for one, *parts in zip(epochs(whole, 3), *(epochs(share, 3) for share in shares), strict=True):
        assert all(len(part) == len(one) == len(whole) for part in parts)
        for place, draws in enumerate(one):
            ours = [draw for group in zip(*(part[place] for part in parts), strict=True) for draw in group]
            assert ours == draws


@given(st.integers(1, 30), st.integers(1, 6), st.sampled_from([None, 1, 7]))
def test_every_block_comes_once_before_any_comes_again(count, batch, steps):
    stream = [
        draw[0] for epoch in epochs(BlockSampler(count, batch, steps), 9) for draws in epoch for draw in draws
    ]
    for turn in range(len(stream) // count):
        assert sorted(stream[turn * count : (turn + 1) * count]) == list(range(count))
    times = Counter(stream)
    assert max(times.values()) - min(times.values()) <= 1 or len(times) < count


@given(st.integers(1, 20), st.integers(1, 4), st.integers(0, 40))
def test_seeking_goes_on_where_the_stream_was(count, batch, position):
    stream = [draws for epoch in epochs(BlockSampler(count, batch, 5), 9) for draws in epoch]
    resumed = BlockSampler(count, batch, 5)
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
