"""Which decision undo takes back, and redo brings back, where cells and links have a log each.

To a person there is one history, in time. Knows entries of logs and when they were made; must not know what
they decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from calcium_lightning.core.decisions import Undo, stacks


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


Logs = Sequence[Sequence[Timed]]


def log_to_undo(logs: Logs) -> int | None:
    """The log whose last entry in force is the latest of all; None where there is none."""
    last = {index: done[-1].when for index, log in enumerate(logs) if (done := stacks(log)[0])}
    return max(last, key=lambda index: last[index], default=None)


def log_to_redo(logs: Logs) -> int | None:
    """The log of the earliest of the entries that redo would bring back; None where there is none.

    What was decided in one log since an entry of another one was undone bars that, as it does in its own.
    """
    waiting = {}
    for index, log in enumerate(logs):
        undone = stacks(log)[1]
        if not undone:
            continue
        turned = max(entry.when for entry in log if isinstance(entry.action, Undo))
        others = [
            done[-1].when for other, more in enumerate(logs) if other != index and (done := stacks(more)[0])
        ]
        if all(when <= turned for when in others):
            waiting[index] = undone[-1].when
    return min(waiting, key=lambda index: waiting[index], default=None)
