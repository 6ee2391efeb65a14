"""What decisions amount to: for each cell whether it counts, where it comes from, and what is said of it.

A pure function of the tests' own verdict and of the log (:mod:`~calcium_lightning.core.decisions`). A cell's
number is its row. Cells that a person makes are numbered on from those that were found, in the order of the
actions in force; no row ever goes away, so numbers that other files hold stay right. Knows numbers only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

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
    in_force,
    to_redo,
)
from calcium_lightning.core.errors import InputError

#: where a cell comes from, by the number that the file holds
ORIGINS = ("found", "merged", "split", "drawn")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Standing:
    """K cells, those that were found first, then those that a person made.

    Attributes
    ----------
    automatic : ndarray, bool (K,)
        The tests' own verdict; false for what a person made.
    verdict : ndarray, int8 (K,)
        1 accepted by hand, -1 rejected by hand, 0 neither.
    origin : ndarray, int8 (K,)
        Index in :data:`ORIGINS`.
    made_by : ndarray, int32 (K,)
        Number of the entry that made the cell, 0 for those that were found.
    replaced_by : ndarray, int32 (K,)
        The (first) cell that has taken its place, -1 for none.
    notes : tuple of str
        Words about each cell.
    labels : tuple of tuple of str
        Of each cell, sorted.
    regressed : ndarray, bool (K,)
        Its trace was measured on the recording: true for what was found, and for what a person made once that
        was regressed. Of what was drawn nothing is known until then.
    who, when : tuple of str
        Of the last decision about each cell; empty where there is none.
    """

    automatic: np.ndarray
    verdict: np.ndarray
    origin: np.ndarray
    made_by: np.ndarray
    replaced_by: np.ndarray
    notes: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    who: tuple[str, ...]
    when: tuple[str, ...]
    regressed: np.ndarray

    @classmethod
    def of(cls, automatic: np.ndarray, log: Iterable[Entry] = ()) -> Standing:
        """The tests' verdict (K,), and what a log makes of it.

        Raises
        ------
        InputError
            If an entry doesn't fit the cells.
        """
        count = len(automatic)
        standing = cls(
            automatic=np.asarray(automatic, bool),
            verdict=np.zeros(count, np.int8),
            origin=np.zeros(count, np.int8),
            made_by=np.zeros(count, np.int32),
            replaced_by=np.full(count, -1, np.int32),
            notes=("",) * count,
            labels=((),) * count,
            who=("",) * count,
            when=("",) * count,
            regressed=np.ones(count, bool),
        )
        for entry in in_force(log):
            standing = standing.after(entry)
        return standing

    def __len__(self) -> int:
        return len(self.verdict)

    @property
    def found(self) -> int:
        """How many cells were found, and not made."""
        return int((self.origin == 0).sum())

    @property
    def present(self) -> np.ndarray:
        """Which cells are there, and not replaced by another, bool (K,)."""
        return self.replaced_by < 0

    @property
    def accepted(self) -> np.ndarray:
        """What counts, bool (K,): by hand where a person decided, by the tests otherwise."""
        by_default = self.automatic | (self.origin > 0)
        return self.present & np.where(self.verdict != 0, self.verdict > 0, by_default)

    @property
    def by_hand(self) -> np.ndarray:
        """What a person made, replaced or gave a verdict, bool (K,)."""
        return (self.verdict != 0) | (self.origin > 0) | ~self.present

    def of_rows(self, rows: np.ndarray) -> Standing:
        """Of some cells (N,), in this order. A cell replaced by one that is left out has its own number."""
        place = np.full(len(self) + 1, -1, np.int32)  # the last entry is what -1 finds
        place[rows] = own = np.arange(len(rows), dtype=np.int32)
        taken = place[self.replaced_by[rows]]
        return Standing(
            automatic=self.automatic[rows],
            verdict=self.verdict[rows],
            origin=self.origin[rows],
            made_by=self.made_by[rows],
            replaced_by=np.where((taken < 0) & ~self.present[rows], own, taken),
            notes=tuple(self.notes[row] for row in rows),
            labels=tuple(self.labels[row] for row in rows),
            who=tuple(self.who[row] for row in rows),
            when=tuple(self.when[row] for row in rows),
            regressed=self.regressed[rows],
        )

    def check(self, action: Action) -> None:
        """Refuse an action that these cells can't take.

        Raises
        ------
        InputError
            Saying why.
        """
        for cell in _cells_of(action):
            if cell >= len(self):
                raise InputError(f"cell {cell}: there are {len(self)} cells, from 0")
            if self.replaced_by[cell] >= 0 and not isinstance(action, Note | Label):
                raise InputError(f"cell {cell}: cell {self.replaced_by[cell]} has taken its place")

    def after(self, entry: Entry) -> Standing:
        """With one more action, which is neither undo nor redo.

        Raises
        ------
        InputError
            As :meth:`check`.
        """
        action = entry.action
        self.check(action)
        cells = list(_cells_of(action))
        standing = self._signed(cells, entry)
        match action:
            case Verdict(_, accepted):
                verdict = self.verdict.copy()
                verdict[cells] = 0 if accepted is None else 1 if accepted else -1
                return replace(standing, verdict=verdict)
            case Note(cell, text):
                return replace(standing, notes=_changed(self.notes, {cell: text}))
            case Label(_, label, given):
                changes = {cell: set(self.labels[cell]) - {label} for cell in cells}
                added = {label} if given else set()
                labels = {cell: tuple(sorted(rest | added)) for cell, rest in changes.items()}
                return replace(standing, labels=_changed(self.labels, labels))
            case Merge():
                return standing._with_new(1, "merged", entry, cells)
            case Split():
                return standing._with_new(2, "split", entry, cells)
            case Draw():
                return standing._with_new(1, "drawn", entry, [])
            case Undo() | Redo():
                raise TypeError("undo and redo act on the log")

    def _signed(self, cells: list[int], entry: Entry) -> Standing:
        """With who decided on cells, and when."""
        return replace(
            self,
            who=_changed(self.who, dict.fromkeys(cells, entry.who)),
            when=_changed(self.when, dict.fromkeys(cells, entry.when)),
        )

    def _with_new(self, count: int, origin: str, entry: Entry, replaced: list[int]) -> Standing:
        """With new cells in the place of others; they keep what was said of those."""
        replaced_by = np.append(self.replaced_by, np.full(count, -1, np.int32))
        replaced_by[replaced] = len(self)
        labels = tuple(sorted({label for cell in replaced for label in self.labels[cell]}))
        note = "\n".join(self.notes[cell] for cell in replaced if self.notes[cell])
        return replace(
            self,
            automatic=np.append(self.automatic, np.zeros(count, bool)),
            verdict=np.append(self.verdict, np.zeros(count, np.int8)),
            origin=np.append(self.origin, np.full(count, ORIGINS.index(origin), np.int8)),
            made_by=np.append(self.made_by, np.full(count, entry.number, np.int32)),
            replaced_by=replaced_by,
            notes=(*self.notes, *(note,) * count),
            labels=(*self.labels, *(labels,) * count),
            who=(*self.who, *(entry.who,) * count),
            when=(*self.when, *(entry.when,) * count),
            regressed=np.append(self.regressed, np.zeros(count, bool)),
        )


def check_next(standing: Standing, log: Iterable[Entry], action: Action) -> None:
    """Refuse an action that can't follow a log.

    Raises
    ------
    InputError
        If there is nothing to undo or redo, or the cells can't take it.
    """
    if isinstance(action, Undo) and not in_force(log):
        raise InputError("nothing to undo")
    if isinstance(action, Redo) and not to_redo(log):
        raise InputError("nothing to redo")
    standing.check(action)


def _cells_of(action: Action) -> tuple[int, ...]:
    match action:
        case Verdict(cells, _) | Merge(cells) | Label(cells, _, _):
            return cells
        case Split(cell, _) | Note(cell, _):
            return (cell,)
        case _:
            return ()


def _changed(values: tuple[Item, ...], changes: dict[int, Item]) -> tuple[Item, ...]:
    changed = list(values)
    for index, value in changes.items():
        changed[index] = value
    return tuple(changed)
