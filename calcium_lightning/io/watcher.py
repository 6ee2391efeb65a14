"""Whoever looks at a recording's frames while they are written, and says what is no picture.

For: :mod:`~calcium_lightning.io.convert`, which calls it, and the room that knows how to look.
Must not know: how it looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Said:
    """What is said of a recording, by its file or by a person; None where nothing is.

    Attributes
    ----------
    kind : {"raw", "dff"} or None
    motion_corrected : bool or None
    """

    kind: str | None = None
    motion_corrected: bool | None = None


@dataclass(frozen=True)
class Known:
    """What is known of a session before its frames were looked at.

    Attributes
    ----------
    field : ndarray, bool (H, W)
        Which pixels show tissue, as far as that is known.
    given : bool
        Whether a person drew the field.
    bad_frames : ndarray, bool (T,)
        Which frames are known to hold no picture.
    said : Said
        What the recording is.
    """

    field: np.ndarray
    given: bool
    bad_frames: np.ndarray
    said: Said


@dataclass(frozen=True)
class Verdict:
    """What was seen in the frames of a session.

    Attributes
    ----------
    field : ndarray, bool (H, W)
        Which pixels show tissue.
    bad_frames : ndarray, bool (T,)
        Which frames hold no picture.
    kind : {"raw", "dff"} or None
        What the frames are after all; None where that was right.
    motion_corrected : bool or None
        Whether motion was removed already, with another ``kind``; None where that was right.
    """

    field: np.ndarray
    bad_frames: np.ndarray
    kind: str | None = None
    motion_corrected: bool | None = None


class Watcher(Protocol):
    """Looks at the frames of a session while they are written."""

    def start(self, shape: tuple[int, int, int], dtype: np.dtype) -> None:
        """Frames (T, H, W) of a type will come."""

    def add(self, frames: np.ndarray) -> None:
        """The next frames (n, H, W)."""

    def judge(self, known: Known) -> Verdict:
        """What was seen in all of them, beyond what is known already."""
