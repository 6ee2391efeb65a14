"""How a session moves: as it is known, or as it is estimated, behind what stands still before the tissue.

Knows sessions, and what looks for motion and for what stands still in them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.preprocess.fixed_pattern import LEFT
from calcium_lightning.preprocess.motion.estimate import Motion, MotionSettings, estimate_motion, followed
from calcium_lightning.preprocess.motion.patches import PatchGrid
from calcium_lightning.preprocess.motion.types import AUTO
from calcium_lightning.preprocess.repaired import RepairedSession

#: where steps at the edges of a codec's blocks are so many times larger than others, next to nothing is left
#: within a block; and a block's side, pixels
BLOCKY, BLOCK = 2.5, 8
#: what stands still is looked for so often, or until the motion changes by less, pixels (root mean square)
ROUNDS, SETTLED_PX = 5, 0.1
#: ... or until more is left over by this factor: what is left standing draws the motion back
WORSE = 1.03
#: what hides less of the motion, cell diameters, does no harm
HARMLESS = 0.03
#: behind a pattern there is no less motion than this share of what is seen (more, but for one that repeats
#: itself, in which registration jumps)
SMALLEST = 0.7


def session_motion(
    session: BaseSession, cell_diameter: float, settings: MotionSettings | None, device: torch.device | str
) -> tuple[BaseSession, np.ndarray | Motion]:
    """A session's motion, and the session without what stands still before the tissue where that hid it.

    Parameters
    ----------
    session : BaseSession
        The recording.
    cell_diameter : float
        Pixels.
    settings : MotionSettings or None
        How it is estimated where it isn't known; None: not at all.
    device : torch.device or str
        Where to compute.

    Returns
    -------
    session : BaseSession
        The same one, or a cleared one that shares its original.
    motion : ndarray, float32 (T, 2), or Motion
        Shifts that are known, pixels, or an estimate.
    """
    if settings is None or settings.patches != AUTO:
        return _whole(session, cell_diameter, settings, device)
    # What stands still in one place of the field looks like motion that differs: it goes first.
    session, motion = _whole(session, cell_diameter, replace(settings, patches=None), device)
    if isinstance(motion, Motion):
        motion = followed(session, motion, settings, _width(session, cell_diameter), device)
    return session, motion


def _whole(
    session: BaseSession, cell_diameter: float, settings: MotionSettings | None, device: torch.device | str
) -> tuple[BaseSession, np.ndarray | Motion]:
    """As :func:`session_motion`, with motion that differs over the field only where that is asked for."""
    motion = _motion(session, cell_diameter, settings, device)
    if isinstance(session, RepairedSession) and isinstance(motion, Motion) and motion.told:
        return _behind_pattern(session, motion, cell_diameter, settings, device)
    return session, motion


def _motion(
    session: BaseSession, cell_diameter: float, settings: MotionSettings | None, device: torch.device | str
) -> np.ndarray | Motion:
    """Shifts that are known, or an estimate."""
    if settings is not None:
        PatchGrid.of(settings.patches, session.shape[1:], cell_diameter)  # even if it isn't needed
    known = session.shifts
    if known is not None:
        return known
    if session.motion_corrected or settings is None or session.n_frames < 2:
        return np.zeros((session.n_frames, 2), np.float32)
    return estimate_motion(session, settings, _width(session, cell_diameter), device)


def _width(session: BaseSession, cell_diameter: float) -> float:
    """Of what tells the motion, pixels: two of a codec's blocks where they show, in which little moves."""
    if not isinstance(session, RepairedSession) or session.survey.block_edges <= BLOCKY:
        return cell_diameter
    return min(max(cell_diameter, 2.0 * BLOCK), *session.shape[1:])


def _behind_pattern(
    session: RepairedSession,
    motion: Motion,
    cell_diameter: float,
    settings: MotionSettings | None,
    device: torch.device | str,
) -> tuple[BaseSession, Motion]:
    """A session without what stands still where that hid the tissue's motion, and its motion."""
    search = session.search_for_pattern(cell_diameter)
    if search is None or not (pattern := search.behind(motion.shifts)):
        return session, motion
    seen = shifts = motion.shifts
    best: tuple[float, BaseSession, Motion] = (LEFT, session, motion)
    for _ in range(ROUNDS):
        cleared = session.without(pattern)
        again = _motion(cleared, cell_diameter, settings, device)
        if not isinstance(again, Motion) or not again.told:
            break
        changed, shifts = _rms(again.shifts - shifts), again.shifts
        left = search.left(shifts, seen)
        if left > min(LEFT, WORSE * best[0]):
            break
        if _rms(shifts - seen) < HARMLESS * cell_diameter or _rms(shifts) < SMALLEST * _rms(seen):
            break  # a lens's soft edge
        best = (min(left, best[0]), cleared, again)
        if changed < SETTLED_PX:
            break
        pattern = search.at(shifts)
    return best[1:]


def _rms(shifts: np.ndarray) -> float:
    return float(np.sqrt(np.square(shifts).sum(1).mean()))
