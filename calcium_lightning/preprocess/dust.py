"""Dust on the optics: spots that stand still while the tissue moves, and blink once its motion is undone.

The mean of the frames as they are shows the dust sharply, and the tissue blurred by its motion; the mean of
the registered frames shows the tissue sharply, and the dust blurred. Two images, two unknowns: each wave of
both is solved for. Light that passes dust is dimmed by a factor, so this is done with logarithms. Knows
frames and their motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter, label
from scipy.ndimage import maximum as greatest

from calcium_lightning.core.frames import Frames, at_a_time
from calcium_lightning.core.pieces import in_order
from calcium_lightning.core.scale import MAD_TO_STD
from calcium_lightning.preprocess.motion.registration import shift_frames

#: places in the recording that are looked at, and, in case, looked at again, and neighbouring frames at each
PLACES, RUN = 8, 8
#: tissue that moves less than this (root mean square, pixels) can't be told from dust, nor does dust harm it
LEAST_MOTION = 0.4
#: prior size of what stands still, standard deviation, as a share of the brightness; and by how much both
#: means are off as one, where the motion that is known is not quite the true one
PRIOR, DOUBT = 0.02, 0.0003
#: noise of a mean is at least this share of the brightness: where frames were squeezed, it can be 0
LEAST_NOISE = 1e-4
#: a spot dims or brightens by this share somewhere, and by so many times what is usual; and reaches as far as
#: by this share
LEAST, SCORE, REACH = 0.08, 6.0, 0.02
#: what is below this share of that isn't looked at again
LIKELY = 0.7
#: no factor is smaller than this: behind such dust nothing is seen
DARKEST = 0.2
#: more than this share of the field isn't dust
MOST = 0.1
#: where less than this share of the usual light arrives, no share of it can be told
DIMMEST = 0.2


@dataclass(frozen=True)
class Dust:
    """Spots that stand still.

    Attributes
    ----------
    pixels : ndarray of int (M,)
        Flat indices into a frame.
    gain : ndarray, float32 (M,)
        What the tissue's light is multiplied by there.
    spots : int
        How many there are.
    """

    pixels: np.ndarray
    gain: np.ndarray
    spots: int

    @classmethod
    def none(cls) -> Dust:
        """No spot."""
        return cls(np.zeros(0, np.intp), np.zeros(0, np.float32), 0)

    def __len__(self) -> int:
        return self.spots

    @property
    def strongest(self) -> float:
        """The share by which the strongest spot dims, or brightens."""
        return float(np.abs(self.gain - 1).max(initial=0.0))

    def clear(self, frames: np.ndarray) -> None:
        """Undo what the spots do to frames (n, H, W), contiguous, of any type, in place."""
        if not self.spots:
            return
        flat = frames.reshape(len(frames), -1)
        clear = flat[:, self.pixels] / self.gain
        if frames.dtype.kind in "iu":
            clear = np.rint(clear).clip(0, np.iinfo(frames.dtype).max)
        flat[:, self.pixels] = clear


def find_dust(session: Frames, shifts: np.ndarray, usable: np.ndarray, diameter: float) -> Dust:
    """Find what stands still in a recording whose tissue moves.

    Parameters
    ----------
    session : Frames
        Frames of light (T, H, W), not registered; a sample of them is looked at.
    shifts : ndarray, float32 (T, 2)
        Their motion, pixels.
    usable : ndarray, bool (H, W)
        Pixels that show tissue.
    diameter : float
        Of a cell, pixels: a spot is about as large, or smaller.
    """
    halves = [sample(len(shifts), 2 * PLACES, RUN, slice(k, None, 2)) for k in (0, 1)]
    if not len(halves[1]):
        return Dust.none()
    moved = [shifts[index] - np.median(shifts[index], 0) for index in halves]
    if min(np.sqrt((part**2).sum(1).mean()) for part in moved) < LEAST_MOTION:
        return Dust.none()
    # Next to what shows no tissue, and to the border, motion mixes both.
    margin = float(max(np.abs(part).max() for part in moved)) + diameter
    known, inner = surrounded(usable, margin), surrounded(usable, margin + diameter / 2)
    if not inner.any():
        return Dust.none()

    def detail_in(index: np.ndarray) -> np.ndarray:
        still, registered = means(session, index, shifts)
        light = float(np.median(still[usable]))
        noise = max(noise_of_mean(session, index) / max(light, 1e-9), LEAST_NOISE)
        detail = standing_detail(still, registered, shifts[index], diameter, noise, PRIOR, DOUBT)
        detail[gaussian_filter(still, diameter, mode="nearest") < DIMMEST * light] = 0
        return detail

    first = detail_in(halves[0])
    if np.abs(first[known]).max() < LIKELY * LEAST:
        return Dust.none()
    # A cell that was lit while the field lay elsewhere seems to stand, too; but not in other frames again.
    second = detail_in(halves[1])
    detail = (first + second) / 2
    alike = (first * second > 0) & (np.minimum(np.abs(first), np.abs(second)) > np.abs(detail) / 2)
    usual = MAD_TO_STD * float(np.median(np.abs(detail[known])))
    size = np.abs(detail) * known
    parts, count = label(size > max(REACH, 3 * usual), np.ones((3, 3)))
    if not count:
        return Dust.none()
    peak, foot = (
        np.asarray(greatest(values, parts, np.arange(count + 1)))
        for values in (size * alike * inner, size * ~inner)
    )
    # What is strongest at the margin is the foot of what stands beyond it, as a lens's rim does.
    dusty = (peak > max(LEAST, SCORE * usual)) & (peak > foot)
    dusty[0] = False
    spots = dusty[parts]
    if not spots.any() or spots.mean() > MOST:
        return Dust.none()
    gain = np.exp(detail[spots]).clip(DARKEST, 1 / DARKEST).astype(np.float32)
    return Dust(np.flatnonzero(spots), gain, int(dusty.sum()))


def standing_detail(
    still: np.ndarray,
    registered: np.ndarray,
    shifts: np.ndarray,
    diameter: float,
    noise: float,
    prior: float = PRIOR,
    doubt: float = 0.0,
) -> np.ndarray:
    """Logarithm of what stands still and is no larger than a cell, (H, W).

    Parameters
    ----------
    still, registered : ndarray (H, W)
        Mean of the frames as they are, and with their motion undone.
    shifts : ndarray (n, 2)
        Of those frames, pixels.
    diameter : float
        Of a cell, pixels.
    noise : float
        Of those means, as a share of the brightness.
    prior : float
        Size of what stands still, standard deviation, as a share of the brightness.
    doubt : float
        What else these means are off by, as a share of the brightness: motion isn't known to the last. Waves
        across whose crests the tissue hardly moves may be either's; by it they are nobody's.
    """
    pad = int(np.ceil(2 * diameter))
    waves = []
    for image in (still, registered):
        waves.append(np.fft.rfft2(np.pad(relative_detail(image, diameter), pad, mode="reflect")))
    size = [length + 2 * pad for length in still.shape]
    rows = np.exp(-2j * np.pi * np.fft.fftfreq(size[0])[:, None] * shifts[:, 0])
    columns = np.exp(-2j * np.pi * np.fft.rfftfreq(size[1])[:, None] * shifts[:, 1])
    blur = rows @ columns.T / len(shifts)  # by which motion blurs the tissue
    # The frames' noise is in both means: where motion blurs little, little of it is in their difference. The
    # doubt is there as it is elsewhere.
    told = 1 - np.abs(blur) ** 2
    share = told / np.maximum(told * (told + (noise / prior) ** 2) + (doubt / prior) ** 2, 1e-12)
    detail = np.fft.irfft2(share * (waves[0] - blur * waves[1]), size)
    detail = detail[pad:-pad, pad:-pad]
    result: np.ndarray = detail - gaussian_filter(detail, diameter, mode="nearest")
    return result


def relative_detail(image: np.ndarray, diameter: float) -> np.ndarray:
    """Logarithm of an image (H, W) of light over what is wider in it than a cell of so many pixels."""
    smooth = gaussian_filter(image, 1.5 * diameter, mode="nearest")
    detail: np.ndarray = np.log(np.maximum(image, 1e-3 * smooth + 1e-9) / np.maximum(smooth, 1e-9))
    return detail


def surrounded(usable: np.ndarray, margin: float) -> np.ndarray:
    """Pixels (H, W) of tissue that are farther than a margin from the border and from what shows none."""
    known: np.ndarray = distance_transform_edt(np.pad(usable, 1))[1:-1, 1:-1] > margin
    return known


def sample(count: int, places: int, run: int, chosen: slice = slice(None)) -> np.ndarray:
    """Numbers of frames: so many neighbours at each, or chosen, of so many places in ``count`` frames."""
    starts = np.unique(np.linspace(0, max(0, count - run), places).astype(int))[chosen]
    return np.unique((starts[:, None] + np.arange(run)).clip(max=count - 1))


def runs_of(index: np.ndarray) -> list[np.ndarray]:
    """Numbers of frames, neighbours together."""
    return np.split(index, np.flatnonzero(np.diff(index) > 1) + 1)


def means(session: Frames, index: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of some frames as they are, and registered, float64 (H, W)."""
    still, registered = np.zeros(session.shape[1:]), np.zeros(session.shape[1:])

    def sums(part: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        total, moved_back = torch.zeros(2, *session.shape[1:])
        pieces = (torch.from_numpy(values).split(few) for values in part)
        for piece, moved in zip(*pieces, strict=True):
            frames = piece.float()
            total += frames.sum(0)
            moved_back += shift_frames(frames, moved.float()).sum(0)
        return total.numpy(), moved_back.numpy()

    few = at_a_time(*session.shape[1:])
    read = ((session.frames(int(run[0]), int(run[-1]) + 1), shifts[run]) for run in runs_of(index))
    for as_it_is, moved_back in in_order(sums, read):
        still += as_it_is
        registered += moved_back
    return still / len(index), registered / len(index)


def noise_of_mean(session: Frames, index: np.ndarray) -> float:
    """Standard error of a pixel's mean over some frames."""
    first = session.frames(int(index[0]), int(index[0]) + 2).astype(np.float32)
    if len(first) < 2:
        return 0.0
    return float(MAD_TO_STD * np.median(np.abs(first[1] - first[0])) / (2 * len(index)) ** 0.5)
