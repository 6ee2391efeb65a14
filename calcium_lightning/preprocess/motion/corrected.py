"""A recording with its motion undone, in pieces: what movies are made of.

Motion is undone as a whole; what differs over the field stays. Knows sessions and how frames are shifted;
nothing of what is done with the frames.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.preprocess.motion.registration import shift_frames

#: frames that are shifted at once
BLOCK = 64


class CorrectedMovie:
    """The frames of a session, moved back into place.

    Parameters
    ----------
    session : BaseSession
        The recording.
    shifts : ndarray, float32 (T, 2)
        How far the tissue had gone in each frame (dy, dx), pixels.

    Attributes
    ----------
    shape : (int, int, int)
        (T, H, W).
    dtype : dtype
        Of the recording.
    fps : float
        Hz.
    field : ndarray, bool (H, W)
        Which pixels show tissue.
    """

    def __init__(self, session: BaseSession, shifts: np.ndarray) -> None:
        self.shape, self.dtype = session.shape, session.dtype
        self.fps, self.field = session.fps, session.field
        self._session = session
        self._shifts = torch.from_numpy(np.ascontiguousarray(shifts, np.float32))

    def blocks(self) -> Iterator[np.ndarray]:
        """Frames (n, H, W), float32, in order."""
        for start, frames in self._session.chunks(BLOCK):
            block = torch.from_numpy(frames.astype(np.float32))
            yield shift_frames(block, self._shifts[start : start + len(block)]).numpy()

    def sample(self, count: int) -> np.ndarray:
        """So many frames from all over the recording, as they were recorded, (n, H, W)."""
        spread = np.unique(np.linspace(0, self.shape[0] - 1, count).astype(int))
        return np.stack([self._session.frames(int(t), int(t) + 1)[0] for t in spread])
