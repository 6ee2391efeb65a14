"""Where there is no tissue: outside a lens, black frames, dead and stuck lines, burned-in text.

What is no picture of the tissue gives itself away: it never changes, or it is sharper than optics can be and
stands still, or it is a dark plain behind a steep edge that stands still. Judges the images of a
:class:`~calcium_lightning.preprocess.survey.Survey`; looks at no frame itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import (
    binary_closing,
    binary_dilation,
    binary_fill_holes,
    binary_opening,
    distance_transform_edt,
    gaussian_filter,
    gaussian_filter1d,
    gaussian_gradient_magnitude,
    label,
    median_filter,
)

from calcium_lightning.core.scale import MAD_TO_STD
from calcium_lightning.preprocess.survey import Survey

#: so few pixels that never change are single defects, which are filled
LEAST_STILL = 4
#: length over which a line must differ from the lines beside it, pixels, and as a share of the side
LINE_LENGTH, LINE_SHARE = 31, 0.25
#: a line is farther from those beside it than so many times their span, and than their usual scatter
LINE_SPANS, LINE_SCATTER = 2.0, 8.0
#: ... and than this share of the brightness
LINE_LIGHT = 0.02
#: where a line was found, the rest of it needs this share of all that
LINE_REST = 0.35
#: brightness of a dark plain, from the darkest (0) to the usual (1); the darkest is less than that share of
#: the usual
DARK, DARKEST = 0.12, 0.5
#: slope of a plain, of that scale over the field's side, at most; how far it is from its own edge, pixels
PLAIN_SLOPE, PLAIN_DEPTH = 6.0, 3
#: least area of a plain, as a share of the field
LEAST_PLAIN = 0.002
#: an edge rises at least so far, within this share of the field's side
LEAST_RISE, EDGE_WIDTH = 0.35, 0.14
#: an edge is so many times as steep as the plain before it
STEEPNESS = 12.0
#: behind a shining rim the brightness rises again: flat, then steep, as shares of the steepest
RIM_FLAT, RIM_SLOPE = 0.1, 0.35
#: the field begins so far behind the steepest place of the edge, pixels
EDGE_BLUR = 1.5
#: less than this share of the pixels can't be a field
LEAST_FIELD = 0.05


@dataclass(frozen=True)
class FieldOfView:
    """Which pixels show tissue.

    Attributes
    ----------
    kinds : dict of str to ndarray, bool (H, W)
        ``no data``, ``outside the lens``, ``lines``, ``changing marks``, ``masked``: which pixels don't, and
        why.
    """

    kinds: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def field(self) -> np.ndarray:
        """Pixels that show tissue, bool (H, W)."""
        return ~np.logical_or.reduce(list(self.kinds.values()))

    @property
    def outside(self) -> np.ndarray:
        """Pixels outside a lens, whose edge is soft and stands still, bool (H, W)."""
        return self.kinds.get("outside the lens", np.zeros_like(self.field))

    def without(self, kind: str, pixels: np.ndarray) -> FieldOfView:
        """The same without further pixels, bool (H, W), that show no tissue; all of it if none were left."""
        smaller = FieldOfView({**self.kinds, kind: pixels & self.field})
        return smaller if smaller.field.any() else self

    def __str__(self) -> str:
        """Shares by kind; empty where every pixel shows tissue."""
        shares = {name: float(pixels.mean()) for name, pixels in self.kinds.items()}
        return ", ".join(f"{share:.1%} {name}" for name, share in shares.items() if share)


def find_field(survey: Survey, raw: bool, known: np.ndarray | None = None, lens: bool = True) -> FieldOfView:
    """Judge each pixel by its sums over frames.

    Parameters
    ----------
    survey : Survey
        Of the recording.
    raw : bool
        Whether pixels are the sensor's: lines, and the lens, stand still.
    known : ndarray, bool (H, W), optional
        Pixels that show tissue, as the file or a person says.
    lens : bool
        Whether to seek what lies outside a lens.
    """
    none = np.zeros(survey.mean.shape, bool)
    mask = none if known is None else ~known
    still = still_pixels(survey)
    lines = outside = none
    if raw and survey.n_frames > 1:
        lines = standing_lines(survey.mean, still) & ~still
        if lens:
            outside = dark_surround(survey.mean, still | lines) & ~still & ~lines
    kinds = {
        "masked": mask,
        "no data": still & ~mask,
        "lines": lines & ~mask,
        "outside the lens": outside & ~mask,
    }
    found = FieldOfView(kinds)
    if found.field.mean() < LEAST_FIELD:  # a recording of nothing, or one of a kind that isn't known here
        return FieldOfView({"masked": mask} if not mask.all() else {"masked": none})
    return found


def still_pixels(survey: Survey) -> np.ndarray:
    """Pixels that never change their value, and their neighbours do neither, bool (H, W)."""
    still = survey.changing == 0
    if not still.any() or still.all() or survey.n_frames < 2:
        return np.zeros_like(still)
    parts, _ = label(still, np.ones((3, 3)))
    large = np.bincount(parts.ravel()) >= LEAST_STILL
    large[0] = False
    still = large[parts]
    # Letters and their ground are one mark: what lies between still pixels isn't tissue either.
    return still | (binary_fill_holes(still) & ~_large(binary_fill_holes(still) & ~still))


def _large(pixels: np.ndarray) -> np.ndarray:
    """Parts of more than a hundredth of the field."""
    parts, _ = label(pixels)
    large = np.bincount(parts.ravel()) > pixels.size / 100
    large[0] = False
    return large[parts]


def standing_lines(mean: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Pieces of rows and columns that differ from those beside them more than optics allow, bool (H, W)."""
    return _columns(mean, ignored) | _columns(mean.T, ignored.T).T


