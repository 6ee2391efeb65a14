"""What a user may say of how a recording becomes a session.

Must not know: recordings, files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class IngestSettings:
    """How a recording becomes a session; ``None`` is what the recording's file says.

    Attributes
    ----------
    fps : float or None
        Frame rate of the recording, Hz (before temporal bins).
    pixel_size_um : float or None
        Micrometres per pixel of the recording (before spatial bins).
    kind : {"raw", "dff"} or None
        Sensor counts or ΔF/F.
    motion_corrected : bool or None
        Whether motion was removed already.
    crop : tuple of int or None
        (y0, y1, x0, x1), pixels of the recording.
    spatial_bin, temporal_bin : int
        Pixels along each side, and frames, that are averaged into one.
    start, stop : int
        Range of frames of the recording.
    dtype : {"uint8", "uint16", "float32"} or None
        Type of the session's frames. ``None`` keeps integers of the recording, and float32 for averages.
    timestamps : bool
        Whether to take the recording's time stamps along.
    compression : {"none", "gzip", "lz4"}
        Of the frames.
    field : ndarray, bool (H, W), optional
        Which pixels of the recording show tissue; default: found.
    behavior : tuple of Path
        Time stamps of behaviour cameras, or tables of events, to keep beside the frames.
    """

    fps: float | None = None
    pixel_size_um: float | None = None
    kind: str | None = None
    motion_corrected: bool | None = None
    crop: tuple[int, int, int, int] | None = None
    spatial_bin: int = 1
    temporal_bin: int = 1
    start: int = 0
    stop: int | None = None
    dtype: str | None = None
    timestamps: bool = True
    compression: str = "none"
    field: np.ndarray | None = None
    behavior: tuple[Path, ...] = ()
