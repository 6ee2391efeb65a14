"""What a recording holds no data for: NaN, as programs leave it where motion correction had nothing to show.

Fills it while frames stream by, so that a session holds numbers only, and says afterwards which pixels and
which frames were never seen; where frames are read in any order, it looks at them before. Knows arrays only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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

    def look(self, frames: np.ndarray) -> np.ndarray | None:
        """Count what is missing in the next frames (n, H, W): which values, bool, or None where none are."""
        missing = np.isnan(frames) if frames.dtype.kind == "f" else np.zeros((len(frames), 1, 1), bool)
        self._shares.append(1 - missing.mean((1, 2)))
        if not missing.any():
            return None
        self._count += missing.sum(0)
        return missing

    def fill(self, frames: np.ndarray) -> np.ndarray:
        """Frames (n, H, W) in order, without NaN; integers, and frames without it, as they are."""
        missing = self.look(frames)
        if missing is None:
            self._last = frames[-1]
            return frames
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

    @property
    def everything(self) -> bool:
        """Whether nothing is left: no frame with a picture, or no pixel that such frames show."""
        return bool(self.bad_frames.all() or not self.field.any())

    @property
    def in_words(self) -> str:
        """How much of the recording is no data."""
        outside, empty = 1 - self.field.mean(), int(self.bad_frames.sum())
        parts = [f"{outside:.1%} of the pixels are outside /field"] if outside else []
        parts += [f"{empty} frames are in /bad_frames"] if empty else []
        return f"NaN is taken for no data: {' and '.join(parts) or 'a few values, filled'}"


@dataclass(frozen=True)
class Gaps:
    """What frames that are read in any order miss, and what stands there instead.

    Attributes
    ----------
    missing : Missing
        What all of them miss.
    usual : ndarray (H, W)
        What a pixel holds on average where it is seen; that of all pixels where it never is.
    """

    missing: Missing
    usual: np.ndarray

    @classmethod
    def of(cls, blocks: Iterable[np.ndarray], size: tuple[int, int]) -> Gaps | None:
        """Those of all frames, in blocks (n, H, W); None where nothing is missing."""
        missing, total, seen = Missing(size), np.zeros(size), np.zeros(size, np.int64)
        for block in blocks:
            gone = missing.look(block)
            total += np.nansum(block, axis=0, dtype=float)
            seen += len(block) if gone is None else (~gone).sum(0)
        if not missing.any:
            return None
        mean = total.sum() / max(int(seen.sum()), 1)
        return cls(missing, np.where(seen > 0, total / np.maximum(seen, 1), mean))

    def fill(self, frames: np.ndarray) -> None:
        """Fill NaN in frames (n, H, W), in place."""
        gone = np.isnan(frames)
        if gone.any():
            np.copyto(frames, self.usual, where=gone, casting="unsafe")
