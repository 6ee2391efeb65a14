"""Our own session files as input: to crop, bin or cut what was ingested before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from calcium_lightning.core.truth import Truth
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.session import Session


class SessionRecording(Recording):
    """A session file; its shifts and truth go along.

    Attributes
    ----------
    session : Session
        The file.
    field : ndarray
        Which pixels are recording, bool (H, W).
    field_given : bool
        Whether a person said so.
    shifts : ndarray or None
        Estimated motion, float32 (T, 2).
    truth : Truth or None
        Passed on to the new session, read for nothing else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.session = Session(path)
        self.shape, self.dtype = self.session.shape, self.session.dtype
        self.fps, self.pixel_size_um = self.session.fps, self.session.pixel_size_um
        self.kind, self.motion_corrected = self.session.kind, self.session.motion_corrected
        self.timestamps = self.session.timestamps
        self.field, self.bad_frames = self.session.field, self.session.bad_frames
        self.field_given = self.session.field_given
        self.about, self.behavior = self.session.about, self.session.behavior
        self.shifts: np.ndarray | None = self.session.shifts
        self.truth: Truth | None = self.session.truth

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop), aligned to the file's chunks."""
        step = max(1, size // self.session.chunk_frames) * self.session.chunk_frames
        begin = start
        while begin < stop:
            end = min((begin // step + 1) * step, stop)
            yield self.session.frames(begin, end)
            begin = end

    def close(self) -> None:
        """Close the file."""
        self.session.close()
