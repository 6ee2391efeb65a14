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
        self._session = Session(path)
        self.shape, self.dtype = self._session.shape, self._session.dtype
        self.fps, self.pixel_size_um = self._session.fps, self._session.pixel_size_um
        self.kind, self.motion_corrected = self._session.kind, self._session.motion_corrected
        self.timestamps = self._session.timestamps
        self.field, self.bad_frames = self._session.field, self._session.bad_frames
        self.field_given = self._session.field_given
        self.about, self.behavior = self._session.about, self._session.behavior
        self.shifts: np.ndarray | None = self._session.shifts
        self.truth: Truth | None = self._session.truth

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop), aligned to the file's chunks."""
        step = max(1, size // self._session.chunk_frames) * self._session.chunk_frames
        begin = start
        while begin < stop:
            end = min((begin // step + 1) * step, stop)
            yield self._session.frames(begin, end)
            begin = end

    def close(self) -> None:
        """Close the file."""
        self._session.close()
