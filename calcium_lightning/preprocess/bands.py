"""Moving bands: what whole rows, or whole columns, have in common in each frame and no tissue has.

Light that flickers faster than a rolling shutter, and interference, lay bands across a frame that move from
one to the next. Tissue is never alike along a whole line: the line's median, less its usual one, is the band.
Knows arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from calcium_lightning.core.frames import Frames
from calcium_lightning.preprocess.expected import Expected
from calcium_lightning.preprocess.survey import Survey

#: lines in one direction vary by so many times as much as in the other, and as their noise explains
RATIO, NOISES = 3.0, 4.0
#: ... or in this share of the frames at least, than in nine of ten in the other direction: interference comes
#: and goes, and lies outside of the frame; jumps of the tissue look like it in .03 of some recordings
SHARE, NEARLY_ALL = 0.1, 0.9


@dataclass(frozen=True)
class Bands:
    """How bands lie, and what the field shows without them.

    Attributes
    ----------
    axis : int
        0: rows are banded, 1: columns.
    strength : float
        Standard deviation of the bands, where there are any, units of the frames.
    expected : Expected
        What frames show without them.
    usable : ndarray, bool (H, W)
        Pixels that show tissue.
    """

    axis: int
    strength: float
    expected: Expected
    usable: np.ndarray

    def take_off(self, frames: np.ndarray, start: int) -> None:
        """Take bands off float frames (n, H, W), the first of which is frame ``start``, in place."""
        beyond = self.expected.beyond(frames, start)
        beyond[:, ~self.usable] = np.nan
        profile = _medians(beyond, 2 - self.axis)
        profile -= np.median(profile, 1, keepdims=True)  # the frame keeps its brightness
        frames -= profile[:, :, None] if self.axis == 0 else profile[:, None, :]

    def after_motion(self, session: Frames, shifts: np.ndarray) -> Bands:
        """The same, of a session whose motion (T, 2) is known; a sample of its frames is looked at."""
        return replace(self, expected=self.expected.after_motion(session, shifts))


def _medians(values: np.ndarray, axis: int) -> np.ndarray:
    """Median along an axis, 0 where a line has no value."""
    # Torch picks the lower of the two in the middle, on all cores: twice in a third of what NumPy takes.
    lines = torch.from_numpy(values)
    lower, upper = lines.nanmedian(axis).values, -(-lines).nanmedian(axis).values
    result: np.ndarray = torch.lerp(lower, upper, 0.5).nan_to_num_(0).numpy()
    return result


def find_bands(survey: Survey, usable: np.ndarray, kept: np.ndarray) -> Bands | None:
    """Bands that can be taken off a recording, if there are any.

    Parameters
    ----------
    survey : Survey
        Of its frames.
    usable : ndarray, bool (H, W)
        Pixels that show tissue.
    kept : ndarray of int or bool
        Frames that hold a picture.
    """
    rows, columns = survey.bands[kept].T
    height, width = survey.mean.shape
    noise = float(np.median(survey.noise[usable])) if usable.any() else 0.0
    for axis, (here, there, length) in enumerate(((rows, columns, width), (columns, rows, height))):
        if not len(here):
            break
        least, typical = NOISES * noise / length**0.5, float(np.median(here))
        if typical > max(RATIO * np.median(there), least):
            return Bands(axis, typical, Expected(survey.mean), usable)
        banded = here > max(RATIO * np.quantile(there, NEARLY_ALL), least)
        if banded.mean() >= SHARE:
            return Bands(axis, float(np.median(here[banded])), Expected(survey.mean), usable)
    return None
