"""One cell or two: what their activity says."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.planted import calcium, stored

from calcium_lightning.localize.activity import Kernel
from calcium_lightning.localize.deconvolution import SessionActivity
from calcium_lightning.localize.merge import Merger, MergeSettings

FPS, LENGTH = 20.0, 1200
BRIGHT, OTHER = 10 * calcium(2, LENGTH, FPS, rate_hz=0.15, seed=1)[0]


def activity(traces: np.ndarray) -> SessionActivity:
    store = stored(traces, 128)
    return SessionActivity(store, store, np.ones(len(traces)), np.square(traces).sum(1), Kernel(0.06, 0.5))


def judged(
    *traces: np.ndarray, apart: float = 3.5, last: bool = True, plain: bool = False, **how: float
) -> list[bool]:
    stack = np.stack(traces).astype(np.float32)
    centers = np.array([[20.0, 20 + apart * k] for k in range(len(stack))])
    alive = np.ones(len(stack), bool)
    return Merger(FPS, MergeSettings(**how), plain).duplicates(centers, activity(stack), alive, last).tolist()


def only_while(lit: np.ndarray, seed: int = 5) -> np.ndarray:
    """Something that changes on its own, seen only while something else is lit."""
    return 0.5 * lit * np.random.default_rng(seed).choice([0, 1], LENGTH // 10).repeat(10)


@pytest.mark.parametrize("last", [False, True])
def test_cells_with_events_of_their_own_stay_two(last):
    assert judged(BRIGHT, 0.3 * OTHER, last=last) == [False, False]
    assert judged(0.3 * OTHER, BRIGHT, last=last) == [False, False]


@pytest.mark.parametrize("last", [False, True])
def test_what_rises_together_is_one_and_the_stronger_stays(last):
    assert judged(BRIGHT, 0.8 * BRIGHT + 0.1 * OTHER, last=last) == [False, True]
    assert judged(0.8 * BRIGHT + 0.1 * OTHER, BRIGHT, last=last) == [True, False]
    assert judged(BRIGHT, 0.8 * BRIGHT, apart=9, last=last) == [False, False]


def test_what_falls_when_the_other_rises_is_one():
    sway = 4 * np.random.default_rng(3).choice([-1.0, 1.0], LENGTH // 20).repeat(20)
    up, down = np.maximum(sway, 0), np.maximum(-sway, 0)
    assert judged(up, 0.8 * down) == [False, True]
    assert judged(up, 0.8 * down, last=False) == [False, False]
    assert judged(BRIGHT + up, 0.3 * BRIGHT + 0.8 * down, opposed=1) == [False, False]


def test_two_that_are_slow_fall_and_rise_by_chance():
    """A minute in which each is lit once, not at the same time, tells nothing of the one by the other."""
    first, second = np.zeros(LENGTH), np.zeros(LENGTH)
    first[: LENGTH // 2], second[LENGTH // 2 :] = 4, 4
    assert np.corrcoef(first, second)[0, 1] < -0.9
    assert judged(first, 0.8 * second) == [False, False]


def test_what_is_seen_only_while_another_is_lit_is_a_piece_of_it():
    shadow = only_while(BRIGHT)
    assert shadow.any()
    assert judged(BRIGHT, shadow) == [False, True]
    assert np.corrcoef(BRIGHT, shadow)[0, 1] < 0.8
    assert judged(BRIGHT, shadow, events=0, together=1) == [False, False]
    assert judged(BRIGHT, shadow, apart=5) == [False, False]


@pytest.mark.parametrize("apart", [0.7, 1.2, 3.5])
def test_in_plain_recordings_pieces_share_activity_and_what_does_not_is_a_cell(apart):
    lit_with_it = only_while(BRIGHT)
    piece = 0.5 * lit_with_it + 0.5 * BRIGHT
    assert np.corrcoef(BRIGHT, lit_with_it)[0, 1] < 0.7 < np.corrcoef(BRIGHT, piece)[0, 1]
    assert judged(BRIGHT, lit_with_it, apart=apart, plain=True) == [False, False]
    assert judged(BRIGHT, piece, apart=apart, plain=True) == [False, True]
    assert judged(BRIGHT, lit_with_it, apart=apart) == [False, True]
    assert judged(BRIGHT, lit_with_it, apart=0.4, plain=True) == [False, True]


def own_events(count: int) -> np.ndarray:
    """So many events, a second each, while ``BRIGHT`` is dark."""
    dark = np.flatnonzero(np.square(BRIGHT).reshape(-1, int(FPS)).sum(1) < 0.001 * np.square(BRIGHT).sum())
    trace = np.zeros(LENGTH)
    for second in dark[:: len(dark) // count][:count]:
        trace[int(FPS) * second : int(FPS) * (second + 1)] = 2
    return trace


def test_in_plain_recordings_what_has_events_of_its_own_is_a_cell_however_alike_the_rest_is():
    for number, plain, one in ((3, True, False), (2, True, True), (3, False, True)):
        neighbour = 0.8 * BRIGHT + own_events(number)
        assert np.corrcoef(BRIGHT, neighbour)[0, 1] > 0.8
        assert judged(BRIGHT, neighbour, plain=plain) == [False, one]


def test_in_plain_recordings_cells_must_be_more_alike_to_be_one_and_are_not_asked_again_at_the_end():
    eased = MergeSettings().eased()
    alike = BRIGHT + 0.8 * OTHER
    assert MergeSettings().near_correlation < np.corrcoef(BRIGHT, alike)[0, 1] < eased.near_correlation
    for settings, one in ((MergeSettings(), True), (eased, False)):
        how = {"near_correlation": settings.near_correlation}
        assert any(judged(BRIGHT, alike, apart=2.5, last=False, plain=True, **how)) == one
    assert eased.rounds == 0 < MergeSettings().rounds
    assert MergeSettings(near_correlation=0.9).eased().near_correlation == 0.9


def test_the_closer_two_are_the_more_events_of_its_own_one_needs_and_in_plain_recordings_fewer():
    alone = np.flatnonzero(np.square(BRIGHT).reshape(-1, 20).sum(1) < 0.01)
    flashes = np.zeros((LENGTH // 20, 20))
    flashes[alone[[0, -1]], 5:15] = 5
    weaker = 0.5 * only_while(BRIGHT) + flashes.ravel()
    assert judged(BRIGHT, weaker, apart=2.1) == [False, False]
    assert judged(BRIGHT, weaker, apart=1.9) == [False, True]
    eased = MergeSettings().eased().close
    assert judged(BRIGHT, weaker, apart=1.9, close=eased) == [False, False]
    assert judged(BRIGHT, weaker, apart=1.3, close=eased) == [False, True]


def test_where_video_was_squeezed_half_a_cell_is_close_and_needs_twice_as_many_events_of_its_own():
    alone = np.flatnonzero(np.square(BRIGHT).reshape(-1, 20).sum(1) < 0.01)
    strict = MergeSettings().strict()
    squeezed = {"close": strict.close, "close_events": strict.close_events}
    for count, one in ((4, True), (9, False)):
        flashes = np.zeros((LENGTH // 20, 20))
        flashes[alone[np.linspace(0, len(alone) - 1, count).astype(int)], 5:15] = 5
        weaker = 0.5 * only_while(BRIGHT) + flashes.ravel()
        assert judged(BRIGHT, weaker, apart=2.9) == [False, False]
        assert judged(BRIGHT, weaker, apart=2.9, **squeezed) == [False, one]
        assert judged(BRIGHT, weaker, apart=3.1, **squeezed) == [False, False]


def test_half_a_cell_apart_is_not_close_however_far_localisations_scatter():
    usual = MergeSettings()
    assert usual.wider(1.3).close == pytest.approx(1.3 * usual.close)
    assert usual.wider(2.5).close == usual.wider(9).close == 3.0
    assert MergeSettings(close=4).wider(1.3).close == 4  # as it was asked for


def test_a_cell_with_few_events_may_have_them_with_another():
    """One or two could fall on a neighbour's by chance; eight couldn't."""
    lit = np.flatnonzero(np.square(BRIGHT).reshape(-1, 20).sum(1) > 20)
    for count, merged in ((1, False), (2, False), (8, True)):
        flashes = np.zeros((LENGTH // 20, 20))
        flashes[lit[: 2 * count : 2], 5:15] = 5
        assert judged(BRIGHT, flashes.ravel()) == [False, merged]


def test_a_dropped_cell_drops_nobody():
    """The middle one is a piece of the first; the last, a piece of the middle one alone, stays."""
    chain = 2 * BRIGHT, 0.9 * BRIGHT + 0.5 * OTHER, 0.75 * OTHER + 0.25 * BRIGHT
    assert judged(*chain, correlation=0.5, last=False, near_correlation=1) == [False, True, False]


def test_those_not_alive_are_not_asked():
    stack = np.stack([BRIGHT, 0.9 * BRIGHT]).astype(np.float32)
    centers = np.array([[20.0, 20.0], [20.0, 22.0]])
    for alive in ([True, False], [False, True], [False, False]):
        found = Merger(FPS).duplicates(centers, activity(stack), np.array(alive), True)
        assert not found.any()
