"""Moving bands: what whole rows, or whole columns, have in common in each frame and no tissue has.

Light that flickers faster than a rolling shutter, and interference, lay bands across a frame that move from
one to the next. Tissue is never alike along a whole line: the line's median, less its usual one, is the band.
Knows arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from calcium_lightning.core.frames import Frames
from calcium_lightning.preprocess.motion.registration import shift_frames
from calcium_lightning.preprocess.survey import Survey

#: lines in one direction vary by so many times as much as in the other, and as their noise explains
RATIO, NOISES = 3.0, 4.0
#: places in the recording at which its registered mean is taken, and neighbouring frames at each
PLACES, RUN = 48, 8
#: what is smoother than this share of the field's side stands still, standard deviation
SMOOTH = 0.08


@dataclass(frozen=True)
class Bands:
    """How bands lie, and what the field shows without them.

    Attributes
    ----------
    axis : int
        0: rows are banded, 1: columns.
    strength : float
        Standard deviation of the bands, units of the frames.
    mean : ndarray, float32 (H, W)
        Of the recording.
    usable : ndarray, bool (H, W)
        Pixels that show tissue.
    tissue : ndarray, float32 (H, W), optional
        What is fine in the registered mean, once motion is known; ``mean`` is then what is smooth and stands
        still.
    shifts : ndarray, float32 (T, 2), optional
        The motion that ``tissue`` is moved by.
    """

    axis: int
    strength: float
    mean: np.ndarray
    usable: np.ndarray
    tissue: np.ndarray | None = None
    shifts: np.ndarray | None = None

    def take_off(self, frames: np.ndarray, start: int) -> None:
        """Take bands off float frames (n, H, W), the first of which is frame ``start``, in place."""
        expected = self.mean[None]
        if self.shifts is not None and self.tissue is not None:
            moved = torch.from_numpy(-self.shifts[start : start + len(frames)])
            tissue = torch.from_numpy(self.tissue).expand(len(frames), -1, -1)
            expected = expected + shift_frames(tissue, moved).numpy()
        beyond = frames - expected
        beyond[:, ~self.usable] = np.nan
        profile = _medians(beyond, 2 - self.axis)
        profile -= np.median(profile, 1, keepdims=True)  # the frame keeps its brightness
        frames -= profile[:, :, None] if self.axis == 0 else profile[:, None, :]

    def after_motion(self, session: Frames, shifts: np.ndarray) -> Bands:
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
        tissue = registered - gaussian_filter(registered, sigma, mode="nearest")
        return replace(self, mean=still, tissue=tissue, shifts=shifts)


def _medians(values: np.ndarray, axis: int) -> np.ndarray:
    """Median along an axis, 0 where a line has no value."""
    known = np.isfinite(values).any(axis)
    filled = np.where(np.expand_dims(known, axis), values, 0)
    return np.nanmedian(filled, axis)


def find_bands(survey: Survey, usable: np.ndarray) -> Bands | None:
    """Bands that can be taken off a recording, if there are any."""
    rows, columns = (float(part) for part in np.median(survey.bands, 0))
    height, width = survey.mean.shape
    noise = float(np.median(survey.noise[usable])) if usable.any() else 0.0
    for axis, (here, there, length) in enumerate(((rows, columns, width), (columns, rows, height))):
        if here > RATIO * there and here > NOISES * noise / length**0.5:
            return Bands(axis, here, survey.mean, usable)
    return None
