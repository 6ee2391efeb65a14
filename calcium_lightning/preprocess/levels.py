"""Steps of brightness, as where two recordings were joined or the light was turned up, and how to level them.

After a step a recording is the same picture with another gain and offset: they are read from the two pictures
around the step. Knows frames only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from calcium_lightning.core.scale import MAD_TO_STD
from calcium_lightning.preprocess.glance import COARSE_SIDE
from calcium_lightning.preprocess.motion.blocks import binned

#: a step changes the brightness by at least this share, and by so many times what it usually changes by
LEAST_STEP, STEP_SPREADS = 0.02, 12.0
#: frames before and after a step that are compared
AROUND = 20
#: the level of those frames must differ by this share of the step
LASTING = 0.7
#: no other change nearby is as large as this share of a step: activity rises and falls in many frames
ALONE = 0.5
#: pictures that correlate less than this aren't the same picture
LIKENESS = 0.9
#: more steps than this are flicker
MOST_STEPS = 32


@dataclass(frozen=True)
class Levels:
    """Each frame was stored as ``level * gain + offset``.

    Attributes
    ----------
    steps : ndarray of int
        The first frame after each step.
    gain, offset : ndarray, float32 (T,)
        1 and 0 in the longest part.
    """

    steps: np.ndarray
    gain: np.ndarray
    offset: np.ndarray

    @property
    def factors(self) -> list[float]:
        """How much brighter the contrast is after each step than before."""
        return [float(self.gain[step] / self.gain[step - 1]) for step in self.steps]

    @property
    def shifts(self) -> list[float]:
        """How much was added to all pixels at each step, beyond its factor; units of the frames."""
        steps = zip(self.steps, self.factors, strict=True)
        return [float(self.offset[step] - factor * self.offset[step - 1]) for step, factor in steps]

    @classmethod
    def none(cls, count: int) -> Levels:
        """No step in so many frames."""
        return cls(np.zeros(0, int), np.ones(count, np.float32), np.zeros(count, np.float32))

    def __len__(self) -> int:
        return len(self.steps)


def find_levels(
    brightness: np.ndarray, frames: Callable[[int, int], np.ndarray], usable: np.ndarray
) -> Levels:
    """Find steps and what they did.

    Parameters
    ----------
    brightness : ndarray (T,)
        Mean of each frame; no bad ones among them.
    frames : callable
        Frames [start, stop) of these.
    usable : ndarray, bool (H, W)
        Pixels that show tissue.
    """
    count = len(brightness)
    gain, offset = np.ones(count, np.float32), np.zeros(count, np.float32)
    steps, slopes, starts = [], [], []
    for step in _candidates(brightness.astype(np.float64)):
        before = _picture(frames(max(0, step - AROUND), step), usable)
        after = _picture(frames(step, min(count, step + AROUND)), usable)
        line = _line(before, after)
        if line is not None:
            steps.append(step)
            slopes.append(line[0])
            starts.append(line[1])
    if not steps:
        return Levels.none(count)
    edges = [0, *steps, count]
    total_gain, total_offset = [1.0], [0.0]
    for slope, start in zip(slopes, starts, strict=True):
        total_gain.append(slope * total_gain[-1])
        total_offset.append(slope * total_offset[-1] + start)
    longest = int(np.argmax(np.diff(edges)))
    reference = total_gain[longest], total_offset[longest]
    for part, (begin, end) in enumerate(pairwise(edges)):
        ratio = total_gain[part] / reference[0]
        gain[begin:end], offset[begin:end] = ratio, total_offset[part] - ratio * reference[1]
    return Levels(np.array(steps), gain, offset)


def _candidates(brightness: np.ndarray) -> list[int]:
    count = len(brightness)
    if count < 8:
        return []
    change = np.diff(brightness)
    spread = MAD_TO_STD * np.median(np.abs(change - np.median(change)))
    least = max(STEP_SPREADS * spread, LEAST_STEP * float(np.median(np.abs(brightness))))
    found = []
    for step in np.flatnonzero(np.abs(change) > least) + 1:
        before, after = brightness[max(0, step - AROUND) : step], brightness[step : step + AROUND]
        if min(len(before), len(after)) < 3:
            continue
        lasting = (np.median(after) - np.median(before)) / change[step - 1]
        others = np.abs(np.r_[change[max(0, step - AROUND) : step - 1], change[step : step + AROUND]])
        alone = others.max(initial=0) < ALONE * abs(change[step - 1])
        if alone and LASTING < lasting < 1 / LASTING:
            found.append(int(step))
    return found if len(found) <= MOST_STEPS else []


def _picture(frames: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Mean of frames (n, H, W), averaged over squares; NaN where they hold no tissue."""
    mean = np.where(usable, frames.mean(0, dtype=np.float64), np.nan)
    side = max(1, max(mean.shape) // (2 * COARSE_SIDE))
    height, width = (length // side * side for length in mean.shape)
    return binned(mean[None, :height, :width].astype(np.float32), side)[0]


def _line(before: np.ndarray, after: np.ndarray, rounds: int = 6) -> tuple[float, float] | None:
    """Slope and start of ``after`` over ``before``, without outliers; None if they aren't one picture."""
    known = np.isfinite(before) & np.isfinite(after)
    x, y = before[known].astype(np.float64), after[known].astype(np.float64)
    if len(x) < 16 or x.std() == 0 or y.std() == 0 or np.corrcoef(x, y)[0, 1] < LIKENESS:
        return None
    keep = np.ones(len(x), bool)
    slope, start = 1.0, 0.0
    for _ in range(rounds):
        # The line of the standardised major axis: neither picture is the truth.
        slope = float(y[keep].std() / x[keep].std())
        start = float(y[keep].mean() - slope * x[keep].mean())
        rest = np.abs(y - slope * x - start)
        keep = rest <= 3 * MAD_TO_STD * np.median(rest) + 1e-12
        if keep.sum() < 16:
            break
    return slope, start
