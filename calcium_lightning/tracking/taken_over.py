"""Links decided by hand, from tracks to those of more sessions: a day that is added later loses none.

A decision is about a cell and the cells that were said to be the same, or not, when it was taken; rows of
cells files tell which these are. Knows both tracks; must not know files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calcium_lightning.core.decisions import stacks
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.links import Link, LinkedTracks, LinkEntry
from calcium_lightning.core.tracks import Tracks

#: a cell: session and row
Member = tuple[int, int]


@dataclass(frozen=True)
class TakenOver:
    """New tracks with decisions about earlier ones.

    Attributes
    ----------
    linked : LinkedTracks
        What was found, and what was decided about it.
    taken : int
        Decisions that hold in them.
    lost : tuple of str
        A line for each that doesn't, and why.
    """

    linked: LinkedTracks
    taken: int
    lost: tuple[str, ...]

    def __str__(self) -> str:
        said = f"{self.taken} links decided by hand taken over"
        return "\n  ".join([f"{said}, {len(self.lost)} not:" if self.lost else said, *self.lost])


def take_over(
    before: LinkedTracks, tracks: Tracks, sessions: Mapping[int, tuple[int, Sequence[int] | np.ndarray]]
) -> TakenOver:
    """What was decided about earlier tracks, decided about these.

    Cells that a person has joined are joined, and what stands in their way is set apart; a cell that was set
    apart is so from the cells that it was with, and may be with others.

    Parameters
    ----------
    before : LinkedTracks
        The earlier tracks.
    tracks : Tracks
        Those of now.
    sessions : mapping of int to (int, sequence of int)
        For sessions of the earlier tracks, which one of now each is, and which rows are the same cells.
    """
    then, now = before.found, LinkedTracks.of(tracks)
    same = {row: (there, {int(cell) for cell in rows}) for row, (there, rows) in sessions.items()}

    def member(session: int, cell: int) -> Member | None:
        """A cell of the earlier tracks in those of now, if it is in one."""
        there, rows = same.get(session, (-1, set[int]()))
        return (there, cell) if cell in rows and (now.tracks.cell[:, there] == cell).any() else None

    taken, lost = 0, list[str]()
    for entry in stacks(before.log)[0]:
        link = entry.action
        if not isinstance(link, Link):
            continue
        old = then.sessions[link.session].name
        track = link.track if link.do == "join" else _track(then, link.session, link.cell)
        others = [
            found
            for row in np.flatnonzero(then.cell[track] >= 0).tolist()
            if row != link.session and (found := member(row, int(then.cell[track, row])))
        ]
        then = link.of(then)
        who = member(link.session, link.cell)
        if who is None:
            what = "is not among the cells tracked now"
            lost.append(f"{link.do}: cell {link.cell} of {old} {what}")
        elif link.do == "join" and not others:
            what = "was joined to cells that are not tracked now"
            lost.append(f"{link.do}: cell {link.cell} of {old} {what}")
        else:
            for step in _steps(link.do, now.tracks, who, others):
                now = _with(now, step, entry)
            taken += 1
    return TakenOver(now, taken, tuple(lost))


def _steps(do: str, tracks: Tracks, who: Member, others: Sequence[Member]) -> list[Link]:
    """What brings a cell where it was decided to be."""
    session, cell = who
    here = _track(tracks, session, cell)
    where = [_track(tracks, *other) for other in others]
    if do == "apart":
        alone = int(tracks.days[here]) == 1
        return [Link("apart", session, cell)] if alone or here in where else []
    if not where or here in where:
        return [Link("confirm", session, cell)]
    target = Counter(where).most_common(1)[0][0]
    instead = int(tracks.cell[target, session])
    if instead < 0:
        return [Link("join", session, cell, target)]
    # A track of one cell is dropped when that moves, so the target's number may change with the first step.
    away = Link("apart", session, instead)
    return [away, Link("join", session, cell, _track(away.of(tracks), *others[where.index(target)]))]


def _with(linked: LinkedTracks, link: Link, entry: LinkEntry) -> LinkedTracks:
    """With a decision by whom, and when, it was first taken."""
    log = (*linked.log, replace(entry, number=len(linked.log) + 1, action=link))
    return replace(linked, log=log, tracks=link.of(linked.tracks))


def _track(tracks: Tracks, session: int, cell: int) -> int:
    rows = np.flatnonzero(tracks.cell[:, session] == cell)
    if not len(rows):
        raise InputError(f"cell {cell} of {tracks.sessions[session].name}: is in no track")
    return int(rows[0])
