"""Frames: the least that a stage asks of a recording.

Whatever has these three has a recording's door: a session file, an array behind
:class:`~calcium_lightning.io.array_session.ArraySession`, a reader of one's own. Must not know: where frames
come from.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

#: pixels of the frames that are worked on at a time: 64 frames of 256x256
PIXELS = 64 * 256**2


def at_a_time(height: int, width: int) -> int:
    """How many frames of a size are worked on at a time: the fewer the larger they are, and one at least."""
    return max(1, PIXELS // (height * width))


class Frames(Protocol):
    """Frames that can be asked for by number."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Type of a pixel."""
        ...

    def frames(self, start: int, stop: int) -> np.ndarray:
        """Frames [start, stop), (n, H, W)."""
        ...
