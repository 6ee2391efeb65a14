"""What waits on disk comes back as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calcium_lightning.localize.localizations import BINS, BLOCK, StoredLocalizations
from calcium_lightning.localize.scratch import ScratchMovie, ScratchTraces
from calcium_lightning.nn.coordinates import LocalizationBatch


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 7), st.integers(1, 40), st.integers(1, 17), st.data())
def test_traces_are_the_same_by_blocks_rows_and_spans(count, length, block, data):
    values = np.random.default_rng(0).normal(size=(count, length)).astype(np.float32)
    with ScratchTraces(count, length, block) as by_block, ScratchTraces(count, length, block) as by_row:
        for start in range(0, length, block):
            by_block.write_block(start, values[:, start : start + block])
        for row in reversed(range(count)):
            by_row.write_rows(row, values[row : row + 1])
        for store in (by_block, by_row):
            assert (store.shape, len(store)) == (values.shape, count)
            np.testing.assert_array_equal(np.concatenate([part for _, part in store.blocks()], 1), values)
            index = np.array(data.draw(st.lists(st.integers(0, count - 1), max_size=9)) if count else [], int)
            np.testing.assert_array_equal(store.rows(index), values[index])
            start = data.draw(st.integers(0, length - 1))
            stop = data.draw(st.integers(start + 1, length))
            np.testing.assert_array_equal(store.frames(start, stop), values[:, start:stop])
            np.testing.assert_array_equal(
                np.concatenate([np.zeros((0, length)), *(store.rows(rows) for rows in store.groups())]),
                values,
            )


def test_a_block_that_does_not_fit_is_refused():
    with ScratchTraces(3, 10, 4) as store, pytest.raises(ValueError, match="no block"):
        store.write_block(2, np.zeros((3, 4)))


def test_groups_are_no_larger_than_memory_allows(monkeypatch):
    monkeypatch.setattr(ScratchTraces, "GROUP", 25)
    with ScratchTraces(7, 10, 4) as store:
        assert [(rows.start, rows.stop) for rows in store.groups()] == [(0, 2), (2, 4), (4, 6), (6, 7)]


def test_a_movie_is_read_as_it_was_written_but_for_half_precision():
    frames = torch.randn(23, 5, 7)
    with ScratchMovie((5, 7), block_frames=6) as movie:
        movie.append(frames[:11])
        movie.append(frames[11:])
        torch.testing.assert_close(movie.read(3, 40), frames[3:], rtol=1e-3, atol=1e-4)
        assert [start for start, _ in movie.blocks()] == [0, 6, 12, 18]


@pytest.mark.parametrize("block", [1, 4, 6, 100])
def test_sums_of_frames_are_in_units_of_their_noise_and_follow_the_movie(block):
    frames = torch.randn(23, 5, 7)
    with ScratchMovie((5, 7), block_frames=block) as movie:
        movie.append(frames)
        sums = movie.summed(3)
        assert (sums.n_frames, sums.block_frames, sums.size) == (8, block, (5, 7))
        wanted = torch.stack([part.sum(0) / len(part) ** 0.5 for part in frames.split(3)])
        torch.testing.assert_close(sums.read(0, 8), wanted, rtol=3e-3, atol=3e-3)
        assert movie.summed(3) is sums
        movie.rewrite(0, -frames)
        torch.testing.assert_close(movie.summed(3).read(0, 8), -wanted, rtol=3e-3, atol=3e-3)


def localizations(count: int, seed: int = 0) -> LocalizationBatch:
    random = np.random.default_rng(seed)
    place = torch.from_numpy(random.uniform(-0.5, [19.5, 29.5], (count, 2)).astype(np.float32))
    one = torch.ones(count)
    weight = torch.from_numpy(random.uniform(0.3, 1, count).astype(np.float32))
    frame = torch.arange(count)
    return LocalizationBatch(
        frame, place[:, 0], place[:, 1], one, weight, one[:, None], one, one, one, 2 * one
    )


def test_localisations_are_kept_in_order_and_counted_where_they_lie():
    parts = [localizations(BLOCK, 1), localizations(0), localizations(100, 2)]
    store = StoredLocalizations((20, 30)).extend(parts)
    blocks = list(store.blocks())
    assert [len(block) for block in blocks] == [BLOCK, 100]
    np.testing.assert_array_equal(blocks[1]["y"], parts[2].y)
    np.testing.assert_array_equal(blocks[1]["frame"], np.arange(100))
    np.testing.assert_array_equal(blocks[1]["x_std"], 2)
    points, weights = store.binned()
    every = np.concatenate([part.probability.numpy() for part in parts])
    assert len(points) == 20 * 30 * BINS**2  # there are a few of them in every bin
    assert weights.sum() == pytest.approx(every.sum(), rel=1e-5)
    mean = np.average(np.concatenate([part.x.numpy() for part in parts]), weights=every)
    assert np.average(points[:, 1], weights=weights) == pytest.approx(mean, abs=1e-4)


def test_a_lone_localisation_keeps_its_place_and_its_weight():
    lone = localizations(1)
    points, weights = StoredLocalizations((20, 30), every=3, keep=False).extend([lone]).binned()
    np.testing.assert_allclose(points, torch.stack([lone.y, lone.x], 1), rtol=1e-6)
    np.testing.assert_allclose(weights, 3 * lone.probability, rtol=1e-6)


def test_only_the_density_is_kept_where_that_was_asked_for():
    with pytest.raises(ValueError, match="density"):
        next(StoredLocalizations((20, 30), keep=False).extend([localizations(5)]).blocks())


def test_a_density_that_was_forgotten_is_not_asked_for():
    store = StoredLocalizations((20, 30)).extend([localizations(5)])
    store.forget_density()
    assert len(np.concatenate(list(store.blocks()))) == len(store) > 0
    with pytest.raises(ValueError, match="forgotten"):
        store.binned()
