"""Defective pixels of the sensor: hot, dead and blinking ones, found in a recording and filled as it is read.

Motion is undone by moving frames, and a pixel that doesn't see the tissue is then smeared into blinking spots
where there are no cells. So it is filled in the sensor's own coordinates, before anything else looks at a
frame. Optics blur whatever is real over two pixels or more: a defect is sharper than that. Knows sessions and
arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import median_filter

from calcium_lightning.core.frames import Frames, at_a_time
from calcium_lightning.core.pieces import in_order

#: places in the recording that are looked at, and neighbouring frames at each
PLACES, RUN = 24, 8
#: fewer frames than these tell too little of a pixel
LEAST_FRAMES = 32
#: a defect is farther from all its neighbours than so many times the span of theirs. 1.5 is what a spot of
#: two pixels' width reaches at most; noise alone reaches 2 in less than one of a thousand fields
SHARPNESS = 2.0
#: what is less than this share of the usual noise does no harm
LEAST_NOISE = 0.5
#: ... nor less than this share of the usual brightness
LEAST_LIGHT = 1e-3
#: more than this share of all pixels isn't a sensor's defects, but the picture's own grain
MOST = 0.005
#: a pixel's neighbours: the nearest ones, and how far away others are
NEAR, FAR = np.arange(9).reshape(3, 3) != 4, 2


@dataclass(frozen=True)
class Defects:
    """Pixels that are filled from their neighbours.

    Attributes
    ----------
    pixels : ndarray of int (K,)
        Flat indices into a frame.
    neighbours : ndarray of int (K, M)
        The sound pixels around each, flat indices.
    weights : ndarray, float64 (K, M)
        Their shares; the rows sum to 1.
    left : int
        So many pixels looked defective that none of them was taken for it.
    """

    pixels: np.ndarray
    neighbours: np.ndarray
    weights: np.ndarray
    left: int = 0

    @classmethod
    def at(cls, defective: np.ndarray, sound: np.ndarray | None = None) -> Defects:
        """Defects where ``defective``, bool (H, W), is set, each to be the mean of the sound ones around.

        All others are sound unless ``sound``, bool (H, W), says which are.
        """
        width, sound = defective.shape[1], ~defective if sound is None else sound
        if not sound.any():
            raise ValueError("no sound pixel in the field")
        found = np.argwhere(defective)
        around: list[np.ndarray] = []
        for y, x in found:
            reach, near = 0, np.zeros((0, 2), int)
            while not len(near):
                reach += 1
                corner = np.maximum(0, [y - reach, x - reach])
                near = corner + np.argwhere(sound[corner[0] : y + reach + 1, corner[1] : x + reach + 1])
            around.append(near @ (width, 1))
        neighbours = np.zeros((len(found), max(map(len, around), default=0)), np.intp)
        weights = np.zeros(neighbours.shape)
        for row, near in enumerate(around):
            neighbours[row, : len(near)], weights[row, : len(near)] = near, 1 / len(near)
        return cls(found @ (width, 1), neighbours, weights)

    def __len__(self) -> int:
        return len(self.pixels)

    def __str__(self) -> str:
        """What the user should know; nothing where there is nothing."""
        if self.left:
            return f"{self.left} pixels look defective, too many for a sensor: left as they are"
        return f"{len(self)} defective pixel{'s' if len(self) > 1 else ''} filled" if len(self) else ""

    def fill(self, frames: np.ndarray) -> None:
        """Fill the defects of frames (n, H, W), contiguous, of any type, in place."""
        if not len(self):
            return
        flat = frames.reshape(len(frames), -1)
        filled = (flat[:, self.neighbours] * self.weights).sum(-1)
        flat[:, self.pixels] = np.rint(filled) if frames.dtype.kind in "iu" else filled


@dataclass(frozen=True)
class Detail:
    """What pixels show that is sharper than optics.

    Attributes
    ----------
    mean : ndarray, float64 (H, W)
        Over a sample of the frames.
    noise : ndarray, float64 (H, W)
        Standard deviation over time of what a pixel has beyond the mean of 3 x 3.
    """

    mean: np.ndarray
    noise: np.ndarray


def find_defects(session: Frames, detail: Detail | None = None) -> Defects:
    """Find pixels that stand out from all their neighbours, in brightness or in noise.

    Cells, vessels and dust are blurred, and shot noise is averaged away: next to nothing else is one pixel
    wide. Two defects may touch.

    Parameters
    ----------
    session : Frames
        As the sensor saw them; a sample of them is looked at.
    detail : Detail, optional
        :func:`fine_detail` of them, where it is known.

    Returns
    -------
    Defects
        None of a recording of a few frames; none, and how many there would have been, where they would be
        improbably many.
    """
    count, *field = session.shape
    if count < LEAST_FRAMES:
        return Defects.at(np.zeros(field, bool))
    detail = fine_detail(session) if detail is None else detail
    mean, noise = detail.mean, detail.noise
    typical = float(np.median(noise))
    least = max(LEAST_NOISE * typical, LEAST_LIGHT * float(np.median(np.abs(mean))))
    if session.dtype.kind in "iu":
        least = max(least, 1.0)  # neighbours that are rounded to different levels
    slopeless = mean - median_filter(mean, footprint=NEAR, mode="nearest")
    defective = _stands_out(noise, noise, least)
    for sign in (1, -1):  # hot and dead pixels
        defective |= _stands_out(sign * slopeless, sign * mean, least)
    found = int(defective.sum())
    if found > max(1, MOST * defective.size):
        return replace(Defects.at(np.zeros(field, bool)), left=found)
    return Defects.at(defective)


def fine_detail(session: Frames) -> Detail:
    """Look at a sample of the frames; there must be :data:`RUN` of them."""
    count, *field = session.shape
    sums, few = np.zeros((3, *field)), at_a_time(*field)
    starts = np.unique(np.linspace(0, count - RUN, PLACES).astype(int)).tolist()

    def look(read: np.ndarray) -> np.ndarray:
        total = np.zeros((3, *field), np.float32)
        for start in range(0, RUN, few):
            frames = read[start : start + few].astype(np.float32)
            detail = frames - _smoothed(frames)
            total += frames.sum(0), detail.sum(0), np.einsum("tyx,tyx->yx", detail, detail)
        return total

    for some in in_order(look, (session.frames(start, start + RUN) for start in starts)):
        sums += some
    total, beyond, squares = sums
    looked = len(starts) * RUN
    return Detail(total / looked, np.sqrt((squares / looked - (beyond / looked) ** 2).clip(0)))


def _smoothed(frames: np.ndarray) -> np.ndarray:
    """Mean over 3x3 pixels of frames (n, H, W): a few sums of shifted frames, much faster than a filter."""
    padded = np.pad(frames, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1]
    rows += padded[:, 2:]
    total = rows[:, :, :-2] + rows[:, :, 1:-1]
    total += rows[:, :, 2:]
    total /= 9
    return total


def _stands_out(slopeless: np.ndarray, image: np.ndarray, least: float) -> np.ndarray:
    """Which pixels are above all their neighbours, by far in the image without slopes, bool (H, W).

    Above them in the image itself, too: the corners of a masked field aren't. One neighbour on each side
    doesn't count: it may be a defect itself.
    """
    highest, top, lowest = second_highest(slopeless), second_highest(image), -second_highest(-slopeless)
    span = highest - lowest  # negative where a field has too few pixels for neighbours
    return (span >= 0) & (slopeless - highest > SHARPNESS * span + least) & (image - top > least)


def second_highest(image: np.ndarray) -> np.ndarray:
    """Second highest of the 24 pixels around each of (H, W); beyond the edge there is nothing (-inf).

    What a rank filter gives, from two running maxima of whole shifted images.
    """
    height, width = image.shape
    padded = np.pad(image, FAR, constant_values=-np.inf)
    highest, second, lower = (np.full(image.shape, -np.inf, image.dtype) for _ in range(3))
    for y, x in np.ndindex(2 * FAR + 1, 2 * FAR + 1):
        if (y, x) == (FAR, FAR):
            continue
        there = padded[y : y + height, x : x + width]
        np.minimum(highest, there, out=lower)
        np.maximum(second, lower, out=second)
        np.maximum(highest, there, out=highest)
    return second
