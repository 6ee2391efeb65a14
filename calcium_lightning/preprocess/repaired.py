"""A session as it should have been recorded: without bad frames, defects, lines, steps and bands.

Everything that looks at frames looks at them through this, so that motion, statistics and cells need to know
nothing of what sensors, lenses and cables do. Frames without a picture are left out: it has fewer frames than
its file (:mod:`~calcium_lightning.core.gaps` puts them back). Knows sessions and arrays.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.frames import at_a_time
from calcium_lightning.core.progress import progress
from calcium_lightning.core.truth import Truth
from calcium_lightning.io.base_session import BaseSession, DerivedSession
from calcium_lightning.preprocess.bad_frames import Gaps, find_bad_frames
from calcium_lightning.preprocess.bands import Bands, find_bands
from calcium_lightning.preprocess.check import Findings
from calcium_lightning.preprocess.defects import LEAST_FRAMES, Defects, find_defects, fine_detail
from calcium_lightning.preprocess.dust import Dust, find_dust
from calcium_lightning.preprocess.field import find_field
from calcium_lightning.preprocess.fixed_pattern import FixedPattern, PatternSearch
from calcium_lightning.preprocess.levels import Levels, find_levels
from calcium_lightning.preprocess.marks import changing_marks
from calcium_lightning.preprocess.surround import Surround
from calcium_lightning.preprocess.survey import Survey, survey
from calcium_lightning.preprocess.waves import Waves, find_waves


class RepairedSession(DerivedSession):
    """A session without what is no picture of the tissue.

    Parameters
    ----------
    original : BaseSession
        The recording; every frame of it is looked at.
    mask : ndarray, bool (H, W), optional
        The only pixels that may be used.

    Attributes
    ----------
    kept : ndarray of int (T',)
        The frames of the file that are left; this session's frame i is the file's kept[i].
    fps : float
        Frames that are left a second: fewer than the file's where a slow camera's were written repeatedly.
    survey : Survey
        Of all frames of the file.
    bad : BadFrames
        Which hold no picture, and why.
    view : FieldOfView
        Which pixels show no tissue, and why.
    usable : ndarray, bool (H, W)
        Pixels that show tissue, or are filled from both sides.
    defects : Defects
        Single pixels that are filled.
    levels : Levels
        Steps of brightness that are levelled.
    bands : Bands or None
        Moving bands that are taken off.
    waves : Waves
        Waves that run across the frames and are taken off.
    fixed_pattern : FixedPattern
        What stands still and hid the tissue's motion, cleared; once the motion is known.
    dust : Dust
        Spots that stand still and are cleared; once the motion is known.
    """

    def __init__(self, original: BaseSession, mask: np.ndarray | None = None) -> None:
        super().__init__(original)
        raw = original.kind == "raw"
        count = original.n_frames
        self.kept = np.arange(count)
        self.survey = look(original)
        self.bad = find_bad_frames(self.survey, raw, original.bad_frames)
        self.kept = np.flatnonzero(~self.bad.bad)
        if not len(self.kept):
            raise InputError(f"{original.path}: no frame holds a picture")
        self.shape = (len(self.kept), *original.shape[1:])
        self.fps = original.fps * self.bad.new
        known = None if original.field.all() else original.field
        if mask is not None and mask.shape != original.shape[1:]:
            raise InputError(
                f"{original.path}: field= has {mask.shape[0]} x {mask.shape[1]} pixels, the frames "
                f"{original.height} x {original.width}"
            )
        if mask is not None:
            known = mask if known is None else mask & known
        sensor = raw and not original.motion_corrected
        self.view = find_field(self.survey, sensor, known, lens=mask is None and not original.field_given)
        if not self.view.field.any():
            raise InputError(f"{original.path}: no pixel of the field shows tissue")
        nothing = Defects.at(np.zeros(original.shape[1:], bool))
        # Until everything is known, frames are read as they are, but for the bad ones.
        self._fill = Surround.of(np.zeros(original.shape[1:], bool), nothing)
        self.levels = Levels.none(len(self.kept))
        self.bands: Bands | None = None
        self.waves = Waves.none()
        self.fixed_pattern = FixedPattern()
        self.dust = Dust.none()
        self.defects = nothing
        if sensor and len(self.kept) >= LEAST_FRAMES:
            detail = fine_detail(self)
            self.view = self.view.without("changing marks", changing_marks(detail))
            self.defects = find_defects(self, detail)
        self._fill = Surround.of(~self.view.field, self.defects)
        self.usable = self._fill.usable
        if raw:
            levels = find_levels(self.survey.brightness[self.kept], self.frames, self.usable)
            bands = find_bands(self.survey, self.usable, self.kept)
            if len(levels) or bands is not None:
                self.levels, self.bands = levels, bands
                self.dtype = np.dtype(np.float32)
            waves = find_waves(self, self.survey.mean, self.usable)
            if len(waves):
                self.waves, self.dtype = waves, np.dtype(np.float32)

    @classmethod
    def of(cls, session: BaseSession, mask: np.ndarray | None = None) -> RepairedSession:
        """Look at a session, or take one that was looked at.

        Parameters
        ----------
        session : BaseSession
            The recording.
        mask : ndarray, bool (H, W), optional
            The only pixels that may be used.

        Raises
        ------
        InputError
            If nothing is left of it.
        """
        if not isinstance(session, RepairedSession):
            return cls(session, mask)
        return session if mask is None else cls(session.original, mask)

    @property
    def findings(self) -> Findings:
        """All that was found."""
        stamps = self.original.timestamps
        return Findings(
            self.survey,
            self.kind,
            self.view,
            self.bad,
            self.levels,
            self.bands,
            None if stamps is None else Gaps.of(stamps),
            self.dust,
            self.waves,
            self.fixed_pattern,
        )

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Read frames that hold a picture, repaired."""
        index = self.kept[start : start + len(out)]
        stored = out if out.dtype == self.original.dtype else np.empty(out.shape, self.original.dtype)
        for place, first, count in _runs(index):
            self.original.read_into(first, stored[place : place + count])
        self._fill.fill(stored)
        if stored is not out:
            np.copyto(out, stored)
            span = slice(start, start + len(out))
            gain, offset = self.levels.gain[span], self.levels.offset[span]
            if (gain != 1).any() or (offset != 0).any():
                out -= offset[:, None, None]
                out /= gain[:, None, None]
            if self.bands is not None:
                self.bands.take_off(out, start)
            self.waves.take_off(out, start)
        self.fixed_pattern.clear(out)
        self.dust.clear(out)

    def search_for_pattern(self, diameter: float) -> PatternSearch | None:
        """Look for what stands still before the tissue, whose cells have such a diameter, pixels.

        None where that can't be told: frames that aren't light, or are registered, or were coded in blocks,
        which stand still, too, and hold what moves.
        """
        if self.kind != "raw" or self.original.motion_corrected or self.survey.coded_in_blocks:
            return None
        return PatternSearch.of(self, self.usable, diameter)

    def without(self, pattern: FixedPattern) -> RepairedSession:
        """The same with a pattern that stands still cleared; the original is shared."""
        other = copy.copy(self)
        other.original = self.original  # which would be open twice
        other.fixed_pattern = pattern
        return other

    def knowing_motion(self, shifts: np.ndarray, diameter: float) -> RepairedSession:
        """The same with bands and waves taken off better, and dust cleared; the original is shared.

        Parameters
        ----------
        shifts : ndarray, float32 (T', 2)
            The motion, pixels.
        diameter : float
            Of a cell, pixels.
        """
        better = copy.copy(self)
        better.original = self.original  # which would be open twice
        if self.bands is not None:
            better.bands = self.bands.after_motion(self, shifts)
        better.waves = self.waves.after_motion(self, shifts)
        if self.kind == "raw" and not self.original.motion_corrected:
            better.dust = find_dust(better, shifts, self.usable, diameter)
        return better

    @property
    def telling(self) -> np.ndarray:
        """Pixels of tissue by which motion is told, bool (H, W)."""
        strong = self.fixed_pattern.strong
        return self.usable if strong is None else self.usable & ~strong

    @property
    def field(self) -> np.ndarray:
        """Which pixels are recording, bool (H, W)."""
        return self.view.field

    @property
    def bad_frames(self) -> np.ndarray:
        """No frame of these, bool (T',)."""
        return np.zeros(len(self.kept), bool)

    @property
    def timestamps(self) -> np.ndarray | None:
        """Seconds, float64 (T',)."""
        return _taken(self.original.timestamps, self.kept)

    @property
    def shifts(self) -> np.ndarray | None:
        """Estimated motion, pixels, float32 (T', 2)."""
        return _taken(self.original.shifts, self.kept)

    @property
    def truth(self) -> Truth | None:
        """The truth of these frames. For evaluation and the labels of pretraining only."""
        truth = self.original.truth
        if truth is None or len(self.kept) == self.original.n_frames:
            return truth
        return replace(
            truth,
            shifts=_taken(truth.shifts, self.kept),
            traces=None if truth.traces is None else truth.traces[:, self.kept],
            spikes=None if truth.spikes is None else truth.spikes[:, self.kept],
        )


def repeated_frames(session: BaseSession) -> np.ndarray | None:
    """Which frames of the recording a slow camera's frame fills once more, bool (T,); None: that isn't so."""
    if not isinstance(session, RepairedSession) or session.bad.new == 1:
        return None
    return session.bad.kinds["repeated"]


def rate_of(session: BaseSession, fps: float | None) -> float:
    """Frames of a session a second, where the file's rate may be told, Hz."""
    if fps is None or not isinstance(session, RepairedSession):
        return fps or session.fps
    return fps * session.bad.new


def kept_frames(session: BaseSession) -> np.ndarray:
    """Which frames of the recording the frames of a session are, int (T',)."""
    return session.kept if isinstance(session, RepairedSession) else np.arange(session.n_frames)


def look(session: BaseSession) -> Survey:
    """Look at every frame of a session."""
    count, height, width = session.shape
    with progress("checking", count) as advance:

        def blocks() -> Iterator[np.ndarray]:
            for _, frames in session.chunks(at_a_time(height, width)):
                yield frames
                advance(len(frames))

        return survey(blocks(), session.shape, session.dtype)


def _taken(values: np.ndarray | None, kept: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[kept]


def _runs(index: np.ndarray) -> list[tuple[int, int, int]]:
    """Consecutive numbers: (place, first, count) of each run."""
    breaks = np.flatnonzero(np.diff(index) != 1) + 1
    edges = [0, *breaks.tolist(), len(index)]
    return [(begin, int(index[begin]), end - begin) for begin, end in pairwise(edges) if end > begin]
