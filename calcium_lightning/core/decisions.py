"""What a person decides about cells: actions, the log that keeps them, and what undo and redo leave of it.

The log is append-only and its entries never change; undo and redo are entries like the others. What is in
force is a pure function of the log, so a file, a page and a test that hold the same log hold the same
decisions. Knows numbers of cells; must not know footprints, files or pages
(:mod:`~calcium_lightning.core.standing` says what the decisions amount to).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from calcium_lightning.core.errors import InputError

#: characters of a note, of a label and of a name
LONGEST_NOTE, LONGEST_LABEL, LONGEST_NAME = 2000, 60, 80
#: corners of an outline or a line
MOST_CORNERS = 2000
Point = tuple[float, float]


@dataclass(frozen=True)
class Verdict:
    """Cells count, or don't, whatever the tests say; None leaves it to the tests again."""

    cells: tuple[int, ...]
    accepted: bool | None


@dataclass(frozen=True)
class Merge:
    """Cells are one: a new cell takes their place."""

    cells: tuple[int, ...]


@dataclass(frozen=True)
class Split:
    """A cell is two: new cells take its place.

    Attributes
    ----------
    cell : int
        Which.
    line : tuple of (y, x)
        Where it is cut, pixels; empty where its localisations shall tell, and its shape where they don't.
    """

    cell: int
    line: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Draw:
    """There is a cell that was missed, within a closed outline of (y, x), pixels."""

    outline: tuple[Point, ...]


@dataclass(frozen=True)
class Note:
    """Words about a cell, in place of those that stood there."""

    cell: int
    text: str


@dataclass(frozen=True)
class Label:
    """A label is given to cells, or taken from them."""

    cells: tuple[int, ...]
    label: str
    given: bool = True


@dataclass(frozen=True)
class Undo:
    """The last action in force is so no more."""


@dataclass(frozen=True)
class Redo:
    """The last action that was undone is in force again, if nothing else was decided since."""


Action = Verdict | Merge | Split | Draw | Note | Label | Undo | Redo
#: actions that make cells: their rows are regressed
MAKING = (Merge, Split, Draw)


@dataclass(frozen=True)
class Entry:
    """One line of the log.

    Attributes
    ----------
    number : int
        From 1, without gaps: the log's revision once this is its last entry.
    who : str
        Name of the person.
    when : str
        UTC, ISO 8601.
    version : str
        Of this package.
    action : Action
        What was done.
    """

    number: int
    who: str
    when: str
    version: str
    action: Action

    def as_json(self) -> dict[str, Any]:
        """Plain values; :func:`entry_of` reads them."""
        about = {"number": self.number, "who": self.who, "when": self.when, "version": self.version}
        return {**about, **action_as_json(self.action)}


def replaced(action: Action) -> tuple[int, ...]:
    """The cells whose place an action's new cells take."""
    match action:
        case Merge(cells):
            return cells
        case Split(cell, _):
            return (cell,)
        case _:
            return ()


def now() -> str:
    """The time, UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def in_force(log: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries that count, in order: without undo, redo and what they took back."""
    return stacks(log)[0]


