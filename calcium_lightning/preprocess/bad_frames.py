"""When there is no picture: black, white, torn and repeated frames, and gaps in the time stamps.

Judges the figures of a :class:`~calcium_lightning.preprocess.survey.Survey`; looks at no frame itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from calcium_lightning.core.scale import MAD_TO_STD
from calcium_lightning.preprocess.glance import STRIPED
from calcium_lightning.preprocess.survey import Survey

#: a frame with less than this share of the usual contrast holds nothing; with less than the second, nothing
#: if it doesn't look like its neighbours either
NO_CONTRAST, LITTLE_CONTRAST = 0.1, 0.3
#: nor does one that is nearer to black than this share of the usual brightness
NO_LIGHT = 0.15
#: a flash is brighter than the frames before and after by this share of the usual brightness, and by so many
#: times their spread
FLASH, FLASH_SPREADS = 0.5, 10.0
#: how many frames before and after a frame is compared with
NEIGHBOURS = 15
#: a seam is larger than the usual difference between lines, than its own spread, and than most frames' worst,
#: by these factors
SEAM, SEAM_SCORE, SEAM_USUAL = 1.2, 12.0, 2.5
#: ... most frames' worst being that of 19 of 20, or so many times that of three of four: sound ones reach 2.3
SEAM_TAIL = 2.5
#: a line that is rougher than usual by this factor, against its frame, holds noise; and by the second against
#: the roughest line of the best quarter of the frames. Of 80 recordings sound frames reach 1.3 to 1.95
ROUGH, ROUGH_USUAL = 2.0, 1.75
#: ... of a long line: of a short one a cell is a larger part, and it is more by so many over its pixels
SHORT = 30.0
#: where more than this share of the frames is torn, that is how the recording is
MOST_TORN = 0.6
#: ... striped: of so many others something can still be learned
MOST_STRIPED = 0.9
#: repeats of more than this share are how it is, too, not accidents
MOST = 0.2
#: ... but may be left out, many as they are (a camera of 5 Hz in a file of 60), where so many are new
MOST_REPEATED = 0.95
LEAST_NEW = 20
#: where many are repeated, so is what differs from the one before by less than this share of what new ones
#: do: of every frame twice, H.264 and H.265 repeat .6 to 1 exactly, and half of the rest but for .1 of that
ALIKE = 0.2
#: ... and where a codec repeats none exactly (within a lens), as many differ by less than this share of what
#: the tenth that differs most does: .5 of the frames there, of other recordings up to .05
NEARLY = 0.03
#: a frame that is less than this share as like the others as they usually are is another picture, where they
#: are so alike usually ...
LIKENESS, LEAST_LIKENESS = 0.5, 0.8
#: ... and nine of ten are as alike as this: among strong bands .69 and more; of movies whose mean was taken
#: off, in which no picture lasts, .06 to .43
LASTING_LIKENESS = 0.55
#: time between two frames, over the usual, from which some are missing
GAP = 1.5


@dataclass(frozen=True)
class BadFrames:
    """Frames that hold no picture of their own.

    Attributes
    ----------
    kinds : dict of str to ndarray, bool (T,)
        ``black``, ``white``, ``torn``, ``repeated``, ``missing``: what is wrong with which frames. No frame
        is of two kinds.
    usual : dict of str to float
        What happens to so many of the frames (share of them) that it was taken for the recording's nature.
    """

    kinds: dict[str, np.ndarray]
    usual: dict[str, float] = field(default_factory=dict)

    @property
    def new(self) -> float:
        """Share of the frames that are new, where a camera was slower than what wrote its frames down.

        1 where repeats are accidents. Without them, frames come at so much of the rate.
        """
        share = float(self.kinds["repeated"].mean())
        return 1 - share if share > MOST else 1.0

    @property
    def bad(self) -> np.ndarray:
        """Frames that are used for nothing, bool (T,)."""
        return np.logical_or.reduce(list(self.kinds.values()))

    def __str__(self) -> str:
        """Counts by kind; empty where all frames are sound."""
        counts = {name: int(frames.sum()) for name, frames in self.kinds.items()}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def find_bad_frames(survey: Survey, raw: bool, known: np.ndarray | None = None) -> BadFrames:
    """Judge each frame by its figures.

    Parameters
    ----------
    survey : Survey
        Of the recording.
    raw : bool
        Whether frames are counts of light: ΔF/F has no black, and no usual brightness.
    known : ndarray, bool (T,), optional
        Frames that are known to hold none.
    """
    count = survey.n_frames
    missing = np.zeros(count, bool) if known is None else known
    black, white, torn = (np.zeros(count, bool) for _ in range(3))
    usual: dict[str, float] = {}
    contrast, brightness, likeness = survey.contrast, survey.brightness, survey.likeness
    gone = np.zeros(count, bool)
    finite = np.isfinite(contrast) & np.isfinite(likeness)  # damaged floats may be anything
    if raw and finite.any() and contrast[finite].max() > 0:
        lively = finite & (contrast > LITTLE_CONTRAST * np.quantile(contrast[finite], 0.9))
        typical = float(np.median(contrast[lively]))
        light = float(np.median(brightness[lively]))
        floor = float(survey.lowest.min())
        alike, lasting = np.quantile(likeness[lively], [0.5, 0.1])
        empty = contrast < NO_CONTRAST * typical
        empty |= (contrast < LITTLE_CONTRAST * typical) & (likeness < LIKENESS)
        empty |= brightness - floor < NO_LIGHT * (light - floor)
        jump = _beyond_both(brightness, ~empty)
        spread = MAD_TO_STD * np.median(np.abs(jump[~empty])) if (~empty).any() else 0.0
        flash = jump > max(FLASH * (light - floor), FLASH_SPREADS * spread)
        white = (empty & (brightness > light)) | (flash & ~empty)
        black = empty & ~white
        gone = black | white
        if alike > LEAST_LIKENESS and lasting > LASTING_LIKENESS:
            torn = ~gone & (likeness < LIKENESS * alike)
    if (~gone).any():
        most, nearly_all = np.quantile(survey.seam[~gone], [0.75, 0.95], axis=0)
        least = np.maximum(SEAM, SEAM_USUAL * np.minimum(nearly_all, SEAM_TAIL * most))
        torn |= ~gone & ((survey.seam > least) & (survey.seam_score > SEAM_SCORE)).any(1)
        noisy = ROUGH + SHORT / min(survey.mean.shape)
        torn |= ~gone & (survey.rough > max(noisy, ROUGH_USUAL * np.quantile(survey.rough[~gone], 0.25)))
    if torn.mean() > MOST_TORN:
        usual["torn"], torn = float(torn.mean()), np.zeros(count, bool)
    striped = ~gone & (survey.broken > STRIPED)
    if striped.mean() > MOST_STRIPED:
        usual["striped"] = float(striped.mean())
    else:
        torn |= striped
    sound = ~(black | white | torn)
    repeated, nearly = survey.repeated & sound, np.zeros(count, bool)
    known_change = sound & np.isfinite(survey.change)  # of the first frame it isn't
    if known_change.any():
        nearly = known_change & (survey.change < NEARLY * np.quantile(survey.change[known_change], 0.9))
    if nearly.mean() > MOST:
        repeated |= nearly
    if repeated.mean() > MOST:  # a codec doesn't repeat all of them to the last bit
        repeated |= (survey.change < ALIKE * np.median(survey.change[~repeated])) & sound
    share, new = float(repeated.mean()), int((~repeated).sum())
    if raw and (share > MOST_REPEATED or (share > MOST and new < LEAST_NEW)):
        usual["repeated"], repeated = share, np.zeros(count, bool)
    kinds = {"black": black, "white": white, "torn": torn, "repeated": repeated}
    kinds["missing"] = missing & ~np.logical_or.reduce(list(kinds.values()))
    if np.logical_or.reduce(list(kinds.values())).all():  # nothing to compare with
        kinds = {
            name: frames if name == "missing" else np.zeros(count, bool) for name, frames in kinds.items()
        }
    return BadFrames(kinds, usual)


def _beyond_both(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    """How far values (T,) exceed the medians of good frames before and after, the lesser of both."""
    index = np.flatnonzero(good)
    result = np.zeros(len(values))
    if len(index) < 2 * NEIGHBOURS:
        return result
    window = np.lib.stride_tricks.sliding_window_view(values[index].astype(np.float64), NEIGHBOURS)
    medians = np.median(window, 1)
    place = np.searchsorted(index, np.arange(len(values)))
    before = np.clip(place - NEIGHBOURS, 0, len(medians) - 1)
    after = np.clip(np.where(np.isin(np.arange(len(values)), index), place + 1, place), 0, len(medians) - 1)
    return np.minimum(values - medians[before], values - medians[after])


@dataclass(frozen=True)
class Gaps:
    """Where time stamps leave frames out.

    Attributes
    ----------
    count : int
        Gaps.
    frames : int
        Frames that they would have held.
    longest_s : float
        Time between two frames, at most, seconds.
    """

    count: int
    frames: int
    longest_s: float

    @classmethod
    def of(cls, timestamps: np.ndarray) -> Gaps:
        """Look at time stamps (T,), seconds."""
        steps = np.diff(timestamps)
        if not len(steps) or not (usual := float(np.median(steps))) > 0:
            return cls(0, 0, 0.0)
        long = steps[steps > GAP * usual]
        return cls(len(long), int((np.round(long / usual) - 1).sum()), float(steps.max()))
