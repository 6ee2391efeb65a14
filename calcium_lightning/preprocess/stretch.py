"""Frames that were stretched to the full range one by one: their gain and offset, and how to tell.

Some pipelines map every ΔF/F frame to 0..255 on its own, so that the same light is a different number in every
frame. What stays the same is the noise: its level at scales finer than a cell tells the gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.ndimage import gaussian_filter

from calcium_lightning.progress import progress

#: standard deviation of the blur whose rest is taken for noise, pixels
NOISE_SIGMA = 2.0
#: share of the sampled frames that must reach both ends of the range
LEAST_SHARE = 0.95


class Frames(Protocol):
    """What is needed of a session."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""

    def frames(self, start: int, stop: int) -> np.ndarray:
        """Frames [start, stop)."""


@dataclass(frozen=True)
class Stretch:
    """Each frame was stored as ``true * gain + offset``.

    Attributes
    ----------
    gain, offset : ndarray, float32 (T,)
        Median gain 1; offsets so that repaired frames have one median.
    """

    gain: np.ndarray
    offset: np.ndarray


def is_stretched(session: Frames, sample: int = 48) -> bool:
    """Whether nearly every frame reaches both ends of an integer range, which unstretched frames don't."""
    count = session.shape[0]
    reached = []
    for index in np.unique(np.linspace(0, count - 1, min(sample, count)).astype(int)):
        frame = session.frames(int(index), int(index) + 1)[0]
        if frame.dtype.kind != "u":
            return False
        top = np.iinfo(frame.dtype).max
        # JPEG rounds the ends by a few levels.
        slack = top // 50
        reached.append(frame.min() <= slack and frame.max() >= top - slack)
    return len(reached) > 1 and float(np.mean(reached)) >= LEAST_SHARE


def estimate_stretch(session: Frames, chunk: int = 64) -> Stretch:
    """Gain and offset of every frame.

    Parameters
    ----------
    session : Session or anything with ``shape`` and ``frames(start, stop)``
    chunk : int
        Frames at a time.
    """
    count = session.shape[0]
    level, middle = np.zeros(count), np.zeros(count)
    with progress("undoing the stretch of frames", count) as advance:
        for start in range(0, count, chunk):
            frames = session.frames(start, min(start + chunk, count)).astype(np.float32)
            fine = frames - gaussian_filter(frames, (0, NOISE_SIGMA, NOISE_SIGMA))
            stop = start + len(frames)
            level[start:stop] = np.median(np.abs(fine), axis=(1, 2))
            middle[start:stop] = np.median(frames, axis=(1, 2))
            advance(len(frames))
    usable = level > 0
    usual = float(np.median(level[usable])) if usable.any() else 1.0
    gain = np.where(usable, level / usual, 1.0)
    offset = middle - gain * np.median(middle / gain)
    return Stretch(gain.astype(np.float32), offset.astype(np.float32))
