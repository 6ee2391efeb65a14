"""What a person decides about who is who on other days: actions, and the log that keeps them.

As with decisions about cells (:mod:`~calcium_lightning.core.decisions`): the log is append-only, undo and
redo are entries like the others, and the tracks as they stand are a pure function of the tracks that were
found and the log. Knows numbers of sessions, cells and tracks; must not know files or pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from calcium_lightning.core.decisions import LONGEST_NAME, Redo, Undo, now, stacks
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.tracks import Tracks
from calcium_lightning.core.version import __version__


@dataclass(frozen=True)
class Link:
    """A cell belongs to its track, to none but its own, or to another one.

    Attributes
    ----------
    do : {"confirm", "apart", "join"}
        Which.
    session, cell : int
        The cell.
    track : int or None
        Which one it is joined to, as tracks are numbered then.
    """

    do: str
    session: int
    cell: int
    track: int | None = None

    def of(self, tracks: Tracks) -> Tracks:
        """The tracks after it.

        Raises
        ------
        InputError
            If that can't be.
        """
        match self.do:
            case "confirm":
                return tracks.confirmed(self.session, self.cell)
            case "apart":
                return tracks.apart(self.session, self.cell)
            case "join" if self.track is not None:
                return tracks.joined(self.session, self.cell, self.track)
            case _:
                raise InputError(f"{self.do!r}: no decision about tracks; there are confirm, apart, join")


@dataclass(frozen=True)
class LinkEntry:
    """One line of the log; see :class:`~calcium_lightning.core.decisions.Entry`."""

    number: int
    who: str
    when: str
    version: str
    action: Link | Undo | Redo

    def as_json(self) -> dict[str, Any]:
        """Plain values; :func:`link_entries_of` reads them."""
        about = {"number": self.number, "who": self.who, "when": self.when, "version": self.version}
        match self.action:
            case Link(do, session, cell, track):
                joined = {} if track is None else {"track": track}
                return {**about, "do": do, "session": session, "cell": cell, **joined}
            case Undo():
                return {**about, "do": "undo"}
            case Redo():
                return {**about, "do": "redo"}


@dataclass(frozen=True)
class LinkedTracks:
    """Tracks that were found, and what was decided about them.

    Attributes
    ----------
    found : Tracks
        Before anybody decided.
    log : tuple of LinkEntry
        All that was decided.
    tracks : Tracks
        As they stand.
    """

    found: Tracks
    log: tuple[LinkEntry, ...]
    tracks: Tracks

    @classmethod
    def of(cls, found: Tracks, log: Iterable[LinkEntry] = ()) -> LinkedTracks:
        """Tracks as a log leaves them.

        Raises
        ------
        InputError
            If the log is of other tracks.
        """
        log, tracks = tuple(log), found
        for entry in stacks(log)[0]:
            if isinstance(entry.action, Link):
                tracks = entry.action.of(tracks)
        return cls(found, log, tracks)

    @property
    def undoable(self) -> LinkEntry | None:
        """What undo would take back."""
        return next(iter(stacks(self.log)[0][::-1]), None)

    @property
    def redoable(self) -> LinkEntry | None:
        """What redo would bring back."""
        return next(iter(stacks(self.log)[1][::-1]), None)

    def decide(self, action: Link | Undo | Redo, who: str = "") -> LinkedTracks:
        """With one action more.

        Raises
        ------
        InputError
            If it can't be, or there is nothing to undo or redo.
        """
        for kind, words, there in ((Undo, "undo", self.undoable), (Redo, "redo", self.redoable)):
            if isinstance(action, kind) and there is None:
                raise InputError(f"nothing to {words}")
        entry = LinkEntry(len(self.log) + 1, who[:LONGEST_NAME], now(), __version__, action)
        if isinstance(action, Link):
            return replace(self, log=(*self.log, entry), tracks=action.of(self.tracks))
        return LinkedTracks.of(self.found, (*self.log, entry))


def link_entries_of(values: Sequence[Any]) -> tuple[LinkEntry, ...]:
    """A log from plain values.

    Raises
    ------
    InputError
        If they are none.
    """
    return tuple(_entry(item, number) for number, item in enumerate(values, 1))


def _entry(values: Any, number: int) -> LinkEntry:
    if not isinstance(values, Mapping) or values.get("number") != number:
        raise InputError(f"{values!r}: no entry {number} of a log of links")
    who, when, version, do = (str(values.get(name, "")) for name in ("who", "when", "version", "do"))
    action: Link | Undo | Redo
    match do:
        case "undo":
            action = Undo()
        case "redo":
            action = Redo()
        case _:
            track = values.get("track")
            session, cell = _whole(values.get("session")), _whole(values.get("cell"))
            action = Link(do, session, cell, None if track is None else _whole(track))
    return LinkEntry(number, who, when, version, action)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(f"{value!r}: a number from 0 is wanted")
    return value