def to_redo(log: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries that redo would bring back, the next one last."""
    return stacks(log)[1]


class Logged(Protocol):
    """An entry of any log with undo and redo."""

    @property
    def action(self) -> object:
        """What was done."""
        ...


AnyEntry = TypeVar("AnyEntry", bound=Logged)


def stacks(log: Iterable[AnyEntry]) -> tuple[tuple[AnyEntry, ...], tuple[AnyEntry, ...]]:
    """The entries of a log that count, in order, and those that redo would bring back, the next one last."""
    done: list[AnyEntry] = []
    undone: list[AnyEntry] = []
    for entry in log:
        if isinstance(entry.action, Undo):
            if done:
                undone.append(done.pop())
        elif isinstance(entry.action, Redo):
            if undone:
                done.append(undone.pop())
        else:
            done.append(entry)
            undone.clear()
    return tuple(done), tuple(undone)


def action_as_json(action: Action) -> dict[str, Any]:
    """Plain values, ``do`` says which action; :func:`action_of` reads them."""
    match action:
        case Verdict(cells, accepted):
            return {"do": _VERDICTS[accepted], "cells": list(cells)}
        case Merge(cells):
            return {"do": "merge", "cells": list(cells)}
        case Split(cell, line):
            return {"do": "split", "cell": cell, "line": [list(point) for point in line]}
        case Draw(outline):
            return {"do": "draw", "outline": [list(point) for point in outline]}
        case Note(cell, text):
            return {"do": "note", "cell": cell, "text": text}
        case Label(cells, label, given):
            return {"do": "label", "cells": list(cells), "label": label, "given": given}
        case Undo():
            return {"do": "undo"}
        case Redo():
            return {"do": "redo"}


_VERDICTS = {True: "accept", False: "reject", None: "reset"}


def action_of(values: Mapping[str, Any]) -> Action:
    """An action from plain values, from wherever they come.

    Raises
    ------
    InputError
        If they are none.
    """
    do = values.get("do")
    if not isinstance(do, str) or do not in _READERS:
        raise InputError(f"{do!r}: no action; there are {', '.join(_READERS)}")
    return _READERS[do](values)


def entry_of(values: Any) -> Entry:
    """A line of the log from plain values.

    Raises
    ------
    InputError
        If they are none.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{values!r}: no entry of a log of decisions")
    number = values.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise InputError(f"number {number!r}: entries of a log of decisions are numbered from 1")
    who, when, version = (_text(values, key, LONGEST_NOTE) for key in ("who", "when", "version"))
    return Entry(number, who, when, version, action_of(values))


def check_order(log: Sequence[Entry]) -> None:
    """Refuse a log that leaves an entry out or has one twice.

    Raises
    ------
    InputError
        Naming the entry.
    """
    for expected, entry in enumerate(log, 1):
        if entry.number != expected:
            raise InputError(f"entry {entry.number} stands where {expected} should")


def _text(values: Mapping[str, Any], key: str, longest: int) -> str:
    text = values.get(key)
    if not isinstance(text, str):
        raise InputError(f"{key} {text!r}: a text is wanted")
    if len(text) > longest:
        raise InputError(f"{key}: {len(text)} characters; at most {longest}")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{key} {text!r}: no text that a file can hold")
    return text


def _cell(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(f"cell {value!r}: a number from 0 is wanted")
    return value


def _cells(values: Mapping[str, Any], least: int = 1) -> tuple[int, ...]:
    given = values.get("cells")
    if not isinstance(given, list):
        raise InputError("cells: a list of numbers is wanted")
    cells = tuple(dict.fromkeys(_cell(item) for item in given))
    if len(cells) < least:
        raise InputError(f"cells {list(cells)}: {'two or more' if least > 1 else 'one or more'} are wanted")
    return cells


def _points(values: Mapping[str, Any], key: str, least: int) -> tuple[Point, ...]:
    given = values.get(key) or []
    if not isinstance(given, list) or len(given) > MOST_CORNERS:
        raise InputError(f"{key}: a list of at most {MOST_CORNERS} points (y, x) is wanted")
    points = []
    for item in given:
        numbers = isinstance(item, list | tuple) and [
            _float(part) for part in item if isinstance(part, int | float) and not isinstance(part, bool)
        ]
        if not numbers or len(numbers) != 2 or not all(map(math.isfinite, numbers)):
            raise InputError(f"{key}: {item!r} is no point (y, x)")
        points.append((numbers[0], numbers[1]))
    if len(points) < least:
        raise InputError(f"{key}: {len(points)} points; at least {least} are wanted")
    return tuple(points)


def _float(value: int | float) -> float:
    """A number that JSON may write with hundreds of digits."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _split(values: Mapping[str, Any]) -> Split:
    return Split(_cell(values.get("cell")), _points(values, "line", 2 if values.get("line") else 0))


def _label(values: Mapping[str, Any]) -> Label:
    label = _text(values, "label", LONGEST_LABEL).strip()
    if not label:
        raise InputError("label: an empty one")
    return Label(_cells(values), label, values.get("given", True) is True)


_READERS: dict[str, Callable[[Mapping[str, Any]], Action]] = {
    "accept": lambda values: Verdict(_cells(values), True),
    "reject": lambda values: Verdict(_cells(values), False),
    "reset": lambda values: Verdict(_cells(values), None),
    "merge": lambda values: Merge(_cells(values, 2)),
    "split": _split,
    "draw": lambda values: Draw(_points(values, "outline", 3)),
    "note": lambda values: Note(_cell(values.get("cell")), _text(values, "text", LONGEST_NOTE)),
    "label": _label,
    "undo": lambda values: Undo(),
    "redo": lambda values: Redo(),
}
