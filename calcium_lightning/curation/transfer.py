"""Decisions from one extraction to another: written down with places, and matched to cells by them.

A session that is extracted anew has other cells in another order. What was decided is therefore kept with
where the cells lie, and applied to those that lie there now: a verdict to the cell, a merger to the cells
that its parts were, a drawn cell where none was found that wasn't there when it was drawn. Knows cells and
actions; must not know pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from calcium_lightning.core.cells import CellTable
from calcium_lightning.core.decisions import (
    Action,
    Draw,
    Entry,
    Label,
    Merge,
    Note,
    Split,
    Verdict,
    action_of,
    in_force,
)
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.plain import read_json, readable
from calcium_lightning.core.standing import ORIGINS
from calcium_lightning.curation.views import diameter_of, outlines
from calcium_lightning.io.curation_file import open_original
from calcium_lightning.io.journal import FORMAT, VERSION
from calcium_lightning.metrics.matching import match_points

Place = tuple[float, float]
#: shares of half a cell's diameter within which cells are the same: near ones first, so that a cell that is
#: gone doesn't push its neighbours on
REACHES = (0.25, 1.0)


@dataclass
class Transfer:
    """What decisions about other cells come to for these.

    Attributes
    ----------
    actions : list of Action
        To be taken in order.
    matched : int
        Decisions that found their cells.
    lost : list of str
        A line for each that didn't.
    doubt : str
        Why they may be about other cells: they are of another recording; empty otherwise.
    """

    actions: list[Action] = field(default_factory=list)
    matched: int = 0
    lost: list[str] = field(default_factory=list)
    doubt: str = ""

    def __str__(self) -> str:
        told = [f"{self.matched} decisions applied, {len(self.lost)} found no cell", *self.lost]
        return "\n  ".join([*told, self.doubt] if self.doubt else told)


def decisions_of(cells: CellTable, log: Iterable[Entry]) -> dict[str, Any]:
    """What was decided about cells, with their places, as plain values.

    Parameters
    ----------
    cells : CellTable
        As they are now, with their curation.
    log : iterable of Entry
        All that was decided; it goes along for the record.
    """
    log = tuple(log)
    items: list[dict[str, Any]] = []
    standing = cells.curation
    if standing is not None:
        actions = {entry.number: entry.action for entry in in_force(log)}
        about = (standing.verdict != 0) | (standing.origin > 0)
        about |= np.array(
            [bool(note or labels) for note, labels in zip(standing.notes, standing.labels, strict=True)]
        )
        said: list[int] = np.flatnonzero(standing.present & about).tolist()
        for row in said:
            made = actions.get(int(standing.made_by[row]))
            parents = (
                made.cells if isinstance(made, Merge) else (made.cell,) if isinstance(made, Split) else ()
            )
            lines = outlines(cells, [row])[0]
            longest = max(lines, key=len, default=[])
            items.append(
                {
                    "cell": row,
                    "center": _place(cells.centers[row]),
                    "verdict": int(standing.verdict[row]),
                    "origin": ORIGINS[standing.origin[row]],
                    "parents": [_place(cells.centers[parent]) for parent in parents],
                    "line": [list(point) for point in made.line] if isinstance(made, Split) else [],
                    "outline": [list(pair) for pair in zip(longest[::2], longest[1::2], strict=True)],
                    "note": standing.notes[row],
                    "labels": list(standing.labels[row]),
                    "who": standing.who[row],
                    "when": standing.when[row],
                }
            )
    return {
        "format": FORMAT,
        "version": VERSION,
        "session": Path(cells.session).name,
        "session_sha256": cells.session_sha256,
        "frame_shape": list(cells.frame_shape),
        "cells": items,
        "found": [
            _place(center) for center in cells.centers[: len(cells) if standing is None else standing.found]
        ],
        "log": [entry.as_json() for entry in log],
    }


def _place(center: np.ndarray) -> list[float]:
    return [round(float(x), 2) for x in center]


def read_decisions(path: Path) -> dict[str, Any]:
    """Decisions from a file that the page saved, or from a cells file that was curated.

    Raises
    ------
    InputError
        If it is neither.
    """
    if path.suffix.lower() in (".h5", ".hdf5"):
        with open_original(path) as original:
            found = decisions_of(original.decided(), original.log)
        if not found["log"]:
            raise InputError(f"{path}: nobody has decided anything in it")
        return found
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT or "cells" not in content:
        raise InputError(f"{path}: no decisions; save them from the page, or give a curated cells file")
    if content.get("version") != VERSION:
        raise InputError(f"{path}: version {content.get('version')}, this package reads {VERSION}")
    return content


def transfer(decisions: Mapping[str, Any], cells: CellTable, draw: bool = True) -> Transfer:
    """Match decisions to cells by place.

    Parameters
    ----------
    decisions : mapping
        From :func:`decisions_of`.
    cells : CellTable
        Those that they shall be about.
    draw : bool
        Cells that were drawn may be drawn again where none is now; that needs the recording.

    Raises
    ------
    InputError
        If the field is another, or the decisions are damaged.
    """
    try:
        if tuple(decisions["frame_shape"]) != tuple(cells.frame_shape):
            raise InputError(
                f"decisions about a field of {tuple(decisions['frame_shape'])} pixels, the cells' is "
                f"{cells.frame_shape}"
            )
        items = decisions["cells"]
        # Files of versions before have no "found": there, only what was decided on is known to have been.
        said = [place for item in items for place in (*item["parents"], *_centers([item], "found"))]
        there = [*decisions.get("found", ()), *said]
        result = _Matching(cells, draw, there, _centers(items, "drawn")).run(items)
        result.doubt = _doubt(decisions, cells)
        return result
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"decisions: damaged ({type(error).__name__}: {error})") from error


def _doubt(decisions: Mapping[str, Any], cells: CellTable) -> str:
    """Whether decisions seem to be about another recording; one ingested anew has another content too."""
    name, here = readable(str(decisions.get("session", ""))), readable(Path(cells.session).name)
    digest = decisions.get("session_sha256", "")
    if not (name and digest and here and cells.session_sha256):
        return ""
    if digest == cells.session_sha256 or name == here:
        return ""
    return (
        f"these were about cells of {name}, and are now about those of {here}: unless that is the same "
        "recording, undo them; who is who on other days track tells"
    )


def _centers(items: Sequence[Mapping[str, Any]], origin: str) -> list[Any]:
    return [item["center"] for item in items if item["origin"] == origin]


class _Matching:
    """Matches one set of decisions; new cells are numbered as they will be.

    Parameters
    ----------
    cells : CellTable
        Those that the decisions shall be about.
    draw : bool
        Whether cells can be drawn again.
    there, drawn : sequence of (y, x)
        Places of all cells that were there when it was decided, replaced ones included; of those drawn since.
    """

    def __init__(
        self,
        cells: CellTable,
        draw: bool,
        there: Sequence[Sequence[float]],
        drawn: Sequence[Sequence[float]],
    ) -> None:
        self.draw = draw
        self.radius = diameter_of(cells) / 2
        self.count = len(cells)
        standing = cells.curation
        present = np.ones(len(cells), bool) if standing is None else standing.present
        drawn_here = 0 if standing is None else standing.origin == ORIGINS.index("drawn")
        # What was drawn here, and then rejected, is still the cell that was drawn, not to be drawn again.
        rejected = [] if standing is None else np.flatnonzero((standing.verdict < 0) & ~drawn_here).tolist()
        self.standing = standing
        self.centers = cells.centers.astype(float)
        self.places = np.where(present[:, None], self.centers, np.nan)
        #: the row of each cell that was there: it is that cell, and no other's decision may be about it
        self.rows: dict[Place, int] = {}
        #: the row of each cell that was drawn, where it was found since
        self.drawn: dict[Place, int] = {}
        for reach in REACHES:
            # A cell that others have replaced here is known by its own place, and not taken for one of them.
            self._find(there, self.rows, self.drawn.values(), reach, self.centers)
            self._find(drawn, self.drawn, (*self.rows.values(), *rejected), reach, self.places)
        self.taken = set(self.drawn.values())
        self.result = Transfer()

    def run(self, items: Sequence[Mapping[str, Any]]) -> Transfer:
        """Verdicts first; then what is made, whose parts have their own places."""
        for item in items:
            if item["origin"] != "found":
                continue
            row = self._row(item["center"])
            if row is None:
                if item["verdict"] >= 0:
                    self._lose(item, "was decided on")
                continue
            self._decide(item, row, bool(item["verdict"] > 0) if item["verdict"] else None)
        for item in items:
            if item["origin"] == "merged":
                self._merge(item)
            elif item["origin"] == "drawn":
                self._drawn(item)
        self._splits([item for item in items if item["origin"] == "split"])
        return self.result

    def _find(
        self,
        places: Sequence[Sequence[float]],
        rows: dict[Place, int],
        but: Iterable[int],
        reach: float,
        among: np.ndarray,
    ) -> None:
        """Add the rows of places that have none yet."""
        left = [place for place in dict.fromkeys((y, x) for y, x in places) if place not in rows]
        for place, row in zip(left, self._match(left, {*rows.values(), *but}, among, reach), strict=True):
            if row is not None:
                rows[place] = row

    def _match(
        self, places: Sequence[Sequence[float]], but: Iterable[int], among: np.ndarray, reach: float = 1.0
    ) -> list[int | None]:
        """One to one to places (K, 2), with some rows left out."""
        free = among.copy()
        free[list(but)] = np.nan
        pairs = match_points(np.array(places, float).reshape(-1, 2), free, reach * self.radius)
        rows: list[int | None] = [None] * len(places)
        for first, second in zip(pairs.first, pairs.second, strict=True):
            rows[int(first)] = int(second)
        return rows

    def _row(self, place: Sequence[float]) -> int | None:
        """Of a cell that was there, unless something was made of it since."""
        row = self.rows.get((place[0], place[1]))
        return None if row in self.taken or (row is not None and self._heirs(row)) else row

    def _heirs(self, row: int) -> list[int]:
        """What has taken the place of a cell before this: none, what it was merged into, or its parts."""
        standing = self.standing
        if standing is None or standing.replaced_by[row] < 0:
            return []
        heirs: list[int] = np.flatnonzero(
            standing.made_by == standing.made_by[standing.replaced_by[row]]
        ).tolist()
        return heirs

    def _made(self, parents: Sequence[Sequence[float]], count: int) -> list[int]:
        """The cells that were made of these before, as many as that; empty where that isn't so."""
        rows = [self.rows.get((y, x)) for y, x in parents]
        heirs = {tuple(self._heirs(row)) if row is not None else () for row in rows}
        found = list(heirs.pop()) if len(heirs) == 1 else []
        standing = self.standing
        there = standing is not None and bool(standing.present[found].all())
        return found if there and len(found) == count and not self.taken & set(found) else []

    def _decide(self, item: Mapping[str, Any], row: int, accepted: bool | None) -> None:
        self.result.matched += 1
        if accepted is not None:
            self.result.actions.append(Verdict((row,), accepted))
        if item["note"]:
            self.result.actions.append(Note(row, str(item["note"])))
        self.result.actions += [Label((row,), str(label)) for label in item["labels"]]

    def _make(self, action: Merge | Split | Draw, items: Sequence[Mapping[str, Any]]) -> None:
        """Take an action that makes cells, and say of them what was said."""
        self.result.actions.append(action)
        if isinstance(action, Merge):
            self.taken |= set(action.cells)
        if isinstance(action, Split):
            self.taken.add(action.cell)
        for item in items:
            self._decide(item, self.count, False if item["verdict"] < 0 else None)
            self.count += 1

    def _merge(self, item: Mapping[str, Any]) -> None:
        rows = [row for row in map(self._row, item["parents"]) if row is not None]
        made = self._made(item["parents"], 1)
        if made:
            self.taken |= set(made)
            self._decide(item, made[0], bool(item["verdict"] >= 0))
        elif len(rows) > 1:
            self._make(Merge(tuple(rows)), [item])
        elif rows:
            self._decide(item, rows[0], bool(item["verdict"] >= 0))
        else:
            self._lose(item, "was merged")

    def _drawn(self, item: Mapping[str, Any]) -> None:
        y, x = item["center"]
        row = self.drawn.get((y, x))
        if row is not None:
            self._decide(item, row, bool(item["verdict"] >= 0))
        elif self.draw and len(item["outline"]) > 2:
            action = action_of({"do": "draw", "outline": item["outline"]})
            assert isinstance(action, Draw)
            self._make(action, [item])
        else:
            self._lose(item, "was drawn (session= is needed to draw it again)")

    def _splits(self, items: Sequence[Mapping[str, Any]]) -> None:
        families: dict[Place, list[Mapping[str, Any]]] = {}
        for item in items:
            (parent,) = item["parents"]
            families.setdefault((parent[0], parent[1]), []).append(item)
        for parent, parts in families.items():
            whole = self._row(parent)
            others = (set(self.rows.values()) | self.taken) - {whole}
            made = self._made([parent], len(parts))
            rows = self._match([part["center"] for part in parts], others, self.places)
            if made:
                rows = _nearest([part["center"] for part in parts], self.centers, made)
            known = [row for row in rows if row is not None]
            if len(known) == len(parts):
                self.taken |= set(known)
                for part, row in zip(parts, known, strict=True):
                    self._decide(part, row, bool(part["verdict"] >= 0))
                continue
            if whole is None or len(parts) != 2:
                self._lose(parts[0], "was split")
                continue
            action = action_of({"do": "split", "cell": whole, "line": parts[0]["line"]})
            assert isinstance(action, Split)
            self._make(action, parts)

    def _lose(self, item: Mapping[str, Any], what: str) -> None:
        y, x = item["center"]
        self.result.lost.append(f"the cell at ({y:.1f}, {x:.1f}) {what}, and none is there now")


def _nearest(places: Sequence[Sequence[float]], centers: np.ndarray, rows: Sequence[int]) -> list[int | None]:
    """Which of as many rows each place is, however far they lie."""
    apart = np.linalg.norm(np.array(places, float)[:, None] - centers[rows][None], axis=2)
    return [rows[column] for column in linear_sum_assignment(apart)[1]]
