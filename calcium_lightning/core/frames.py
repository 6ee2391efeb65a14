"""Frames: the least that a stage asks of a recording.

Whatever has these three has a recording's door: a session file, an array behind
:class:`~calcium_lightning.io.array_session.ArraySession`, a reader of one's own. Must not know: where frames
come from.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np


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
