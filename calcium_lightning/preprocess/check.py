"""What a person should know of a recording before trusting what is found in it, in a few plain lines.

Puts what the other modules found into words; finds nothing itself but what lies open in a
:class:`~calcium_lightning.preprocess.survey.Survey`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from calcium_lightning.core.motion_summary import displaced
from calcium_lightning.io.findings import SMALL
from calcium_lightning.preprocess.bad_frames import BadFrames, Gaps
from calcium_lightning.preprocess.bands import Bands
from calcium_lightning.preprocess.dust import Dust
from calcium_lightning.preprocess.field import FieldOfView
from calcium_lightning.preprocess.fixed_pattern import FixedPattern
from calcium_lightning.preprocess.levels import Levels
from calcium_lightning.preprocess.survey import RUN, Survey
from calcium_lightning.preprocess.turns import interleaved
from calcium_lightning.preprocess.waves import Waves

#: noise of neighbouring frames that is more alike than this isn't a sensor's
ALIKE = 0.15
#: more than this share of the pixels at the recording's own maximum are saturated
SATURATED = 0.005
#: a step that changes the contrast by less than this share adds light that the tissue doesn't see
SAME_CONTRAST = 0.02
#: brightness that falls by more than this share from beginning to end is bleaching
BLEACHED = 0.1
#: frames that are less alike than this show no picture that stays: what stays was taken off, as in ΔF/F
STAYING = 0.75
#: share of values below zero in a movie that lies around it
NEGATIVE = 0.2
#: frames stretched one by one reach both ends of one range, but for this share of it, in this share of
#: frames, with no more than this share of their pixels
SLACK, REACHING, CLIPPED = 0.02, 0.95, 0.002
#: a stuck pixel differs from those around it by this share of the range
ALONE = 0.2
#: an edge that stands still matters where the tissue moves by so much, pixels
MOVING = 0.3
#: motion that differs over the field and was left is worth a try at following it from so many cell diameters
WORTH_A_TRY = 0.05
#: below so many Hz no calcium indicator is followed
SLOW_HZ = 0.5


def is_stretched(survey: Survey) -> bool:
    """Whether (nearly) every frame reaches both ends of one range with a few pixels.

    A sensor's don't, but for those of a pixel that is stuck there.
    """
    low, high = survey.ends.T
    bottom, top = float(low.min()), float(high.max())
    if len(low) < 2 or top <= bottom:
        return False
    slack = SLACK * (top - bottom)
    # Of a hot pixel, which is always there, and stands alone.
    stuck = (survey.mean >= top - slack) | (survey.mean <= bottom + slack)
    if (stuck & (np.abs(survey.mean - median_filter(survey.mean, 3)) > ALONE * (top - bottom))).any():
        return False
    reaching = float(np.mean((low <= bottom + slack) & (high >= top - slack)))
    return reaching >= REACHING and survey.at_ends <= CLIPPED


def looks_like_dff(survey: Survey) -> str:
    """Why a recording of unknown kind is ΔF/F; empty where it isn't, or may not be."""
    if is_stretched(survey) and float(np.median(survey.likeness)) < STAYING:
        return "every frame is stretched to the full range, and no picture stays in them"
    if survey.dtype.kind == "f" and survey.negative > NEGATIVE and survey.highest.max() < SMALL:
        return f"{survey.negative:.0%} of its values are below zero"
    return ""


