"""The number type of a session's frames, and the cast to it: nothing is lost in silence.

Knows arrays and a recording's type; nothing of files.
"""

from __future__ import annotations

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.ingest_settings import IngestSettings
from calcium_lightning.io.readers.base import Recording

#: fewer distinct levels than this are left of fractions: rounding them to integers would lose the recording
MIN_LEVELS = 16


def session_dtype(recording: Recording, settings: IngestSettings) -> np.dtype:
    """The type that was asked for, or the recording's integers, or float32 for averages and fractions.

    Raises
    ------
    InputError
        For a type that no session holds.
    """
    if settings.dtype is not None:
        if settings.dtype not in ("uint8", "uint16", "float32"):
            raise InputError(f"dtype={settings.dtype}: uint8, uint16 or float32")
        return np.dtype(settings.dtype)
    if recording.dtype.kind == "f" or settings.spatial_bin > 1 or settings.temporal_bin > 1:
        return np.dtype(np.float32)
    return np.dtype(np.uint8 if recording.dtype.itemsize == 1 and recording.dtype.kind in "ub" else np.uint16)


class Cast:
    """Casts blocks to the session's type and refuses to lose anything silently."""

    def __init__(self, recording: Recording, dtype: np.dtype) -> None:
        self._recording, self._dtype = recording, dtype
        self._fractions = False
        self._low, self._high = np.inf, -np.inf

    def __call__(self, block: np.ndarray, first_frame: int) -> np.ndarray:
        """Cast frames (n, H, W), of which the first is the recording's ``first_frame``."""
        dtype = self._dtype
        if block.dtype == dtype:
            return np.ascontiguousarray(block)
        if block.dtype.kind == "b":
            return block.astype(dtype)
        if dtype.kind == "f":
            with np.errstate(over="ignore"):
                cast = block.astype(dtype)
            if block.dtype.itemsize > 4 and not np.isfinite(cast).all():
                raise InputError(
                    f"{self._recording.path}: values from frame {first_frame} on are too large for float32"
                )
            return cast
        if block.dtype.kind == "f":
            rounded = np.rint(block)
            self._fractions = self._fractions or bool((rounded != block).any())
            block = rounded
        low, high = block.min(), block.max()
        limit = np.iinfo(dtype).max
        if low < 0 or high > limit:
            value = low if low < 0 else high
            wider = "dtype=uint16 or dtype=float32" if low >= 0 and high <= 65535 else "dtype=float32"
            raise InputError(
                f"{self._recording.path}: {value} about frame {first_frame} doesn't fit {dtype} (0 to "
                f"{limit}); {wider} keeps it"
            )
        self._low, self._high = min(self._low, float(low)), max(self._high, float(high))
        return block.astype(dtype)

    def check_levels(self) -> None:
        """Refuse integers that can't hold a recording of small fractions."""
        if self._fractions and self._recording.dtype.kind == "f" and self._high - self._low < MIN_LEVELS:
            raise InputError(
                f"{self._recording.path}: dtype={self._dtype} would leave {int(self._high - self._low) + 1} "
                "grey levels "
                "of its fractions; dtype=float32 keeps them"
            )
