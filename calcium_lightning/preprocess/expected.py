"""What frames are expected to show, so that what lies over them can be told from it.

As long as the motion isn't known, the mean of the recording; then, what is smooth in it (light and lens,
which stand still) and what is fine in the registered mean (tissue, which moves). Knows frames and their
motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from calcium_lightning.core.frames import Frames
from calcium_lightning.preprocess.motion.registration import shift_frames

#: places in the recording at which its registered mean is taken, and neighbouring frames at each
PLACES, RUN = 48, 8
#: what is smoother than this share of the field's side stands still, standard deviation
SMOOTH = 0.08


@dataclass(frozen=True)
class Expected:
    """The picture under what moves over it.

    Attributes
    ----------
    mean : ndarray, float32 (H, W)
        Of the recording; once motion is known, what is smooth in it.
    tissue : ndarray, float32 (H, W), optional
        What is fine in the registered mean, once motion is known.
    shifts : ndarray, float32 (T, 2), optional
        The motion that ``tissue`` is moved by, pixels.
    """

    mean: np.ndarray
    tissue: np.ndarray | None = None
    shifts: np.ndarray | None = None

    def beyond(self, frames: np.ndarray, start: int) -> np.ndarray:
        """What frames (n, H, W) have beyond it, the first of which is frame ``start``; float32."""
        expected = self.mean[None]
        if self.shifts is not None and self.tissue is not None:
            moved = torch.from_numpy(-self.shifts[start : start + len(frames)])
            tissue = torch.from_numpy(self.tissue).expand(len(frames), -1, -1)
            expected = expected + shift_frames(tissue, moved).numpy()
        result: np.ndarray = frames - expected
        return result

    def after_motion(self, session: Frames, shifts: np.ndarray) -> Expected:
        """The same, of a session whose motion (T, 2) is known; a sample of its frames is looked at."""
        total = np.zeros(self.mean.shape)
        count, starts = 0, np.linspace(0, max(0, len(shifts) - RUN), PLACES).astype(int)
        for start in np.unique(starts).tolist():
            frames = torch.from_numpy(session.frames(start, min(start + RUN, len(shifts))))
            still = shift_frames(frames, torch.from_numpy(shifts[start : start + len(frames)]))
            total += still.sum(0).numpy()
            count += len(frames)
        registered, sigma = (total / count).astype(np.float32), SMOOTH * max(self.mean.shape)
        # Light and lens stand still, and what they shade is smooth; what is fine moves with the tissue.
        still = gaussian_filter(self.mean, sigma, mode="nearest")
        return Expected(still, registered - gaussian_filter(registered, sigma, mode="nearest"), shifts)
