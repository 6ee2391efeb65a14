"""Which decision undo takes back, and redo brings back, where cells and links have a log each.

To a person there is one history, in time: what is decided anew bars redo, whatever it is about. Knows entries
of logs and when they were made; must not know what they decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import merge
from typing import Protocol

from calcium_lightning.core.decisions import Redo, Undo


class Timed(Protocol):
    """An entry of either log."""

    @property
    def action(self) -> object:
        """What was done."""
        ...

    @property
    def when(self) -> str:
        """UTC, ISO 8601."""
        ...


def next_turns(logs: Sequence[Sequence[Timed]]) -> tuple[int | None, int | None]:
    """The logs whose entry undo would take back next, and redo bring back; None where there is none."""
    done: list[int] = []
    undone: list[int] = []
    tagged = [[(entry.when, index, entry.action) for entry in log] for index, log in enumerate(logs)]
    for _, index, action in merge(*tagged, key=lambda item: item[:2]):
        if isinstance(action, Undo):
            _move(index, done, undone)
        elif isinstance(action, Redo):
            _move(index, undone, done)
        else:
            done.append(index)
            undone.clear()
    return done[-1] if done else None, undone[-1] if undone else None


def _move(index: int, source: list[int], target: list[int]) -> None:
    """The last one of a log from one pile to the other."""
    for place in range(len(source) - 1, -1, -1):
        if source[place] == index:
            target.append(source.pop(place))
            return