@dataclass(frozen=True)
class Findings:
    """All that was found in a recording.

    Attributes
    ----------
    survey : Survey
        Of the recording.
    kind : str
        ``raw`` or ``dff``.
    view : FieldOfView
        Where there is no tissue.
    bad : BadFrames
        When there is no picture.
    levels : Levels, optional
        Steps of brightness that are levelled, in the good frames.
    bands : Bands, optional
        Moving bands that are taken off.
    gaps : Gaps, optional
        Of the time stamps.
    dust : Dust, optional
        Spots that are cleared.
    waves : Waves, optional
        Waves that are taken off.
    pattern : FixedPattern, optional
        What stands still over the tissue and is cleared.
    """

    survey: Survey
    kind: str
    view: FieldOfView
    bad: BadFrames
    levels: Levels | None = None
    bands: Bands | None = None
    gaps: Gaps | None = None
    dust: Dust | None = None
    waves: Waves | None = None
    pattern: FixedPattern | None = None

    def lines(self) -> tuple[str, ...]:
        """What a person should know, the most important first, and how noisy it is."""
        noise = self._noise()
        return (*self.warnings(), *([noise] if noise else []))

    def warnings(self) -> tuple[str, ...]:
        """What is unusual, the most important first."""
        parts = [
            self._kind(),
            self._turns(),
            self._frames(),
            self._gaps(),
            self._field(),
            self._pattern(),
            self._dust(),
            self._bands(),
            self._waves(),
            self._levels(),
            self._stretch(),
            self._lossy(),
            self._saturation(),
            self._bleaching(),
        ]
        return tuple(part for part in parts if part)

    def _kind(self) -> str:
        if self.kind == "dff" or not (reason := looks_like_dff(self.survey)):
            return ""
        return f"looks like ΔF/F, not raw counts: {reason}; if it is, ingest with kind=dff"

    def _stretch(self) -> str:
        if not is_stretched(self.survey):
            return ""
        return (
            "each frame was stretched to the full range on its own: extract undoes that as far as the frames "
            "tell by how much; save all frames with one range"
        )

    def _turns(self) -> str:
        if self.kind == "dff" or (count := interleaved(self.survey, ~self.bad.bad)) == 1:
            return ""
        return (
            f"{count} kinds of frames take turns (channels, light sources or planes): ingest each by itself, "
            f"with interleaved={count} and channel=0 to {count - 1}"
        )

    def _frames(self) -> str:
        bad, total = int(self.bad.bad.sum()), self.survey.n_frames
        texts = (
            [f"{bad} of {total} frames hold no picture of their own ({self.bad}): left out"] if bad else []
        )
        if self.bad.new < 1:
            texts.append(
                f"the camera was slower than the file: {self.bad.new:.0%} of its frames are new, the others "
                f"have their values"
            )
        for name, share in self.bad.usual.items():
            why = " (rows lie in each other's places)" if name == "striped" else ""
            texts.append(f"{share:.0%} of the frames are {name}{why}, too many to be left out")
        return "; ".join(texts)

    def _gaps(self) -> str:
        gaps = self.gaps
        if gaps is None or not gaps.count:
            return ""
        return (
            f"time stamps leave out about {gaps.frames} frame{'s' * (gaps.frames != 1)} in {gaps.count} "
            f"gap{'s' * (gaps.count != 1)}, the longest {gaps.longest_s:.2g} s"
        )

    def _field(self) -> str:
        share = float(self.view.field.mean())
        return (
            f"{share:.1%} of the pixels show tissue ({self.view}): the rest is left out" if share < 1 else ""
        )

    def _pattern(self) -> str:
        if not self.pattern:
            return ""
        return (
            "a pattern stands still before the tissue, which moves (dust, prints, or a sensor's own; up to "
            f"{self.pattern.strength:.0%} darker or brighter): levelled, and motion told without it; "
            "clean the lens"
        )

    def _dust(self) -> str:
        if not self.dust or self.pattern:  # which is told of already
            return ""
        spots = f"{len(self.dust)} spot{'s' * (len(self.dust) != 1)}"
        return (
            f"{spots} of dust on the optics (up to {self.dust.strongest:.0%} darker or brighter): levelled; "
            "clean the lens, and look twice at cells there"
        )

    def _bands(self) -> str:
        if self.bands is None:
            return ""
        along = ("rows", "columns")[self.bands.axis]
        return (
            f"moving bands along {along}, {self.bands.strength:.2g} units strong: taken off as far as they "
            "run across the whole field; faint cells may be lost or made up"
        )

    def _waves(self) -> str:
        if not self.waves:
            return ""
        count, pixels = len(self.waves), ", ".join(f"{length:.3g}" for length in self.waves.lengths)
        return (
            f"interference: {count} wave{'s' * (count != 1)} run{'s' * (count == 1)} across the frames, "
            f"{pixels} pixels long and up to {self.waves.strength.max():.2g} units strong: taken off; look "
            "for a loose or unshielded cable"
        )

    def _levels(self) -> str:
        if self.levels is None or not len(self.levels):
            return ""
        count, factors = len(self.levels), self.levels.factors
        if all(abs(factor - 1) < SAME_CONTRAST for factor in factors):
            told = ", ".join(f"{shift:+.3g}" for shift in self.levels.shifts) + " units"
        else:
            told = "factors " + ", ".join(f"{factor:.2f}" for factor in factors)
        return f"{count} step{'s' * (count != 1)} of brightness ({told}): levelled"

    def _lossy(self) -> str:
        survey, signs = self.survey, []
        alike = 1 - survey.lag[1] / survey.lag[RUN - 1] if survey.lag[RUN - 1] > 0 else 0.0
        if alike > ALIKE and self.bands is None and not self.waves:
            signs.append(f"noise repeats itself from frame to frame (r = {alike:.2f})")
        if survey.coded_in_blocks:
            signs.append("blocks of a codec show")
        if not signs:
            return ""
        return (
            f"not as the sensor saw it (lossy compression, or denoised): {' and '.join(signs)}; faint cells "
            "are gone, and what looks like one may be the codec's; record losslessly (FFV1, grey)"
        )

    def _saturation(self) -> str:
        if self.survey.dtype.kind == "f" or self.kind == "dff":
            return ""
        top = self.survey.highest.max()
        field = self.view.field
        share = float((self.survey.highest[field] == top).mean()) if top > self.survey.lowest.min() else 0.0
        return (
            f"{share:.1%} of the pixels reach the largest value, {top}: saturated"
            if share > SATURATED
            else ""
        )

    @property
    def _no_light(self) -> bool:
        """Whether values aren't light, of which there is no less than none: shares of them say nothing."""
        return self.kind == "dff" or bool(self.survey.lowest.min() < 0)

    def _bleaching(self) -> str:
        if self._no_light:
            return ""
        good = ~self.bad.bad
        brightness = self.survey.brightness[good].astype(np.float64)
        if self.levels is not None and len(self.levels.gain) == len(brightness):
            brightness = (brightness - self.levels.offset) / self.levels.gain
        tenth = max(1, len(brightness) // 10)
        first, last = np.median(brightness[:tenth]), np.median(brightness[-tenth:])
        fall = 1 - last / first if first > 0 else 0.0
        return (
            f"brightness falls by {fall:.0%} from beginning to end (bleaching, or a dimmer light)"
            if fall > BLEACHED
            else ""
        )

    def _noise(self) -> str:
        field = self.view.field
        noise, light = float(np.median(self.survey.noise[field])), float(np.median(self.survey.mean[field]))
        if self._no_light or not light > 0 or not noise > 0:
            return ""
        return f"noise {noise:.2g} of a brightness of {light:.3g} ({noise / light:.1%})"


def rate_line(fps: float) -> str:
    """What is told of a frame rate, Hz, that no calcium indicator is followed at; else nothing."""
    if fps >= SLOW_HZ:
        return ""
    return f"{fps:g} Hz: a frame each {1 / fps:g} s; if it is the time between frames, give fps={1 / fps:g}"


def motion_line(
    shifts: np.ndarray,
    nonrigid: float | None,
    edge: float | None = None,
    told: bool = True,
    diameter: float | None = None,
) -> str:
    """What to know of the motion that was removed, (T, 2) pixels, or why none was.

    ``edge``: how many cell diameters from a lens's edge cells must lie; None where no lens shows.
    ``diameter``: of a cell, pixels, where what differs over the field was left; None where it was followed.
    """
    if not told:
        return (
            "no motion removed: frames hold no lasting picture to tell it by (ΔF/F, a mean taken off, or too "
            "dark); if the tissue moves, register the frames before their mean is taken off"
        )
    length = displaced(shifts)
    removed = float(np.sqrt((length**2).mean()))
    if not removed > 0:
        return ""
    text = f"motion of {removed:.2f} px (largest {length.max():.1f}) removed"
    if nonrigid is not None:
        text += f", {nonrigid:.2f} px differ over the field"
        if diameter is not None and nonrigid > WORTH_A_TRY * diameter:
            text += " and were left (if the picture still moves, try 'preprocess.motion.patches=[2,2]')"
    if edge is not None and removed > MOVING:
        text += "; the lens's edge stands still"
        if edge > 0:
            text += (
                f": cells within {edge:g} diameters of it are not accepted "
                "(localize.quality.edge=0 takes them)"
            )
    return text
