"""What stands still while the tissue moves, and keeps registration from seeing that it does.

Dust, scratches and prints on a lens, the fibres of a bundle, a sensor's own columns and pixels: where they
have more contrast than the tissue, frames are registered to them, and the motion seems smaller than it is.
Whatever stands still is the same in all frames: with their mean taken off, single frames are registered anew,
roughly, and what stands still in the mean is solved for (:func:`standing_detail`). Where less is left over so
than of the motion as it seemed, that was wrong. Knows frames and their motion.
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
    means,
    noise_of_mean,
    relative_detail,
    runs_of,
    sample,
    standing_detail,
)
from calcium_lightning.preprocess.motion.blocks import binned
from calcium_lightning.preprocess.motion.estimate import estimate_motion
from calcium_lightning.preprocess.motion.registration import FEW, Correlator, clear_of_edges, shift_frames
from calcium_lightning.preprocess.motion.types import MotionSettings

#: places in the recording that are looked at, at most and at least, and neighbouring frames at each: so many
#: that they have no more pixels than this, averaged
PLACES, FEWEST, RUN, VALUES = 60, 6, 4, 240 * 100**2
#: how strong what stands still may be, standard deviation, as a share of the brightness; and by how much less
#: it must leave, for it explains more by chance
PRIORS = {0.03: 0.0, 0.08: 0.03}
#: how far off means are at least, as a share of the brightness: motion isn't known to the last
LEAST_NOISE = 0.004
#: ... and by how much both means are off as one, where the motion that is known is not quite the true one
DOUBT = 0.001
#: how often single frames are registered anew
ROUNDS = 2
#: less than this share of what the motion as it seems leaves is left over of another one, found roughly: of
#: 21 recordings with a pattern .67 to 1.03
ROUGHLY = 1.04
#: ... less than this where that is told as well as it can be of those frames
SURELY = 0.985
#: ... and less than this of all frames' motion in the end; of 47 recordings without a pattern none comes so
#: far
LEFT = 0.98
#: spots are where it is as strong as this (a logarithm), over a third of a cell; and more than this share of
#: the field isn't spots
STRONG, MOST = 0.1, 0.35


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


class PatternSearch:
    """Looks for what stands still in a sample of a recording's frames, averaged to a few pixels a cell.

    Parameters
    ----------
    session : Frames
        Frames of light (T, H, W), not registered.
    usable : ndarray, bool (H, W)
        Pixels that show tissue.
    diameter : float
        Of a cell, pixels.
    """

    def __init__(self, session: Frames, usable: np.ndarray, diameter: float) -> None:
        self.session, self.usable, self.diameter = session, usable, diameter
        self.side = max(1, int(diameter / MotionSettings().cell_pixels))
        rows, columns = (n // self.side for n in session.shape[1:])
        places = int(np.clip(VALUES // max(1, RUN * rows * columns), FEWEST, PLACES))
        self.index = sample(session.shape[0], places, RUN)
        self.whole = self._averaged(usable[None].astype(np.float32))[0] > 0.999
        runs = (session.frames(int(run[0]), int(run[-1]) + 1) for run in runs_of(self.index))
        frames = torch.from_numpy(np.concatenate([self._averaged(run) for run in runs]))
        light = frames.mean((1, 2), keepdim=True)
        self.dark = not bool((light > 0).all())
        self.frames = frames * (light.mean() / light)
        cell, farthest = diameter / self.side, MotionSettings().max_shift
        inside = None
        if not self.whole.all():
            inside = clear_of_edges(torch.from_numpy(self.whole.astype(np.float32)), cell)
        self.correlate = Correlator(rows, columns, cell, farthest, frames.device, inside)
        self.noise = noise_of_mean(session, self.index) / float(light.mean())

    @classmethod
    def of(cls, session: Frames, usable: np.ndarray, diameter: float) -> PatternSearch | None:
        """The same; None where nothing could be told: of a field of two cells' width, or dark frames."""
        if min(session.shape[1:]) < 2 * diameter or not usable.any():
            return None
        search = cls(session, usable, diameter)
        return None if search.dark or not search.whole.any() else search

    def behind(self, shifts: np.ndarray) -> FixedPattern:
        """What hides the tissue's motion; nothing, where it is what it seems.

        Parameters
        ----------
        shifts : ndarray, float32 (T, 2)
            The motion as it seems, pixels.
        """
        seen = self._sampled(shifts)
        if not seen.any():
            return FixedPattern()
        # With the mean goes what the tissue shows on average, too: single frames have enough left.
        mean = self.frames.mean(0).numpy()
        cleared = self.frames / _gain(relative_detail(mean, self.correlate.cell_diameter))
        start = self._registered_to(self.correlate.first_template(cleared), cleared)
        found = []
        for prior, margin in PRIORS.items():
            moved = start
            for _ in range(ROUNDS):
                cleared = self.frames / self._standing(moved, prior)
                moved = self._registered_to(_moved_back(cleared, moved).mean(0), cleared)
            found.append((self._share(moved, seen, prior) + margin, prior, moved))
        left, prior, moved = min(found, key=lambda one: one[0])
        if left < ROUGHLY:
            told = self._estimated(self.frames / self._standing(moved, prior))
            if told is not None and self._share(told, seen, prior) < SURELY:
                return self._pattern(told, prior)
        return FixedPattern()

    def at(self, shifts: np.ndarray) -> FixedPattern:
        """What stands still where the tissue moves so, float32 (T, 2), pixels."""
        moved = self._sampled(shifts)
        return self._pattern(moved, self._least(moved, moved)[1])

    def left(self, shifts: np.ndarray, seen: np.ndarray) -> float:
        """What is left over where the tissue moves so and what stands still before it is cleared.

        As a share of what the motion as it is seen leaves, both float32 (T, 2), pixels.
        """
        return self._least(self._sampled(shifts), self._sampled(seen))[0]

    def _least(self, moved: Tensor, seen: Tensor) -> tuple[float, float]:
        whole = self._left(self.frames, seen, moved)
        shares = ((self._share(moved, seen, prior, whole), prior) for prior in PRIORS)
        return min((share + PRIORS[prior], prior) for share, prior in shares)

    def _share(self, moved: Tensor, seen: Tensor, prior: float, whole: float | None = None) -> float:
        """What is left over of such motion, of what is left of the motion as it is seen (``whole``)."""
        whole = self._left(self.frames, seen, moved) if whole is None else whole
        return self._left(self.frames / self._standing(moved, prior), moved, seen) / max(whole, 1e-12)

    def _averaged(self, frames: np.ndarray) -> np.ndarray:
        height, width = (n // self.side * self.side for n in frames.shape[1:])
        return binned(frames[:, :height, :width], self.side)

    def _sampled(self, shifts: np.ndarray) -> Tensor:
        """Shifts of the frames that are looked at, averaged pixels, of median 0."""
        some = shifts[self.index]
        return torch.from_numpy(((some - np.median(some, 0)) / self.side).astype(np.float32))

    def _registered_to(self, template: Tensor, frames: Tensor) -> Tensor:
        parts = in_order(
            lambda part: self.correlate(self.correlate.transform(part), template), frames.split(FEW)
        )
        shifts = torch.cat(list(parts))
        return shifts - shifts.median(0).values

    def _estimated(self, frames: Tensor) -> Tensor | None:
        """Their motion, as well as it can be told of so few; None where it can't."""
        motion = estimate_motion(
            _Sampled(frames.numpy(), self.whole), cell_diameter_px=self.correlate.cell_diameter
        )
        shifts = torch.from_numpy(motion.shifts)
        return shifts - shifts.median(0).values if motion.told else None

    def _standing(self, shifts: Tensor, prior: float) -> Tensor:
        """What the light is multiplied by (h, w), if the tissue moves so."""
        pair = self.frames.mean(0).numpy(), _moved_back(self.frames, shifts).mean(0).numpy()
        cell, noise = self.correlate.cell_diameter, max(self.noise / self.side, LEAST_NOISE)
        return _gain(standing_detail(*pair, shifts.numpy(), cell, noise, prior, DOUBT))

    def _left(self, frames: Tensor, shifts: Tensor, other: Tensor) -> float:
        """Variance over time of a typical pixel of the registered frames, in the band of cells.

        Where neither these shifts nor the other ones uncover the border.
        """
        height, width = self.correlate.size
        parts = in_order(
            lambda part: torch.fft.irfft2(self.correlate.transform(part), s=self.correlate.padded),
            _moved_back(frames, shifts).split(FEW),
        )
        reach = int(torch.maximum(shifts.abs().quantile(0.99), other.abs().quantile(0.99))) + 1
        down, across = min(reach, height // 4), min(reach, width // 4)
        inner = (slice(None), slice(down, height - down), slice(across, width - across))
        detail = torch.cat([part[:, :height, :width][inner] for part in parts])
        seen = detail.flatten(1)
        if (usable := self.correlate.usable) is not None and bool((usable[inner[1:]] > 0).any()):
            seen = seen[:, (usable[inner[1:]] > 0).flatten()]
        # What fog or glare take of the contrast is no motion: each frame has a share of its own of the mean.
        mean = seen.mean(0)
        strength = seen @ mean / mean.square().sum().clamp_min(1e-12)
        return float((seen - strength[:, None] * mean).var(0).median())

    def _pattern(self, moved: Tensor, prior: float) -> FixedPattern:
        """What stands still at full size, if the frames that are looked at move so, averaged pixels."""
        shifts = np.zeros((self.session.shape[0], 2), np.float32)
        shifts[self.index] = sampled = moved.numpy() * self.side
        still, registered = means(self.session, self.index, shifts)
        noise = max(self.noise, LEAST_NOISE)
        detail = standing_detail(still, registered, sampled, self.diameter, noise, prior, DOUBT)
        if not self.usable.all():  # next to what shows no tissue, motion mixes both
            detail[distance_transform_edt(self.usable) <= np.abs(sampled).max() + self.diameter] = 0
        strong = np.abs(gaussian_filter(detail, self.diameter / 6)) > STRONG
        return FixedPattern(_gain(detail).numpy(), strong if strong.mean() < MOST else None)


@dataclass(frozen=True)
class _Sampled:
    """Frames (n, h, w) that are looked at, averaged, and where they show tissue, bool (h, w)."""

    sample: np.ndarray
    usable: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        count, height, width = self.sample.shape
        return count, height, width

    @property
    def dtype(self) -> np.dtype:
        return self.sample.dtype

    def frames(self, start: int, stop: int) -> np.ndarray:
        return self.sample[start:stop]


def _gain(detail: np.ndarray) -> Tensor:
    furthest = -np.log(DARKEST)
    return torch.from_numpy(np.exp(detail.clip(-furthest, furthest)).astype(np.float32))


def _moved_back(frames: Tensor, shifts: Tensor) -> Tensor:
    parts = zip(frames.split(FEW), shifts.split(FEW), strict=True)
    return torch.cat(list(in_order(lambda part: shift_frames(*part), parts)))
