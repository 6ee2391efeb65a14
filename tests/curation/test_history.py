"""Two logs are one history in time: as one log would, undo and redo turn them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calcium_lightning.core.decisions import Entry, Note, Redo, Undo, stacks
from calcium_lightning.curation.history import next_turns

CHOICES = st.lists(st.sampled_from(["cells", "links", "undo", "redo"]), max_size=40)


@given(CHOICES)
def test_two_logs_turn_as_one_would(choices: list[str]) -> None:
    logs: tuple[list[Entry], list[Entry]] = ([], [])
    one: list[Entry] = []  # whose notes say which log they are of
    for time, choice in enumerate(choices):
        done, undone = stacks(one)
        turns = [pile[-1].action.cell if pile else None for pile in (done, undone)]
        assert list(next_turns(logs)) == turns
        if choice in ("undo", "redo"):
            index, action = turns[choice == "redo"], Undo() if choice == "undo" else Redo()
            if index is None:
                continue
        else:
            index = int(choice == "links")
            action = Note(index, "")
        entry = Entry(len(logs[index]) + 1, "", f"{time:04d}", "", action)
        logs[index].append(entry)
        one.append(entry)
