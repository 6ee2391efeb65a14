"""The log of decisions: what is in force, what it amounts to, and that it survives being written down."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcium_lightning.core.decisions import (
    Action,
    Draw,
    Entry,
    Label,
    Merge,
    Note,
    Redo,
    Split,
    Undo,
    Verdict,
    action_of,
    entry_of,
    in_force,
    to_redo,
)
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.standing import Standing, check_next

AUTOMATIC = np.array([True, True, False, False])


def log_of(*actions: Action) -> tuple[Entry, ...]:
    return tuple(
        Entry(n, "Ada", f"2026-01-01T00:00:{n:02}Z", "1", action) for n, action in enumerate(actions, 1)
    )


def test_a_verdict_stands_above_that_of_the_tests():
    standing = Standing.of(
        AUTOMATIC, log_of(Verdict((2,), True), Verdict((0, 1), False), Verdict((1,), None))
    )
    assert standing.accepted.tolist() == [False, True, True, False]
    assert standing.automatic.tolist() == AUTOMATIC.tolist()
    assert standing.who == ("Ada",) * 3 + ("",)


def test_merged_cells_are_replaced_by_one_that_counts():
    standing = Standing.of(AUTOMATIC, log_of(Label((0,), "place cell"), Note(2, "dim"), Merge((0, 2))))
    assert standing.accepted.tolist() == [False, True, False, False, True]
    assert standing.replaced_by.tolist() == [4, -1, 4, -1, -1]
    assert (standing.labels[4], standing.notes[4]) == (("place cell",), "dim")
    assert standing.found == 4


def test_new_cells_are_numbered_by_what_is_in_force():
    log = log_of(Merge((0, 1)), Undo(), Draw(((0, 0), (0, 9), (9, 9))), Split(4), Verdict((5,), False))
    standing = Standing.of(AUTOMATIC, log)
    assert standing.origin.tolist() == [0, 0, 0, 0, 3, 2, 2]
    assert standing.made_by.tolist() == [0, 0, 0, 0, 3, 4, 4]
    assert standing.accepted.tolist() == [True, True, False, False, False, False, True]


def test_what_was_undone_can_be_redone_until_something_else_is_decided():
    one, two, three = Verdict((0,), False), Verdict((1,), False), Verdict((2,), True)
    log = log_of(one, two, Undo(), Undo(), Redo())
    assert [entry.action for entry in in_force(log)] == [one]
    assert [entry.action for entry in to_redo(log)] == [two]
    log = log_of(one, two, Undo(), three)
    assert [entry.action for entry in in_force(log)] == [one, three]
    assert to_redo(log) == ()


@given(
    st.lists(
        st.sampled_from([Verdict((0,), True), Verdict((0,), False), Verdict((1,), None), Undo(), Redo()])
    )
)
def test_undoing_all_gives_back_what_was_found(actions):
    log = log_of(*actions, *[Undo()] * len(actions))
    assert in_force(log) == ()
    np.testing.assert_array_equal(Standing.of(AUTOMATIC, log).accepted, AUTOMATIC)


POINTS = st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=3, max_size=9).map(tuple)
CELLS = st.lists(st.integers(0, 99), min_size=2, max_size=4, unique=True).map(tuple)
ACTIONS = st.one_of(
    st.builds(Verdict, CELLS, st.sampled_from([True, False, None])),
    st.builds(Merge, CELLS),
    st.builds(Split, st.integers(0, 99), st.one_of(st.just(()), POINTS)),
    st.builds(Draw, POINTS),
    st.builds(Note, st.integers(0, 99), st.text(max_size=99)),
    st.builds(Label, CELLS, st.just("x"), st.booleans()),
    st.sampled_from([Undo(), Redo()]),
)


@given(ACTIONS)
def test_an_entry_is_the_same_after_it_was_written_down(action):
    entry = Entry(3, "Ada <b>", "2026", "1", action)
    assert entry_of(json.loads(json.dumps(entry.as_json()))) == entry


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"do": "explode"}, "no action"),
        ({"do": ["accept"]}, "no action"),
        ({"do": "accept", "cells": []}, "one or more"),
        ({"do": "accept", "cells": [-1]}, "number from 0"),
        ({"do": "accept", "cells": [True]}, "number from 0"),
        ({"do": "merge", "cells": [1, 1]}, "two or more"),
        ({"do": "draw", "outline": [[0, 0], [1, 1]]}, "at least 3"),
        ({"do": "draw", "outline": [[0, 0], [1, 1], [1, float("nan")]]}, "no point"),
        ({"do": "draw", "outline": [[0, 0], [1, 1], ["1", 2]]}, "no point"),
        ({"do": "note", "cell": 1, "text": "x" * 2001}, "at most 2000"),
        ({"do": "label", "cells": [1], "label": " "}, "empty"),
    ],
)  # fmt: skip
def test_what_is_no_action_is_refused(values, complaint):
    with pytest.raises(InputError, match=complaint):
        action_of(values)


@pytest.mark.parametrize(
    ("log", "action", "complaint"),
    [
        ((), Undo(), "nothing to undo"),
        (log_of(Verdict((0,), True)), Redo(), "nothing to redo"),
        ((), Verdict((4,), True), "there are 4 cells"),
        (log_of(Merge((0, 1))), Verdict((0,), True), "cell 4 has taken its place"),
        (log_of(Merge((0, 1))), Merge((1, 2)), "cell 4 has taken its place"),
    ],
)
def test_what_does_not_fit_is_refused(log, action, complaint):
    with pytest.raises(InputError, match=complaint):
        check_next(Standing.of(AUTOMATIC, log), log, action)


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_text_that_no_file_can_hold_is_refused_where_it_enters(text: str) -> None:
    values = Entry(1, "Ada", "2026-11-27", "1", Verdict((0,), True)).as_json()
    with pytest.raises(InputError, match="no text that a file can hold"):
        entry_of({**values, "who": text})
