import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcium_lightning.core.errors import InputError
from calcium_lightning.data.splits import equal_blocks, segment_blocks, split_in_time


def looked_at(frames: range, span: int) -> set[int]:
    margin = span // 2
    return {t + shift for t in frames for shift in range(-margin, margin + 1)}


@given(
    st.integers(1, 400),
    st.integers(0, 20).map(lambda n: 2 * n + 1),
    st.sampled_from([0.0, 0.1, 0.4]),
    st.sampled_from([0.0, 0.1, 0.5]),
)
def test_no_frame_is_looked_at_from_two_parts(n_frames, span, validation, test):
    try:
        splits = split_in_time(n_frames, span, validation, test)
    except InputError:
        assert n_frames < max(span, 1 + (span) * ((validation > 0) + (test > 0)))
        return
    parts = [splits.train, splits.validation, splits.test]
    assert len(splits.train) >= 1
    assert bool(splits.validation) == (validation > 0)
    assert bool(splits.test) == (test > 0)
    seen = [looked_at(part, span) for part in parts]
    assert sum(map(len, seen)) == len(set.union(*seen))
    used = sum(len(part) for part in parts)
    gaps = (span - 1) * ((validation > 0) + (test > 0))
    assert used + gaps == n_frames
    assert all(0 <= t < n_frames for part in parts for t in part)


def test_a_session_shorter_than_a_window_is_named():
    with pytest.raises(InputError, match=r"a\.h5: 20 frames are too few for windows of 23 frames"):
        split_in_time(20, 23, where="a.h5")


@given(st.integers(0, 100), st.integers(0, 200), st.integers(1, 40))
def test_equal_blocks_cover_a_range(start, length, count):
    blocks = equal_blocks(3, range(start, start + length), count)
    covered = [t for block in blocks for t in range(block.start, block.start + block.count)]
    assert set(covered) == set(range(start, start + length))
    assert all(block.session == 3 and block.count == min(count, length) for block in blocks)
    assert len(covered) - len(set(covered)) < max(1, min(count, length))


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 8), st.integers(0, 12), st.integers(1, 20))
def test_segment_blocks_cover_a_session_once_and_wait_for_one_unit(length, count, chunk, margin, chunks):
    segment = max(chunk * chunks, 2 * margin + 1)
    blocks = segment_blocks(2, length, count, segment, margin)
    assert [t for block in blocks for t in range(block.start, block.start + block.count)] == [*range(length)]
    assert all(block.session == 2 and block.count <= count for block in blocks)
    for block in blocks:
        first, last = (min(length - 1, t + margin) for t in (block.start, block.start + block.count - 1))
        assert first // segment == last // segment
