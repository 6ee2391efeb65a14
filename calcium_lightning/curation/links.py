"""Which cells of other days a cell is said to be, and what a person says of that: kept in the tracks file.

Each decision is checked, written into the file as a whole with the log of all of them, and only then told as
done. Knows tracks and footprints; must not know pages, nor what is decided about cells themselves.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.decisions import Redo, Undo
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.links import Link, LinkedTracks, LinkEntry
from calcium_lightning.core.tracks import Tracks
from calcium_lightning.io.footprints import read_footprints
from calcium_lightning.io.tracked import place_of, session_of
from calcium_lightning.io.tracks_file import read_linked, write_linked

#: tracks that a cell may be joined to lie within so many cell diameters, at most so many are offered
NEAR, MOST = 1.5, 5


class Links:
    """The tracks of one session's cells.

    Parameters
    ----------
    path : Path
        The tracks file.
    cells : Path
        The session's cells file.

    Raises
    ------
    InputError
        If the tracks are of other cells.
    """

    def __init__(self, path: Path, cells: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._linked = read_linked(path)
        self.session, _ = session_of(self.tracks, cells, path)
        self._fields: dict[int, FootprintSet | None] = {}

    @property
    def tracks(self) -> Tracks:
        """As they stand."""
        return self._linked.tracks

    @property
    def log(self) -> tuple[LinkEntry, ...]:
        """All that was decided, of whichever session."""
        return self._linked.log

    def undoable(self) -> LinkEntry | None:
        """What undo would take back."""
        return self._linked.undoable

    def redoable(self) -> LinkEntry | None:
        """What redo would bring back."""
        return self._linked.redoable

    def state(self) -> dict[str, Any]:
        """For each cell of the session its track, how sure that is, on how many days, and who says so."""
        tracks = self.tracks
        track, probability = tracks.of(self.session)
        known = track >= 0
        days = np.where(known, tracks.days[track], 0)
        by_hand = np.zeros(len(track), bool)
        if tracks.decided is not None:
            by_hand[known] = tracks.decided[track[known], self.session]
        return {
            "sessions": [session.name for session in tracks.sessions],
            "session": self.session,
            "log": len(self.log),
            "aligned": [session.transform is not None for session in tracks.sessions],
            "track": track.tolist(),
            "probability": [None if np.isnan(item) else round(float(item), 3) for item in probability],
            "days": days.tolist(),
            "byHand": by_hand.astype(int).tolist(),
        }

    def of(self, cell: int) -> dict[str, Any]:
        """The members of a cell's track, and other tracks that it might belong to, the nearest first."""
        tracks = self.tracks
        known = np.flatnonzero(tracks.cell[:, self.session] == cell)
        if not len(known):
            return {"cell": cell, "track": None, "members": [], "others": []}
        track = int(known[0])
        return {
            "cell": cell,
            "track": track,
            "members": self._members(track),
            "others": self._others(cell, track),
        }

    def decide(
        self, do: str, cell: int, track: int | None = None, known: int | None = None, who: str = ""
    ) -> None:
        """Confirm a link, set a cell apart, or join it to another track; it is in the file when this returns.

        Parameters
        ----------
        do : {"confirm", "apart", "join"}
        cell : int
            Of this session.
        track : int, optional
            Which one it is joined to.
        known : int, optional
            The track that the cell had when it was decided.
        who : str
            Who decides.

        Raises
        ------
        InputError
            If that can't be, or something else was decided meanwhile.
        """
        with self._lock:
            linked = read_linked(self.path)  # another page may have written it
            rows = np.flatnonzero(linked.tracks.cell[:, self.session] == cell)
            if known is not None and (not len(rows) or rows[0] != known):
                self._linked = linked
                raise InputError("the tracks have changed meanwhile; look and decide again")
            self._keep(linked.decide(Link(do, self.session, cell, track), who))

    def turn(self, action: Undo | Redo, known: int, who: str = "") -> None:
        """Undo or redo the last decision; ``known`` is the number of entries that the log had.

        Raises
        ------
        InputError
            If there is none, or something else was decided meanwhile.
        """
        with self._lock:
            linked = read_linked(self.path)
            if len(linked.log) != known:
                self._linked = linked
                raise InputError("the tracks have changed meanwhile; look and decide again")
            self._keep(linked.decide(action, who))

    def _keep(self, linked: LinkedTracks) -> None:
        if not os.access(self.path, os.W_OK):  # it could be replaced all the same
            raise InputError(f"{self.path}: can't be written; nothing can be decided about tracks")
        write_linked(self.path, linked, overwrite=True)
        self._linked = linked

    def _members(self, track: int) -> list[dict[str, Any]]:
        tracks = self.tracks
        return [
            {
                "session": row,
                "cell": int(tracks.cell[track, row]),
                "probability": round(float(tracks.probability[track, row]), 3),
                "byHand": bool(tracks.decided is not None and tracks.decided[track, row]),
            }
            for row in range(len(tracks.sessions))
            if tracks.cell[track, row] >= 0
        ]

    def _others(self, cell: int, track: int) -> list[dict[str, Any]]:
        """Tracks without a cell of this session whose cells lie near, in the common field."""
        tracks, field = self.tracks, self._field(self.session)
        here = None if field is None else _place(tracks, field, self.session, cell)
        if field is None or here is None:
            return []
        found: dict[int, float] = {}
        for row in range(len(tracks.sessions)):
            other = self._field(row)
            if row == self.session or other is None:
                continue
            free = np.flatnonzero((tracks.cell[:, row] >= 0) & (tracks.cell[:, self.session] < 0))
            transform = tracks.sessions[row].transform
            if transform is None or not len(free):
                continue
            places = np.full((other.total, 2), np.inf)
            places[other.rows] = transform.apply(other.centers)
            apart = np.linalg.norm(places[tracks.cell[free, row]] - here, axis=1)
            for number, distance in zip(free.tolist(), apart.tolist(), strict=True):
                if distance < NEAR * field.diameter and number != track:
                    found[number] = min(distance, found.get(number, np.inf))
        nearest = sorted(found, key=lambda number: found[number])[:MOST]
        return [
            {"track": number, "distance": round(found[number], 1), "members": self._members(number)}
            for number in nearest
        ]

    def _field(self, row: int) -> FootprintSet | None:
        """A session's footprints, where its file is still there."""
        if row not in self._fields:
            place = place_of(self.tracks.sessions[row], self.path)
            self._fields[row] = None if place is None else read_footprints(place, rejected=True)[0]
        return self._fields[row]


def _place(tracks: Tracks, field: FootprintSet, session: int, cell: int) -> np.ndarray | None:
    transform = tracks.sessions[session].transform
    at = np.flatnonzero(field.rows == cell)
    if transform is None or not len(at):
        return None
    place: np.ndarray = transform.apply(field.centers[at])[0]
    return place
