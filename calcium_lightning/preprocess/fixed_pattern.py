"""What stands still while the tissue moves, and keeps registration from seeing that it does.

Dust, scratches and prints on a lens, a sensor's own pattern: where they have more contrast than the tissue,
frames are registered to them, and the motion seems smaller than it is. Its course is right then, but for its
size: for each of a few sizes, what would stand still is solved for (:func:`standing_detail`), and the size is
right with which the least is left over. Knows frames and their motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor

from calcium_lightning.core.frames import Frames
from calcium_lightning.core.pieces import in_order
from calcium_lightning.preprocess.dust import (
    DARKEST,
    LEAST_NOISE,
    means,
    noise_of_mean,
    runs_of,
    sample,
    standing_detail,
)
from calcium_lightning.preprocess.motion.blocks import binned
from calcium_lightning.preprocess.motion.registration import FEW, Correlator, shift_frames
from calcium_lightning.preprocess.motion.types import MotionSettings

#: places in the recording that are looked at, at most and at least, and neighbouring frames at each: so many
#: that they have no more pixels than this, averaged
PLACES, FEWEST, RUN, VALUES = 60, 6, 4, 240 * 100**2
#: times as large as it seems is what the motion may be, where it isn't known
SIZES = (1.0, 1.2, 1.5, 2.2, 3.5, 6.0, 10.0)
#: how strong the pattern may be, standard deviation, as a share of the brightness; and by how much less it
#: must leave, for it explains more by chance
PRIORS = {0.02: 0.0, 0.08: 0.03}
#: spots are where it is as strong as this (a logarithm), over a third of a cell; and more than this share of
#: the field isn't spots
STRONG, MOST = 0.1, 0.35
#: where so much is left, larger motion won't leave less
HOPELESS = 1.1
#: less than this share is left over where what stands still is solved for: of 27 recordings without any at
#: least .983 is left; of nine with specks, a print or a sensor's pattern .83 to .96
LEFT = 0.965


@dataclass(frozen=True)
class FixedPattern:
    """A pattern that stands still.

    Attributes
    ----------
    gain : ndarray, float32 (H, W), or None
        What the tissue's light is multiplied by; None where nothing stands still.
    strong : ndarray, bool (H, W), or None
        Spots where what is left of it, once it is cleared, would still rule the motion.
    """

    gain: np.ndarray | None = None
    strong: np.ndarray | None = None

    def __bool__(self) -> bool:
        return self.gain is not None

    @property
    def strength(self) -> float:
        """By which share it dims or brightens at its strongest hundredth."""
        return 0.0 if self.gain is None else float(np.percentile(np.abs(self.gain - 1), 99))

    def clear(self, frames: np.ndarray) -> None:
        """Undo it in frames (n, H, W) of any type, in place."""
        if self.gain is None:
            return
        if frames.dtype.kind == "f":
            frames /= self.gain
        else:
            frames[...] = np.rint(frames / self.gain).clip(0, np.iinfo(frames.dtype).max)


def find_fixed_pattern(
    session: Frames, shifts: np.ndarray, usable: np.ndarray, diameter: float, known: bool = False
) -> FixedPattern:
    """Find what stands still in a recording, if it hides that the tissue moves.

    Parameters
    ----------
    session : Frames
        Frames of light (T, H, W), not registered; a sample of them is looked at.
    shifts : ndarray, float32 (T, 2)
        Their motion as it seems, pixels.
    usable : ndarray, bool (H, W)
        Pixels that show tissue.
    diameter : float
        Of a cell, pixels.
    known : bool
        Whether the motion is what it seems: it isn't looked for in other sizes then.
    """
    side = max(1, int(diameter / MotionSettings().cell_pixels))
    rows, columns = (n // side for n in session.shape[1:])
    places = int(np.clip(VALUES // max(1, RUN * rows * columns), FEWEST, PLACES))
    index = sample(len(shifts), places, RUN)
    moved = (shifts[index] - np.median(shifts[index], 0)).astype(np.float32)
    if min(rows, columns) < 2 * diameter / side or not moved.any():
        return FixedPattern()
    height, width = rows * side, columns * side
    runs = (session.frames(int(run[0]), int(run[-1]) + 1) for run in runs_of(index))
    frames = torch.from_numpy(np.concatenate([binned(run[:, :height, :width], side) for run in runs]))
    light = frames.mean((1, 2), keepdim=True)
    whole = binned(usable[None, :height, :width].astype(np.float32), side)[0] > 0.999
    if not bool((light > 0).all()) or not whole.any():
        return FixedPattern()
    inside = None if whole.all() else torch.from_numpy(whole.astype(np.float32))
    farthest = MotionSettings().max_shift
    correlate = Correlator(rows, columns, diameter / side, farthest, frames.device, inside)
    noise = noise_of_mean(session, index) / float(light.mean())
    found = _explained(
        correlate, frames * (light.mean() / light), torch.from_numpy(moved / side), noise / side, known
    )
    if found is None:
        return FixedPattern()
    factor, prior = found
    true = np.zeros_like(shifts)
    true[index] = moved * factor
    still, registered = means(session, index, true)
    detail = standing_detail(still, registered, true[index], diameter, max(noise, LEAST_NOISE), prior)
    if not usable.all():  # next to what shows no tissue, motion mixes both
        detail[distance_transform_edt(usable) <= np.abs(true).max() + diameter] = 0
    strong = np.abs(gaussian_filter(detail, diameter / 6)) > STRONG
    return FixedPattern(_gain(detail), strong if strong.mean() < MOST else None)


def _explained(
    correlate: Correlator, frames: Tensor, seen: Tensor, noise: float, known: bool
) -> tuple[float, float] | None:
    """How many times as large as seen the motion is, and how strong what stands still; None: nothing does."""
    before = max(_left(correlate, frames, seen), 1e-12)
    best, found = (1.0, 1.0, min(PRIORS)), False
    for factor in SIZES[:1] if known else SIZES:
        larger = seen * factor
        if larger.abs().max() > MotionSettings().max_shift * min(correlate.size):
            break
        pair = frames.mean(0).numpy(), _registered(frames, larger).mean(0).numpy()
        tried = []
        for prior, margin in PRIORS.items():
            detail = standing_detail(
                *pair, larger.numpy(), correlate.cell_diameter, max(noise, LEAST_NOISE), prior
            )
            left = _left(correlate, frames / torch.from_numpy(_gain(detail)), larger) / before
            tried.append((left, factor, prior))
            found |= left + margin < LEFT
        best = min(best, *tried)
        if tried[0][0] > HOPELESS:
            break
    return best[1:] if found else None


def _gain(detail: np.ndarray) -> np.ndarray:
    furthest = -np.log(DARKEST)
    return np.exp(detail.clip(-furthest, furthest)).astype(np.float32)


def _registered(frames: Tensor, shifts: Tensor) -> Tensor:
    parts = zip(frames.split(FEW), shifts.split(FEW), strict=True)
    return torch.cat(list(in_order(lambda part: shift_frames(*part), parts)))


def _left(correlate: Correlator, frames: Tensor, shifts: Tensor) -> float:
    """Variance over time of a typical pixel of the registered frames, in the band of cells."""
    height, width = correlate.size
    parts = in_order(
        lambda part: torch.fft.irfft2(correlate.transform(part), s=correlate.padded)[:, :height, :width],
        _registered(frames, shifts).split(FEW),
    )
    variance = torch.cat(list(parts)).var(0)
    margin = min(int(shifts.abs().max()) + 1, height // 4, width // 4)
    inner = (slice(margin, height - margin), slice(margin, width - margin))
    seen = variance[inner]
    if correlate.usable is not None and bool((correlate.usable[inner] > 0).any()):
        seen = seen[correlate.usable[inner] > 0]
    return float(seen.median())