def _columns(mean: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    height, width = mean.shape
    if width < 12 or height < 12:
        return np.zeros(mean.shape, bool)
    length = min(height, max(LINE_LENGTH, int(LINE_SHARE * height)))
    ground = mean.astype(np.float32)
    if ignored.any() and not ignored.all():
        nearest = distance_transform_edt(ignored, return_distances=False, return_indices=True)
        ground = ground[tuple(nearest)]
    # Running medians along the columns, at a few places: lines are long.
    step = max(1, length // 4)
    half = length // 2
    centers = np.arange(half, height - half + 1, step) if height > length else np.array([height // 2])
    profiles = np.stack([np.median(ground[max(0, c - half) : c + half + 1], 0) for c in centers])
    slopeless = profiles - np.median(_beside(profiles), 0)
    neighbours, shades = np.sort(_beside(slopeless), 0), np.sort(_beside(profiles), 0)
    strong, weak = (np.zeros(profiles.shape, bool) for _ in range(2))
    scatter = MAD_TO_STD * np.median(np.abs(slopeless))
    least = np.maximum(LINE_SCATTER * scatter, LINE_LIGHT * np.median(np.abs(profiles), 1))[:, None]
    for sign in (1, -1):
        ordered, bright = (part if sign > 0 else -part[::-1] for part in (neighbours, shades))
        highest, lowest = ordered[-2], ordered[1]  # one beside it may be of the same line
        enough = LINE_SPANS * (highest - lowest) + least
        # Beyond those beside it in the picture itself, too: the end of a plain isn't.
        beyond = np.where(sign * profiles - bright[-2] > LINE_REST * least, sign * slopeless - highest, 0)
        strong |= beyond > enough
        weak |= beyond > LINE_REST * enough
    found = weak & strong.any(0)  # a line goes on where it is harder to see
    result = np.zeros(mean.shape, bool)
    for row, center in enumerate(centers):
        top = 0 if row == 0 else center - step // 2
        bottom = height if row == len(centers) - 1 else center + step // 2 + 1
        result[top:bottom] |= found[row]
    return result


def _beside(profiles: np.ndarray) -> np.ndarray:
    """The four columns on either side of each of (n, W), (8, n, W)."""
    width = profiles.shape[1]
    padded = np.pad(profiles, ((0, 0), (4, 4)), mode="edge")
    return np.stack([padded[:, 4 + k : 4 + k + width] for k in (-4, -3, -2, -1, 1, 2, 3, 4)])


def dark_surround(mean: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """A dark plain with a steep edge, as a lens leaves it around its picture, edge and all, bool (H, W)."""
    none = np.zeros(mean.shape, bool)
    side = min(mean.shape)
    if side < 24 or ignored.all():
        return none
    ground = mean.astype(np.float32)
    if ignored.any():
        nearest = distance_transform_edt(ignored, return_distances=False, return_indices=True)
        ground = ground[tuple(nearest)]
    shade = median_filter(ground, 5, mode="nearest")
    dark, light = np.quantile(shade[~ignored], 0.005), np.quantile(shade[~ignored], 0.9)
    if not 0 <= dark < DARKEST * light:
        return none
    relative = gaussian_filter((shade - dark) / (light - dark), side / 100, mode="nearest")
    slope = gaussian_gradient_magnitude(relative, max(1.0, side / 60), mode="nearest")
    plain = binary_opening((relative < DARK) & (slope < PLAIN_SLOPE / side), np.ones((3, 3)))
    deep = distance_transform_edt(plain) > PLAIN_DEPTH
    if deep.sum() < LEAST_PLAIN * plain.size or plain.all():
        return none
    distance = distance_transform_edt(~plain)
    ring, inner = distance.astype(int), ~plain
    width = int(EDGE_WIDTH * side)
    rings = [relative[inner & (ring == index)] for index in range(1, 2 * width)]
    rise = np.array([np.median(part) for part in rings if len(part)])
    if len(rise) < 4 or rise.max() < LEAST_RISE:
        return none
    slopes = gaussian_filter1d(rise, 1.0, order=1, mode="nearest")
    steepest = int(np.argmax(slopes[:width]))
    # A dark corner of the picture slopes like the rest of it.
    if slopes[steepest] < STEEPNESS * np.median(slope[deep]):
        return none
    edge = 1 + _last_rise(slopes[:width], steepest) + EDGE_BLUR
    outside = distance < edge
    return binary_closing(outside, np.ones((3, 3))) | outside


def _last_rise(slopes: np.ndarray, steepest: int) -> int:
    """Where the edge ends: a lens's rim may shine, and the picture begins only behind the rim."""
    flat = np.flatnonzero(slopes[steepest:] < RIM_FLAT * slopes[steepest])
    if not len(flat):
        return steepest
    behind = steepest + int(flat[0])
    second = behind + int(np.argmax(slopes[behind:]))
    return second if slopes[second] > RIM_SLOPE * slopes[steepest] else steepest


def thin_parts(missing: np.ndarray) -> np.ndarray:
    """The part of ``missing``, bool (H, W), that is at most four pixels wide: fit to be filled across."""
    padded = np.pad(missing, 5, mode="edge")  # a line goes on beyond the border
    core = binary_opening(padded, np.ones((5, 5)))
    wide = binary_dilation(core, np.ones((5, 5)), mask=padded)[5:-5, 5:-5]
    return missing & ~wide
