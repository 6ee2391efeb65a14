"""What a few neighbouring frames of a recording show on their own, whatever came before them.

For: :mod:`~calcium_lightning.preprocess.survey`, which adds up what all of them show; several threads may
look at a time. Judges nothing. Knows arrays only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter1d

from calcium_lightning.core.scale import MAD_TO_STD
from calcium_lightning.preprocess.motion.blocks import binned
from calcium_lightning.preprocess.motion.blocks import blocks as spans

#: frames are averaged over squares until the longer side has about so many: noise is gone, shades stay
COARSE_SIDE = 32
#: lines of a frame are compared along so many pixels, about
LINE_PIXELS = 128
#: lines of so many frames are compared at a time: they stay in the processor's cache
CACHED = 4
#: a pixel counts for at most so many times the usual difference from its neighbours
CLIP = 8.0
#: a picture breaks off between lines that differ by so many times the usual more than those around do; fewer
#: lines tell nothing
BREAK, FEW_LINES = 0.5, 64
#: a frame that breaks off at this share of its rows is striped: .10 to .14 do, and of banded ones .08 at most
STRIPED = 0.09
#: an empty border is this share of the lines at most: a wider one is a part of the picture that is lost
BORDER = 0.2
#: ... and in so many of the frames at least
MOVED = 0.03
#: lines that usually differ by less than this share of what lines do are one line, there several times in
#: frames that were enlarged; of an enlarged frame so many are, and so many beside each other at most
SAME, ENLARGED, TIMES = 0.1, 0.4, 7
#: a frame that is darker, and has less contrast, than this share of the brightest around is next to black
DIM = 0.5


@dataclass(frozen=True)
class FrameFigures:
    """A few figures of each of T frames.

    Attributes
    ----------
    brightness, contrast : ndarray, float32 (T,)
        Mean of each frame, and standard deviation of its shades (noise averaged away).
    likeness : ndarray, float32 (T,)
        Correlation of each frame's shades with the median of its block.
    seam : ndarray, float32 (T, 2)
        How much the worst row of each frame differs from the row above, beyond the rows around it and
        beyond what that row usually does, over the usual difference of rows. Second, differences without
        what they have in common along the row, as where bands lie.
    seam_score : ndarray, float32 (T, 2)
        The same, over its spread.
    rough : ndarray, float32 (T,)
        How much rougher along itself a row or column of each frame is than it usually is, at most, against
        the whole frame.
    broken : ndarray, float32 (T,)
        Share of each frame's rows at which the picture breaks off, without those of a codec's blocks.
    change : ndarray, float32 (T,)
        Mean absolute difference between a frame and the one before; of the first, infinite.
    repeated : ndarray, bool (T,)
        Whether a frame is the same as the one before, pixel by pixel.
    bands : ndarray, float32 (T, 2)
        Standard deviation of what the rows, and the columns, of each frame have beyond their usual mean.
    ends : ndarray (T, 2)
        Lowest and highest value of each frame.
    """

    brightness: np.ndarray
    contrast: np.ndarray
    likeness: np.ndarray
    seam: np.ndarray
    seam_score: np.ndarray
    rough: np.ndarray
    broken: np.ndarray
    change: np.ndarray
    repeated: np.ndarray
    bands: np.ndarray
    ends: np.ndarray


def concatenated(parts: Sequence[FrameFigures]) -> FrameFigures:
    """Those of all frames of some parts, in order."""
    names = [field.name for field in fields(FrameFigures)]
    return FrameFigures(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Glance:
    """What n frames show.

    Attributes
    ----------
    frames : ndarray (n, H, W)
        They themselves.
    figures : FrameFigures
        Of each; how the first differs from the one before isn't known.
    lowest, highest : ndarray (H, W)
        Over them; the highest without frames that hold no picture, as white ones.
    steps : (ndarray, ndarray), float64 (H - 1,) and (W - 1,)
        Mean step between neighbouring rows, and columns.
    sound : ndarray, bool (n,)
        Whether each holds a picture like the others.
    """

    frames: np.ndarray
    figures: FrameFigures
    lowest: np.ndarray
    highest: np.ndarray
    steps: tuple[np.ndarray, np.ndarray]
    sound: np.ndarray


def glance(frames: np.ndarray) -> Glance:
    """Look at neighbouring frames (n, H, W), one or more."""
    height, width = frames.shape[1:]
    lines = np.ascontiguousarray(frames[:, :, :: max(1, width // LINE_PIXELS)])
    some = frames[:, :: max(1, height // LINE_PIXELS)]
    rows, columns = lines.mean(2, dtype=np.float32), some.mean(1, dtype=np.float32)
    # An empty border ends at a line that is half empty.
    border = _empty_border((lines.min(2) == lines.max(2)) | _at_their_least(lines))
    # Where a line is empty in many frames, a mean that was taken off since fits none of the others.
    border = binary_dilation(border | (border.mean(0) >= MOVED), [[1, 1, 1]])
    jumps = [np.where(border[:, 1:] | border[:, :-1], 0, jump) for jump in _jumps(lines, rows)]
    own = _lines_of_their_own(jumps[0])
    jumps = [jump[:, own] for jump in jumps]
    broken = _broken(jumps[1])
    brightness, contrast, likeness, lit = _shades(frames, broken <= STRIPED)
    seams = [_seams(jump, lit) for jump in jumps]
    few = slice(None, None, max(1, len(frames) // 4))
    change = np.concatenate([[np.inf], changes(frames)]).astype(np.float32)
    usual = np.median(contrast)
    sound = (contrast > 0.3 * usual) & (np.abs(brightness - np.median(brightness)) < 3 * usual + 1e-12)
    return Glance(
        frames=frames,
        figures=FrameFigures(
            brightness=brightness.astype(np.float32),
            contrast=contrast,
            likeness=likeness,
            seam=np.column_stack([seam for seam, _ in seams]).astype(np.float32),
            seam_score=np.column_stack([score for _, score in seams]).astype(np.float32),
            rough=np.maximum(_roughness(frames), _roughness(frames.transpose(0, 2, 1))).astype(np.float32),
            broken=broken,
            change=change,
            repeated=_repeats(frames, change),
            bands=np.column_stack([_unusual(rows), _unusual(columns)]).astype(np.float32),
            ends=np.stack([frames.min((1, 2)), frames.max((1, 2))], 1),
        ),
        lowest=frames.min(0),
        highest=(frames if sound.all() or not sound.any() else frames[sound]).max(0),
        steps=(
            _distance(lines[few, 1:], lines[few, :-1]).mean((0, 2), dtype=np.float64),
            _distance(some[few, :, 1:], some[few, :, :-1]).mean((0, 1), dtype=np.float64),
        ),
        sound=sound,
    )


def _shades(frames: np.ndarray, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Brightness and contrast of each frame, and its likeness with the median of the more contrasted half.

    ``whole``: frames of one piece, bool (n,); which of them aren't next to black, and tell what is usual, is
    given, too.
    """
    sides = frames.shape[1:]
    bin_ = min(max(1, max(sides) // COARSE_SIDE), *sides)
    height, width = (side // bin_ * bin_ for side in sides)
    coarse = binned(frames[:, :height, :width], bin_).reshape(len(frames), -1)
    brightness = coarse.mean(1, dtype=np.float64)
    coarse = coarse - brightness[:, None].astype(np.float32)
    contrast = np.sqrt(np.square(coarse).mean(1))
    lit = _lit(brightness, contrast)
    lit = lit & whole if (lit & whole).any() else lit
    typical = np.median(coarse[lit & (contrast >= np.median(contrast[lit]))], 0)
    scale = contrast * np.sqrt(np.square(typical).mean())
    likeness = np.divide(
        coarse @ typical / len(typical), scale, out=np.zeros(len(frames), np.float32), where=scale > 0
    )
    return brightness, contrast, likeness, lit


def _lit(brightness: np.ndarray, contrast: np.ndarray) -> np.ndarray:
    """Frames that aren't next to black beside others: what they show tells what is usual, bool (n,)."""
    bright, strong = (values > DIM * np.quantile(values, 0.98) for values in (brightness, contrast))
    lit: np.ndarray = bright | strong
    return lit if lit.any() else ~lit


def changes(frames: np.ndarray) -> np.ndarray:
    """Mean absolute difference of frames (n, H, W) from the ones before, (n - 1,), in a few of the lines."""
    few = frames[:, :: 8 if min(frames.shape[1:]) >= 64 else 1]
    return _distance(few[1:], few[:-1]).mean((1, 2), dtype=np.float32)


def _repeats(frames: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Whether each frame (n, H, W) is the one before; of the first it isn't known."""
    same = change == 0
    for index in np.flatnonzero(same):
        same[index] = np.array_equal(frames[index], frames[index - 1])
    return same


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Absolute difference, of the same type."""
    if first.dtype.kind == "f":
        return np.abs(first - second)
    return np.maximum(first, second) - np.minimum(first, second)


def _jumps(lines: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much neighbouring lines of frames (n, H, W') with means (n, H) differ, twice (n, H - 1).

    Mean absolute difference; and without what the differences have in common along the line, as where bands
    lie. One bright pixel is little in either.
    """
    absolute, without = (np.empty((len(lines), lines.shape[1] - 1), np.float32) for _ in range(2))
    for start, stop in spans(len(lines), CACHED):
        step = np.diff(lines[start:stop].astype(np.float32), axis=1)
        absolute[start:stop] = np.abs(step).mean(2)
        step -= np.diff(means[start:stop], axis=1)[:, :, None]
        without[start:stop] = np.abs(step, out=step).mean(2)
    return absolute, without


def _at_their_least(lines: np.ndarray) -> np.ndarray:
    """Which lines of frames (n, H, W') are all along as dark as they ever are, (n, H): they hold nothing.

    Empty ones are of one value, but for what was taken off since, as the mean of all frames.
    """
    least: np.ndarray = (lines == lines.min(0)).all(2)
    return least


def _empty_border(empty: np.ndarray) -> np.ndarray:
    """Which of the empty lines (n, H) are the border that registration leaves where it moves frames."""
    widest = int(BORDER * empty.shape[1])
    border = np.zeros_like(empty)
    for side, found in ((empty, border), (empty[:, ::-1], border[:, ::-1])):
        run = np.logical_and.accumulate(side, axis=1)
        found |= run & (run.sum(1) <= widest)[:, None]
    few = border.any(1).mean() < MOVED  # it may be lines that were lost
    return border & (not few)


def _lines_of_their_own(jump: np.ndarray) -> np.ndarray:
    """Which differences of neighbouring lines (n, lines) aren't of a line and itself, bool (lines,)."""
    typical = np.median(jump, 0)
    same = len(typical) * typical < SAME * typical.sum()
    ends = np.flatnonzero(np.diff(same, prepend=False, append=False))
    enlarged = same.sum() > ENLARGED * len(same) and (ends[1::2] - ends[::2]).max() <= TIMES
    return ~same if enlarged else np.ones_like(same)


def _seams(jump: np.ndarray, lit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seams of frames from the differences between their neighbouring lines (n, lines): (n,) and (n,).

    Optics blur whatever is real over some lines: a difference that neither the lines around have, nor that
    line in other frames, is a seam of two pictures. ``lit``: those that tell what is usual, bool (n,).
    """
    count, lines = jump.shape
    if lines < 8 or count < 3:
        return np.zeros(count), np.zeros(count)
    beyond = jump - _around(jump)
    beyond -= np.median(beyond[lit], 0)
    spread = MAD_TO_STD * np.median(np.abs(beyond[lit])) + 1e-12
    usual = np.median(jump[lit]) + 1e-12
    worst = beyond.max(1)
    return worst / usual, worst / spread


def _broken(jump: np.ndarray) -> np.ndarray:
    """At which share of its lines a frame breaks off, (n,), from differences of neighbouring ones (n, lines).

    As :func:`_seams`, but of lines that break in all frames: of stripes, whose packets lie in each other's
    places, every 13th does, or every 7th. Of a codec's blocks it is every 8th: what one or two of eight lines
    have beyond the others doesn't count.
    """
    count, lines = jump.shape
    if lines < FEW_LINES:
        return np.zeros(count, np.float32)
    breaks = jump - _around(jump) > BREAK * np.median(jump, 1, keepdims=True) + 1e-9
    shares = np.sort(breaks[:, : lines // 8 * 8].reshape(count, -1, 8).mean(1, dtype=np.float32), 1)
    found: np.ndarray = shares[:, :6].mean(1)
    return found


def _around(jump: np.ndarray) -> np.ndarray:
    """The largest of differences (n, lines) some lines before and behind each: optics blur over as many."""
    lines = jump.shape[1]
    padded = np.pad(jump, ((0, 0), (3, 3)), mode="reflect")
    largest: np.ndarray = np.maximum.reduce([padded[:, 3 + k : 3 + k + lines] for k in (-3, -2, 2, 3)])
    return largest


def _roughness(frames: np.ndarray) -> np.ndarray:
    """How much rougher along itself a row is than usual, at most, against the rest of the frame, (n,).

    What is lost on the way from a sensor is some of its lines, or a part of one. Bands lift whole lines: they
    make neighbouring ones differ, but none of them rougher.
    """
    count, height, width = frames.shape
    if height < 8 or width < 8 or count < 3:
        return np.ones(count)
    step = max(1, 2 * width // LINE_PIXELS)
    few = _bends(frames[:: max(1, count // 8)], step)
    usual = max(float(np.median(few)), 0.25 * float(few.mean()))
    row = np.empty((count, height), np.float32)
    for start, stop in spans(count, CACHED):
        bend = _bends(frames[start:stop], step)
        row[start:stop] = np.minimum(bend, CLIP * usual, out=bend).mean(2)  # one bright pixel is no rough row
    usually, border = np.median(row, 0), _empty_border((row == 0) | _at_their_least(frames[:, :, ::step]))
    hidden = (border.mean(0) >= 0.5) & ~border.all(0)  # which says nothing of what is usual there
    usually[hidden] = np.nanmedian(np.where(border, np.nan, row)[:, hidden], axis=0)
    floor = 0.25 * np.median(row) + 1e-12
    ratio = (row + floor) / (usually + floor)
    ratio /= np.median(ratio, 1, keepdims=True)
    return ratio.max(1)


def _bends(frames: np.ndarray, step: int) -> np.ndarray:
    """How far pixels of rows (n, H, W) lie from the mean of the two beside them, every ``step``-th pixel.

    Of a slope it is 0, and of what optics blur it is small.
    """
    last = frames.shape[2] - 2
    left, middle, right = (frames[:, :, k : last + k : step].astype(np.float32) for k in range(3))
    left += right
    left *= -0.5
    left += middle
    return np.abs(left, out=left)


def _unusual(profile: np.ndarray) -> np.ndarray:
    """Standard deviation of what lines (n, lines) have beyond their median over frames and what is smooth."""
    length = profile.shape[1]
    beyond = profile - np.median(profile, 0)
    beyond -= gaussian_filter1d(beyond, max(1.0, length / 8), axis=1, mode="nearest")
    return beyond.std(1)
