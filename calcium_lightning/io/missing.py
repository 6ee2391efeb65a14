"""What a recording holds no data for: NaN, as programs leave it where motion correction had nothing to show.

Fills it while frames stream by, so that a session holds numbers only, and says afterwards which pixels and
which frames were never seen. Knows arrays only.
"""

from __future__ import annotations

import numpy as np

#: a pixel that is missing in more than this share of the frames isn't part of the field
MISSING = 0.02
#: a frame with less than this share of the usual pixels holds no picture
LEAST_PICTURE = 0.5


class Missing:
    """Fills NaN in the frames of one recording, and remembers where it was.

    A pixel that is missing now and then keeps its last value, one that wasn't seen yet gets the first frames'
    median.

    Parameters
    ----------
    size : (int, int)
        (H, W).
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._count = np.zeros(size, np.int64)
        self._shares: list[np.ndarray] = []
        self._last: np.ndarray | None = None

    def fill(self, frames: np.ndarray) -> np.ndarray:
        """Frames (n, H, W) in order, without NaN; integers, and frames without it, as they are."""
        if frames.dtype.kind != "f":
            self._shares.append(np.ones(len(frames)))
            return frames
        missing = np.isnan(frames)
        self._shares.append(1 - missing.mean((1, 2)))
        if not missing.any():
            self._last = frames[-1]
            return frames
        self._count += missing.sum(0)
        if self._last is None:
            known = frames[~missing]
            usual = np.median(known) if known.size else 0.0
            self._last = np.full(frames.shape[1:], usual, frames.dtype)
        # The last frame in which each pixel was seen; 0 is the one before these.
        seen = np.where(missing, 0, np.arange(1, len(frames) + 1)[:, None, None])
        np.maximum.accumulate(seen, axis=0, out=seen)
        filled = np.take_along_axis(np.concatenate([self._last[None], frames]), seen, axis=0)
        self._last = filled[-1]
        return filled

    @property
    def any(self) -> bool:
        """Whether anything was missing."""
        return bool(self._count.any())

    @property
    def bad_frames(self) -> np.ndarray:
        """Frames without a picture, bool (T,)."""
        shares = np.concatenate(self._shares)
        return shares < LEAST_PICTURE * np.median(shares) if shares.any() else np.ones(len(shares), bool)

    @property
    def field(self) -> np.ndarray:
        """Pixels that the frames with a picture show, bool (H, W)."""
        bad = self.bad_frames
        return self._count - bad.sum() <= MISSING * (~bad).sum()
