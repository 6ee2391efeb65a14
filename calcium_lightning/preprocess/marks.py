"""Burned-in marks that change: the time of day, a frame counter, a pointer.

What stands still never changes, and is found by that (:mod:`~calcium_lightning.preprocess.field`). A clock
does change, but as no tissue does: optics blur whatever is real over some pixels, and its digits leap between
neighbouring pixels by a good part of the brightness. Knows arrays only.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_closing, binary_dilation, label

from calcium_lightning.preprocess.defects import Detail

#: what a pixel has beyond its neighbours varies by so many times the usual noise, and by that share of the
#: usual brightness
NOISES, LIGHT = 6.0, 0.1
#: strokes this near each other are one mark; fewer pixels than that are single defects
GAP, LEAST = 5, 12
#: more than this share of the field is a recording of another kind
MOST = 0.1


def changing_marks(detail: Detail) -> np.ndarray:
    """Pixels of marks that change, and of the ground between their strokes, bool (H, W)."""
    height, width = detail.mean.shape
    usual = max(float(np.median(detail.noise)), 1e-12)
    sharp = detail.noise > max(NOISES * usual, LIGHT * float(np.median(np.abs(detail.mean))))
    if not sharp.any():
        return sharp
    padded = np.pad(sharp, GAP)
    together = binary_closing(padded, np.ones((GAP, GAP)))[GAP : GAP + height, GAP : GAP + width]
    parts, _ = label(together, np.ones((3, 3)))
    large = np.bincount(parts.ravel(), weights=sharp.ravel()) >= LEAST
    large[0] = False
    marks = binary_dilation(large[parts], np.ones((3, 3)))
    return marks if marks.mean() <= MOST else np.zeros_like(marks)
