"""A look at a recording while it is ingested: what is no picture is known, and said, from the beginning.

Knows what a session's writer needs to be told, and none of the formats that recordings come in.
"""

from __future__ import annotations

import numpy as np

from calcium_lightning.io.watcher import Known, Verdict
from calcium_lightning.preprocess.bad_frames import find_bad_frames
from calcium_lightning.preprocess.bands import find_bands
from calcium_lightning.preprocess.check import Findings, looks_like_dff
from calcium_lightning.preprocess.field import find_field
from calcium_lightning.preprocess.survey import Surveyor


class Examiner:
    """Looks at frames as they are written, and judges them in the end.

    Attributes
    ----------
    lines : tuple of str
        What a person should know; once the frames are judged.
    """

    def __init__(self) -> None:
        self.lines: tuple[str, ...] = ()
        self._surveyor: Surveyor | None = None

    def start(self, shape: tuple[int, int, int], dtype: np.dtype) -> None:
        """Frames (T, H, W) of a type will come."""
        self._surveyor = Surveyor(shape, dtype)

    def add(self, frames: np.ndarray) -> None:
        """Look at the next frames (n, H, W)."""
        assert self._surveyor is not None
        self._surveyor.add(frames)

    def judge(self, known: Known) -> Verdict:
        """Say what was seen in all of them, as :class:`~calcium_lightning.io.watcher.Watcher` wants it."""
        assert self._surveyor is not None
        survey, said = self._surveyor.finish(), known.said
        kind = corrected = None
        taken = ""
        if said.kind is None and (reason := looks_like_dff(survey)):
            kind = "dff"
            # A pixel can be compared with its own mean only where the tissue stands still.
            corrected = True if said.motion_corrected is None else None
            taken = f"taken for ΔF/F whose motion is corrected (kind=raw if it isn't): {reason}"
        raw = (kind or said.kind) != "dff"
        bad = find_bad_frames(survey, raw, known.bad_frames)
        sensor = raw and not said.motion_corrected
        field = None if known.field.all() else known.field
        view = find_field(survey, sensor, field, lens=not known.given)
        bands = find_bands(survey, view.field, ~bad.bad) if raw else None
        lines = Findings(survey, "raw" if raw else "dff", view, bad, bands=bands).warnings()
        self.lines = (taken, *lines) if taken else lines
        return Verdict(view.field, bad.bad, kind, corrected)
