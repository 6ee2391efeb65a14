"""Undo frames that were each stretched to the full range on their own, as published ΔF/F pictures often are.

Such a frame is truth * gain + offset with a gain that jumps by factors whenever a bright cell comes or goes.
In ΔF/F nothing static is left to compare frames by, but the noise is: its level is the same in every frame
of the truth, tens of thousands of pixels measure it to a percent, and cells are too coarse and too few to
change its median. So the gain is the level of each frame's fine band. (Regression on neighbouring frames was
tried and is worse: it smooths real activity away.) The offset is the frame's median: most of a ΔF/F field
rests. Knows frames only, not where they go.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from calcium_lightning.core.frames import Frames, at_a_time
from calcium_lightning.core.pieces import in_order
from calcium_lightning.core.scale import MAD_TO_STD

#: the band that measures noise, standard deviations of two Gaussians in pixels: above what JPEG rounds away
BAND_SIGMAS = (0.7, 1.4)
#: so many pixels of a frame are enough to measure its noise
ENOUGH_PIXELS = 20_000
#: share of the range by which a stretched frame may miss its ends (JPEG rings)
SLACK = 0.02
#: share of frames that must reach both ends
REACHING = 0.95
#: no fewer neighbours are read at a time: files keep several together
FEWEST = 8
#: share of pixels at the ends beyond which frames were clipped, not stretched
CLIPPED = 0.002


@dataclass(frozen=True)
class Stretch:
    """What was done to each frame: frame = truth * gain + offset.

    Attributes
    ----------
    gain : ndarray, float32 (T,)
        Positive, median 1.
    offset : ndarray, float32 (T,)
        In the frames' units.
    """

    gain: np.ndarray
    offset: np.ndarray

    def repair(self, frames: np.ndarray, start: int = 0) -> np.ndarray:
        """Undo it for frames (n, H, W) that begin at frame ``start``; float32, each frame's median near 0."""
        span = slice(start, start + len(frames))
        return (frames - self.offset[span, None, None]) / self.gain[span, None, None]


def estimate_stretch(
    session: Frames, device: torch.device | str = "cpu", block_frames: int | None = None
) -> Stretch:
    """Estimate every frame's gain and offset in one pass.

    Parameters
    ----------
    session : Frames
        The recording.
    device : torch.device or str
    block_frames : int, optional
        Frames in memory at a time; default: as many as everywhere.

    Returns
    -------
    Stretch
        A frame without noise (constant, or lost) takes its neighbours' gain.
    """
    count, height, width = session.shape
    block_frames = block_frames or at_a_time(height, width)
    device = torch.device(device)
    level = torch.empty(count)
    offset = torch.empty(count)
    kernel = _band_kernel((height, width), device)
    stride = max(1, int((height * width / ENOUGH_PIXELS) ** 0.5))
    # Rounding to integers adds a noise of its own.
    rounding = float(kernel.square().sum()) / 12 if np.dtype(session.dtype).kind in "iu" else 0.0
    with torch.inference_mode():
        for start in range(0, count, block_frames):
            stop = min(start + block_frames, count)
            frames = torch.from_numpy(session.frames(start, stop).astype(np.float32)).to(device)
            offset[start:stop] = frames.flatten(1).median(1).values.cpu()
            band = functional.conv2d(frames[:, None], kernel[None, None], stride=stride)
            spread = band.flatten(1).abs().median(1).values * MAD_TO_STD
            level[start:stop] = (spread.square() - rounding).clamp_min(0).sqrt().cpu()
    gain = level.numpy()
    good = np.flatnonzero(gain > 1e-6 * gain.max()) if gain.max() > 0 else np.arange(0)
    if len(good) == 0:
        return Stretch(np.ones(count, np.float32), offset.numpy())
    gain = np.exp(np.interp(np.arange(count), good, np.log(gain[good] / np.median(gain[good]))))
    return Stretch(gain.astype(np.float32), offset.numpy())


def is_stretched(session: Frames, frames: int = 256) -> bool:
    """Whether (nearly) every frame reaches both ends of one range with a few pixels.

    A recording of a sensor doesn't: its brightest pixel changes. Frames that were clipped at both ends do,
    but with many pixels; they are left alone.

    Parameters
    ----------
    session : Frames
        The recording.
    frames : int
        How many to look at, in a few places of the session.
    """
    count = session.shape[0]
    piece = max(1, min(count, frames // 8))
    places = sorted({int(place) for place in np.linspace(0, count - piece, 8)})
    few = max(at_a_time(*session.shape[1:]), FEWEST)
    spans = [
        (low, min(low + few, place + piece)) for place in places for low in range(place, place + piece, few)
    ]
    parts = in_order(_ends, (session.frames(*span) for span in spans))
    low, high, at_low, at_high = np.concatenate(list(parts), 1).reshape(4, len(places), piece)
    if low.size < 2 or high.max() <= low.min():
        return False
    bottom, top = low.min(), high.max()
    slack = SLACK * (top - bottom)
    reaching = np.mean((low <= bottom + slack) & (high >= top - slack))
    at_ends = np.median((at_low * (low <= bottom) + at_high * (high >= top)).mean(1))
    return bool(reaching >= REACHING and at_ends <= CLIPPED)


def _ends(frames: np.ndarray) -> np.ndarray:
    """Lowest and highest pixel of frames (n, H, W), and what share of each is as low, as high; (4, n)."""
    flat = frames.reshape(len(frames), -1)
    low, high = flat.min(1), flat.max(1)
    return np.stack([low, high, *((flat == end[:, None]).mean(1) for end in (low, high))])


def _band_kernel(size: tuple[int, int], device: torch.device) -> Tensor:
    """Difference of two Gaussians, (k, k), no larger than a frame."""
    fine, coarse = BAND_SIGMAS
    reach = min(int(3 * coarse), (min(size) - 1) // 2)
    grid = torch.arange(-reach, reach + 1, dtype=torch.float32, device=device)
    lines = [torch.exp(-0.5 * (grid / sigma) ** 2) for sigma in (fine, coarse)]
    narrow, wide = (line[:, None] * line / line.sum() ** 2 for line in lines)
    return narrow - wide
