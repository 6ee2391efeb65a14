"""Decisions about who is who, taken over to tracks of more days: by the cells that they were about."""

from __future__ import annotations

import numpy as np
import pytest

from calcium_lightning.core.decisions import Undo
from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.core.links import Link, LinkedTracks
from calcium_lightning.core.tracks import TrackedSession, Tracks
from calcium_lightning.tracking.taken_over import take_over


def tracks_of(*cell: tuple[int, ...]) -> Tracks:
    members = np.array(cell, np.int32)
    sessions = tuple(
        TrackedSession(
            name=f"day{n}", path="", sha256=f"{n}", frame_shape=(64, 80), cells=9, used=9,
            transform=FieldTransform.identity(), residual_px=0.3, agreement=50.0, chance=5.0,
        )
        for n in range(members.shape[1])
    )  # fmt: skip
    share = np.where(members >= 0, 1, np.nan).astype(np.float32)
    return Tracks(cell=members, probability=share, sessions=sessions, reference=0)


def taken(before: LinkedTracks, now: Tracks, sessions=None):
    found = take_over(before, now, sessions or {0: (0, range(9)), 1: (1, range(9))})
    LinkedTracks.of(now, found.linked.log)  # the log is one of these tracks
    return sorted(map(tuple, found.linked.tracks.cell.tolist())), found


#: (first day, second day)
THEN = LinkedTracks.of(tracks_of((0, 0), (1, 1), (2, -1), (-1, 2)))


def test_what_was_joined_is_joined_and_what_was_set_apart_is_apart() -> None:
    before = THEN.decide(Link("apart", 1, 0), "ann").decide(Link("join", 1, 2, 1 + 1), "ann")
    cells, found = taken(before, tracks_of((0, 0, 5), (1, 1, 6), (2, -1, 7), (-1, 2, -1)))
    assert cells == [(-1, 0, -1), (0, -1, 5), (1, 1, 6), (2, 2, 7)]
    assert found.taken == 2
    assert not found.lost
    assert [entry.who for entry in found.linked.log] == ["ann", "ann"]
    assert [entry.when for entry in found.linked.log] == [entry.when for entry in before.log]


def test_what_stands_in_the_way_of_a_joined_cell_is_set_apart() -> None:
    before = THEN.decide(Link("join", 1, 2, 2))
    cells, _ = taken(before, tracks_of((2, 8, 7), (0, 0, 5), (-1, 2, 6)))
    assert cells == [(-1, -1, 6), (-1, 8, -1), (0, 0, 5), (2, 2, 7)]


def test_set_apart_is_from_the_cells_of_then_and_no_others() -> None:
    cells, found = taken(THEN.decide(Link("apart", 1, 0)), tracks_of((0, -1, 5), (-1, 0, 6)))
    assert cells == [(-1, 0, 6), (0, -1, 5)]
    assert found.taken == 1


def test_what_is_confirmed_is_with_its_cells_again() -> None:
    before = THEN.decide(Link("confirm", 1, 1))
    cells, found = taken(before, tracks_of((1, -1, 3), (-1, 1, -1), (0, 0, 0)))
    assert cells == [(0, 0, 0), (1, 1, 3)]
    assert found.linked.tracks.decided is not None
    assert found.linked.tracks.decided.sum() == 1


def test_what_was_undone_is_not_taken_over() -> None:
    before = THEN.decide(Link("apart", 1, 0)).decide(Undo())
    cells, found = taken(before, tracks_of((0, 0, 5)))
    assert (cells, found.taken, found.lost) == ([(0, 0, 5)], 0, ())


@pytest.mark.parametrize(
    ("sessions", "words"),
    [
        ({0: (0, range(9))}, "cell 2 of day1 is not among"),
        ({1: (1, range(9))}, "joined to cells that are not"),
    ],
)
def test_what_has_lost_its_cells_is_said(sessions, words: str) -> None:
    now = tracks_of((0, 0, 5), (2, -1, 7), (-1, 2, -1))
    cells, found = taken(THEN.decide(Link("join", 1, 2, 2)), now, sessions)
    assert cells == sorted(map(tuple, now.cell.tolist()))
    assert found.taken == 0
    assert words in str(found)


def test_days_may_come_in_another_order() -> None:
    before = THEN.decide(Link("apart", 1, 0))
    cells, _ = taken(before, tracks_of((0, 5, 0), (1, 6, 1)), {0: (2, range(9)), 1: (0, range(9))})
    assert cells == [(-1, 5, 0), (0, -1, -1), (1, 6, 1)]
