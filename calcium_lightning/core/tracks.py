"""Tracks: which cells of several sessions are the same.

Knows arrays and transforms; nothing of how they were found, nor of the file that holds them
(:mod:`~calcium_lightning.io.tracks_file`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.field_transform import FieldTransform


@dataclass(frozen=True, kw_only=True)
class TrackedSession:
    """One of the sessions.

    Attributes
    ----------
    name, path, sha256 : str
        What it is called, and its cells file.
    found, log : str
        What that file's rows are known by once somebody has decided about its cells; empty for other
        programs' files.
    frame_shape : (int, int)
        (H, W).
    cells : int
        Rows of its cells file.
    used : int
        Those that were looked at.
    transform : FieldTransform or None
        Onto the reference's field; None for a session that matches no other and was left out.
    residual_px : float
        What is left over: standard deviation of a cell's distance to its partners along an axis, pixels of
        the reference; NaN for a session that was left out.
    agreement, chance : float
        How much better its cells' places, and its picture, agree with the session it fits best than those of
        another field would, and how much better chance does, nats: a mirror image, or the next best way.
    pixel_size_um : float or None
        Micrometres per pixel.
    pictures : float
        The pictures' part in that; 0 where they tell nothing.
    closure_px : float
        How far it lies from where each session that it matches would put it by itself, their median, pixels;
        NaN where there are no two others.
    doubted : bool
        It was left out since the sessions that it matches don't agree where it lies.
    """

    name: str
    path: str
    sha256: str
    frame_shape: tuple[int, int]
    cells: int
    used: int
    transform: FieldTransform | None
    residual_px: float
    agreement: float
    chance: float
    pixel_size_um: float | None = None
    pictures: float = 0.0
    closure_px: float = float("nan")
    doubted: bool = False
    found: str = ""
    log: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class Tracks:
    """N tracks through S sessions.

    Attributes
    ----------
    cell : ndarray, int32 (N, S)
        The row of each track's cell in each session's cells file; -1 where it was not found. Those of most
        sessions come first.
    probability : ndarray, float32 (N, S)
        That this row is the same cell as the rest of its track: 1 for an only member, NaN where there is
        none.
    sessions : tuple of TrackedSession
        The sessions, as they were given.
    reference : int
        The session whose field is the common one.
    least_probability : float
        The least probability of a member of a track.
    expected_false : float
        Members of tracks that are expected not to belong there.
    expected_missed : float
        Cells that are expected to belong to a track and stayed outside.
    searched : ndarray, bool (N, S), or None
        Members that were looked for at their expected place, and found, in a session that hadn't accepted
        them. None where nothing was looked for.
    config, package_version : str
        The settings, YAML, and the version that made them.
    decided : ndarray, bool (N, S), or None
        Members that a person has confirmed, joined or set apart. None where nobody has.
    """

    cell: np.ndarray
    probability: np.ndarray
    sessions: tuple[TrackedSession, ...]
    reference: int
    least_probability: float = 0.5
    expected_false: float = 0.0
    expected_missed: float = 0.0
    searched: np.ndarray | None = field(default=None)
    config: str = ""
    package_version: str = ""
    decided: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.cell)

    def __repr__(self) -> str:
        return f"Tracks({self.in_words()})"

    @property
    def days(self) -> np.ndarray:
        """In how many sessions each is, int64 (N,)."""
        return (self.cell >= 0).sum(1)

    @property
    def left_out(self) -> list[int]:
        """The sessions that match no other."""
        return [row for row, session in enumerate(self.sessions) if session.transform is None]

    @property
    def links(self) -> int:
        """Members of tracks of two sessions or more, less one a track."""
        return int(np.maximum(self.days - 1, 0).sum())

    def confirmed(self, session: int, cell: int) -> Tracks:
        """A person says that a cell belongs to its track."""
        return self._moved(session, cell, self._track_of(session, cell))

    def apart(self, session: int, cell: int) -> Tracks:
        """A person says that a cell is another one than the rest of its track: it gets a track of its own."""
        return self._moved(session, cell, len(self))

    def joined(self, session: int, cell: int, track: int) -> Tracks:
        """A person says that a cell belongs to another track.

        Raises
        ------
        InputError
            If there is no such track, or it has another cell of that session.
        """
        if not 0 <= track < len(self):
            raise InputError(f"track {track}: there are {len(self)}, from 0")
        there = int(self.cell[track, session])
        if there not in (-1, cell):
            raise InputError(f"track {track}: has cell {there} of this session; set that apart first")
        return self._moved(session, cell, track)

    def _track_of(self, session: int, cell: int) -> int:
        rows = np.flatnonzero(self.cell[:, session] == cell)
        if not len(rows):
            raise InputError(f"cell {cell}: was not looked at when these sessions were tracked; track again")
        return int(rows[0])

    def _moved(self, session: int, cell: int, track: int) -> Tracks:
        """With a cell in a track, the one after the last for a new one; tracks without a cell are dropped."""
        before = self._track_of(session, cell)
        grown = max(len(self), track + 1)
        members = np.full((grown, len(self.sessions)), -1, np.int32)
        share = np.full(members.shape, np.nan, np.float32)
        by_hand = np.zeros(members.shape, bool)
        members[: len(self)], share[: len(self)] = self.cell, self.probability
        if self.decided is not None:
            by_hand[: len(self)] = self.decided
        members[before, session], share[before, session], by_hand[before, session] = -1, np.nan, False
        members[track, session], share[track, session], by_hand[track, session] = cell, 1, True
        alone = (members >= 0).sum(1) == 1
        share[alone] = np.where(members[alone] >= 0, 1, np.nan)  # an only member is sure to be itself
        kept = (members >= 0).any(1)
        several = (members >= 0).sum(1) > 1
        searched = self.searched
        if searched is not None:
            searched = np.concatenate([searched, np.zeros((grown - len(self), members.shape[1]), bool)])
            searched[track, session], searched[before, session] = searched[before, session], False
            searched = searched[kept]
        return replace(
            self,
            cell=members[kept],
            probability=share[kept],
            decided=by_hand[kept],
            searched=searched,
            expected_false=float(np.nansum(1 - share[several])),
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line for each session that was left out, and why."""
        return tuple(_why(session) for session in self.sessions if session.transform is None)

    def in_words(self) -> str:
        """One line: how many on how many days, and how sure."""
        several = self.days > 1
        members = int(self.days[several].sum())
        aligned = len(self.sessions) - len(self.left_out)
        looked = 0 if self.searched is None else int(self.searched[several].sum())
        more = f"; {looked} of them were looked for" if looked else ""
        everywhere = int((self.days == aligned).sum())
        return (
            f"{int(several.sum())} cells in two sessions or more, {everywhere} in all {aligned}, "
            f"{int((self.days == 1).sum())} in one; about {self.expected_false:.1f} of {members} members "
            f"false, {self.expected_missed:.1f} missed{more}"
        )

    def of(self, session: int) -> tuple[np.ndarray, np.ndarray]:
        """The track of each cell of a session, and the probability that it belongs there.

        Returns
        -------
        track : ndarray, int64 (K,)
            Row of :attr:`cell`; -1 for a cell that is in none.
        probability : ndarray, float32 (K,)
            NaN for those.
        """
        count = self.sessions[session].cells
        track = np.full(count, -1, np.int64)
        probability = np.full(count, np.nan, np.float32)
        rows = np.flatnonzero(self.cell[:, session] >= 0)
        track[self.cell[rows, session]] = rows
        probability[self.cell[rows, session]] = self.probability[rows, session]
        return track, probability


def _why(session: TrackedSession) -> str:
    """Why a session was left out."""
    agree = f"agree by {max(session.agreement, 0):.0f} nats at best, chance gives {session.chance:.0f}"
    if session.doubted:
        return f"{session.name}: those that it matches don't agree where it lies, it is left out ({agree})"
    return f"{session.name}: matches no other session and is left out (its cells' places {agree})"
