"""Frames that take turns: two light sources or focal planes, frame by frame, in one recording.

Knows figures of frames only.
"""

from __future__ import annotations

import numpy as np

from calcium_lightning.preprocess.survey import Survey

#: so many may take turns
MOST = 6
#: their brightness or contrast differs by so many times what each changes by, beside slow changes ...
APART = 3.0
#: ... and by at least this share
LEAST = 0.02
#: fewer rounds than this say nothing
ROUNDS = 8


def interleaved(survey: Survey, good: np.ndarray) -> int:
    """How many kinds of frames take turns; 1 where all are of one kind.

    Parameters
    ----------
    survey : Survey
        Of counts of light.
    good : ndarray, bool (T,)
        Frames that hold a picture.
    """
    for count in range(2, MOST + 1):
        if any(_takes_turns(values, good, count) for values in (survey.brightness, survey.contrast)):
            return count
    return 1


def _takes_turns(values: np.ndarray, good: np.ndarray, count: int) -> bool:
    length = len(values)
    if length < count * ROUNDS:
        return False
    values, every = values.astype(np.float64), np.arange(length)
    for which in range(count):  # a frame without a picture is as those of its kind before and behind it
        alike = every[good & (every % count == which)]
        if len(alike) < ROUNDS:
            return False
        lost = every[~good & (every % count == which)]
        values[lost] = np.interp(lost, alike, values[alike])
    # A mean over a whole round holds what is slow, and nothing of the turns.
    window = np.ones(count) if count % 2 else np.r_[0.5, np.ones(count - 1), 0.5]
    usual = np.convolve(values, window / count, mode="valid")
    before = (len(window) - 1) // 2
    rest = values[before : before + len(usual)] - usual
    parts = [rest[which::count] for which in range(count)]
    middles = np.array([np.median(part) for part in parts])
    # Of which two kinds would make two modes: a median absolute deviation may see only one of them.
    spread = max(float(np.ptp(np.percentile(part, [16, 84]))) / 2 for part in parts)
    apart = float(np.ptp(middles))
    return apart > APART * spread and apart > LEAST * abs(float(np.median(values[good])))
