"""Which session of a tracks file a file of cells is, and which of its rows are those that were tracked.

Decisions by hand change a cells file, and leave what was found in its rows: a row keeps its track, whatever
is said of its cell, and cells that were made since are in none. Knows both files; must not know how tracks
are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.decisions import Entry
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.plain import is_place
from calcium_lightning.core.standing import Standing
from calcium_lightning.core.tracks import TrackedSession, Tracks
from calcium_lightning.io.curation_file import digests, fingerprint, open_original
from calcium_lightning.io.footprints import content_of, read_footprints
from calcium_lightning.io.kind import is_cells
from calcium_lightning.io.tracks_file import read_tracks


def with_tracks(cells: Cells, source: Path, path: Path | str) -> Cells:
    """Cells with two more qualities: ``track``, -1 for none, and ``track_probability``.

    Parameters
    ----------
    cells : Cells
        Of one of the sessions, as they are now.
    source : Path
        Their file.
    path : path-like
        The tracks file.

    Raises
    ------
    InputError
        If the tracks are of other cells.
    """
    tracks = read_tracks(path)
    row, same = session_of(tracks, source, path)
    if len(same) and same[-1] >= len(cells):
        raise InputError(
            f"{path}: has {len(same)} cells of {source}, which has {len(cells)} now; track again"
        )
    known, share = tracks.of(row)
    track, probability = np.full(len(cells), -1, np.float32), np.full(len(cells), np.nan, np.float32)
    track[same], probability[same] = known[same], share[same]
    return replace(cells, quality={**cells.quality, "track": track, "track_probability": probability})


def session_of(tracks: Tracks, source: Path, path: Path | str) -> tuple[int, np.ndarray]:
    """The session that a file of cells is, and which of its rows were tracked.

    Parameters
    ----------
    tracks : Tracks
        As they stand.
    source : Path
        The file: known by what was found in it, another program's by its content, and a folder of many files
        by its place.
    path : path-like
        The tracks file, for the message.

    Returns
    -------
    session : int
        Its number.
    rows : ndarray of int
        Ascending.

    Raises
    ------
    InputError
        If it is none of them.
    """
    content, mark = content_of(source), ""
    found, log = np.zeros(0, bool), tuple[Entry, ...]()
    if is_cells(source):
        with open_original(source) as original:
            mark, found, log = fingerprint(original.cells), original.cells.accepted, original.log

    def known_by(session: TrackedSession) -> int:
        """How well a session is told to be these cells; 0 for not at all."""
        here = is_place(session.path, source)
        if content and session.sha256 == content:
            return 4 + here
        if mark and session.found == mark:  # copies of one file differ in what was decided
            return 2 + here
        # A folder of many files; and tracks files of versions before don't tell what was found.
        return int(here and (not content or (not session.found and session.cells == len(found))))

    sessions = tracks.sessions
    row = max(range(len(sessions)), key=lambda row: known_by(sessions[row]))
    if not known_by(sessions[row]):
        names = ", ".join(session.name for session in sessions)
        raise InputError(f"{path}: tracks of {names}, and not of {source} as it is now; track again")
    if not (mark and sessions[row].found):
        return row, np.arange(sessions[row].cells)
    before = next((n for n, digest in enumerate(["", *digests(log)]) if digest == sessions[row].log), 0)
    then, now = (Standing.of(found, part).made_by for part in (log[:before], log))
    count = min(len(then), len(now))
    return row, np.flatnonzero(then[:count] == now[:count])


def footprints_of(
    tracks: Tracks, path: Path | str, cells: Sequence[Path] = ()
) -> tuple[Tracks, list[FootprintSet]]:
    """The footprints of tracks that are there already: pages and exports show them.

    Parameters
    ----------
    tracks : Tracks
        As they stand.
    path : path-like
        Their file, for messages; cells files are looked for beside it, too.
    cells : sequence of Path
        Where the sessions' files are now; default: where the tracks file says.

    Returns
    -------
    tracks : Tracks
        The same, with the places where the files are now.
    fields : list of FootprintSet
        Of each session the cells that were tracked; those that are accepted, of one that was left out.

    Raises
    ------
    InputError
        If a session's file isn't there, or its cells are others now.
    """
    given: dict[int, Path] = {}
    for source in cells:
        if any(is_place(session.path, source) for session in tracks.sessions):
            continue
        row = session_of(tracks, source, path)[0]
        if row in given:
            raise InputError(f"cells=: {given[row]} and {source} are the same session of {path}")
        given[row] = source
    sessions, fields = [], []
    for row, session in enumerate(tracks.sessions):
        source = given.get(row) or _where(session, Path(path))
        inner = session.sha256.split("/")[1:]  # one of several in a file
        own = _of_several(source, session) if inner else read_footprints(source, rejected=True)[0]
        tracked = tracks.cell[:, row]
        rows = np.unique(tracked[tracked >= 0])
        if not inner:
            which, same = session_of(tracks, source, path)
            if which != row or not np.isin(rows, same).all():
                raise InputError(f"{path}: cells of {source} are others now than were tracked; track again")
        if session.transform is None:
            rows = own.rows if inner else read_footprints(source)[0].rows
        fields.append(replace(own, footprints=csr_matrix(own.footprints[rows]), rows=rows, name=session.name))
        sessions.append(replace(session, path=str(source)))
    return replace(tracks, sessions=tuple(sessions)), fields


def place_of(session: TrackedSession, path: Path) -> Path | None:
    """Where a session's file is: where the tracks file at a path says, or beside that; None for neither."""
    said = Path(session.path)
    if not session.path or said.exists():
        return said if session.path else None
    beside = (path.parent / said, path.parent / said.name)  # days may all be called cells.h5
    return next((place for place in beside if place.exists() and _is_of(session, place)), None)


def _is_of(session: TrackedSession, source: Path) -> bool:
    """Whether a file is a session's, whatever was decided about its cells since."""
    if content_of(source) == session.sha256.split("/")[0]:
        return True
    if not session.found or not is_cells(source):
        return False
    with open_original(source) as original:
        return fingerprint(original.cells) == session.found


def _where(session: TrackedSession, path: Path) -> Path:
    place = place_of(session, path)
    if place is None:
        words = (
            f"its cells file {session.path} is not there" if session.path else "its cells came from no file"
        )
        where = "say where the sessions' files are: cells=[A.h5,B.h5]"
        raise InputError(f"{path}: {session.name}: {words}; {where}")
    return place


def _of_several(source: Path, session: TrackedSession) -> FootprintSet:
    for item in read_footprints(source, rejected=True):
        if item.sha256 == session.sha256:
            return item
    raise InputError(f"{source}: has other cells than {session.name}, which was tracked; track again")


def same_sessions(
    before: Tracks, path: Path | str, fields: Sequence[FootprintSet]
) -> dict[int, tuple[int, np.ndarray]]:
    """For sessions of earlier tracks, which of the fields each is, and which rows are the same cells."""
    found = {}
    for row, field in enumerate(fields):
        known = [n for n, session in enumerate(before.sessions) if field.sha256 == session.sha256 != ""]
        if known:
            found[known[0]] = row, np.arange(field.total)
        elif field.path and "/" not in field.sha256:
            with suppress(InputError):  # a session that was added since
                session, rows = session_of(before, Path(field.path), path)
                found.setdefault(session, (row, rows))
    return found
