"""One look at every frame of a recording, as it is: what tells of dead pixels, lost frames, steps and bands.

Gathers sums over frames for each pixel and a few figures for each frame, while frames stream by; whoever
reads or writes them can share its pass. Judges nothing: that is the business of
:mod:`~calcium_lightning.preprocess.field`, :mod:`~calcium_lightning.preprocess.bad_frames`,
:mod:`~calcium_lightning.preprocess.levels` and :mod:`~calcium_lightning.preprocess.check`. Knows arrays only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from calcium_lightning.core.pieces import in_order
from calcium_lightning.preprocess.glance import (
    LINE_PIXELS,
    FrameFigures,
    Glance,
    changes,
    concatenated,
    glance,
)
from calcium_lightning.preprocess.motion.blocks import blocks as spans

#: runs of neighbouring frames that are looked at pixel by pixel, and frames in each
RUNS, RUN = 48, 5
#: frames that are looked at together, about: each is judged among its neighbours
BLOCK_FRAMES = 64
#: steps between pixels that are larger by this factor at a grid are a codec's blocks
BLOCKS = 1.2


@dataclass(frozen=True)
class Survey(FrameFigures):
    """What was seen of T frames of (H, W) pixels, and the figures of each of them.

    Attributes
    ----------
    dtype : dtype
        Of a pixel.
    mean : ndarray, float32 (H, W)
        Over a sample of the frames.
    noise : ndarray, float32 (H, W)
        Standard deviation of a pixel's noise, from differences of neighbouring frames of the sample.
    lag : ndarray, float64 (RUN,)
        Mean square of differences of a pixel's fine detail over so many frames, the first is 0.
    unchanged : float
        Share of pixels that have the same value in neighbouring frames.
    lowest, highest : ndarray (H, W)
        Over all frames; the highest without those that hold no picture, as white ones.
    changing : ndarray, float32 (H, W)
        Share of the blocks of frames in which a pixel changes its value.
    at_ends : float
        Share of a frame's pixels, usually, at either end of the recording's range.
    negative : float
        Share of values below zero.
    block_edges : float
        How much larger steps between pixels are at every 8th (or 4th, or 16th) pixel: 1 where nothing is
        coded in blocks.
    """

    dtype: np.dtype
    mean: np.ndarray
    noise: np.ndarray
    lag: np.ndarray
    unchanged: float
    lowest: np.ndarray
    highest: np.ndarray
    changing: np.ndarray
    at_ends: float
    negative: float
    block_edges: float

    @property
    def coded_in_blocks(self) -> bool:
        """Whether the blocks of a codec show."""
        return self.block_edges > BLOCKS and self.dtype.kind != "f"

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return len(self.brightness)


def survey(blocks: Iterable[np.ndarray], shape: tuple[int, int, int], dtype: np.dtype) -> Survey:
    """Look at all frames of a recording.

    Parameters
    ----------
    blocks : iterable of ndarray (n, H, W)
        Its frames in order.
    shape : (int, int, int)
        (T, H, W).
    dtype : dtype
        Of a pixel.
    """
    surveyor = Surveyor(shape, dtype)
    for seen in in_order(glance, surveyor.pieces(blocks)):
        surveyor.take(seen)
    return surveyor.finish()


class Surveyor:
    """Gathers a :class:`Survey` while frames stream by.

    Parameters
    ----------
    shape : (int, int, int)
        (T, H, W); fewer frames may come.
    dtype : dtype
        Of a pixel.
    """

    def __init__(self, shape: tuple[int, int, int], dtype: np.dtype) -> None:
        count, height, width = shape
        self.dtype = np.dtype(dtype)
        self._runs = set(
            np.linspace(0, max(0, count - RUN), min(RUNS, max(1, count // RUN))).astype(int).tolist()
        )
        self._total, self._square = np.zeros((height, width)), np.zeros((height, width))
        self._looked = self._pairs = 0
        self._lags, self._lag_count = np.zeros(RUN), np.zeros(RUN)
        self._unchanged: list[float] = []
        self._at_ends: list[float] = []
        self._negative: list[float] = []
        self._changed = np.zeros((height, width), np.int32)
        self._blocks = 0
        self._lowest: np.ndarray | None = None
        self._highest: np.ndarray | None = None
        self._figures: list[FrameFigures] = []
        self._steps = np.zeros(height - 1), np.zeros(width - 1)
        self._previous: np.ndarray | None = None
        self._waiting: list[np.ndarray] = []
        self._count = 0

    def add(self, frames: np.ndarray) -> None:
        """Look at the next frames (n, H, W)."""
        for piece in self.pieces([frames], last=False):
            self.take(glance(piece))

    def pieces(self, blocks: Iterable[np.ndarray], last: bool = True) -> Iterator[np.ndarray]:
        """Yield frames that are looked at together, of blocks of them; too few wait, but at the last."""
        for block in blocks:
            self._waiting.append(block)
            if sum(map(len, self._waiting)) >= BLOCK_FRAMES // 2:
                yield from self._together()
        if last:
            yield from self._together()

    def _together(self) -> Iterator[np.ndarray]:
        """Yield the frames that wait."""
        waiting, self._waiting = self._waiting, []
        if not sum(map(len, waiting)):
            return
        frames = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
        for start, stop in spans(len(frames), BLOCK_FRAMES):
            yield frames[start:stop]

    def finish(self) -> Survey:
        """What was seen; there must have been a frame."""
        for piece in self.pieces([]):
            self.take(glance(piece))
        if self._lowest is None or self._highest is None:
            raise ValueError("no frame was looked at")
        looked, pairs = max(1, self._looked), max(1, self._pairs)
        return Survey(
            **vars(concatenated(self._figures)),
            dtype=self.dtype,
            mean=(self._total / looked).astype(np.float32),
            noise=np.sqrt(self._square / pairs / 2).astype(np.float32),
            lag=self._lags / np.maximum(self._lag_count, 1),
            unchanged=float(np.median(self._unchanged)) if self._unchanged else 0.0,
            lowest=self._lowest,
            highest=self._highest,
            changing=(self._changed / self._blocks).astype(np.float32),
            at_ends=float(np.median(self._at_ends)) if self._at_ends else 0.0,
            negative=float(np.mean(self._negative)) if self._negative else 0.0,
            # Blocks have two sides; a sensor's columns, and a mesh, may look alike in one.
            block_edges=min(_block_edges(steps) for steps in self._steps),
        )

    def take(self, seen: Glance) -> None:
        """Add what the next frames show to what the ones before them did."""
        frames, lowest, highest = seen.frames, seen.lowest, seen.highest
        self._changed += highest > lowest
        self._blocks += 1
        self._lowest = lowest if self._lowest is None else np.minimum(self._lowest, lowest)
        self._highest = highest if self._highest is None else np.maximum(self._highest, highest)
        one = frames[len(frames) // 2]
        bottom, top = self._lowest.min(), self._highest.max()
        self._at_ends.append(float(((one <= bottom) | (one >= top)).mean()))
        self._negative.append(float((one < 0).mean()) if self.dtype.kind == "f" else 0.0)
        for steps, more in zip(self._steps, seen.steps, strict=True):
            steps += more
        repeated, change = seen.figures.repeated.copy(), seen.figures.change.copy()
        if self._previous is not None:
            change[0] = changes(np.stack([self._previous, frames[0]]))[0]
            repeated[0] = np.array_equal(frames[0], self._previous)
        self._figures.append(replace(seen.figures, change=change, repeated=repeated))
        new = np.flatnonzero(~repeated)
        for start in sorted(self._runs & set(range(self._count, self._count + len(frames)))):
            first = min(int(np.searchsorted(new, start - self._count)), max(0, len(new) - RUN))
            run = new[first : first + RUN]
            if len(run) and seen.sound[run].all():
                self._sample(frames[run])
        self._previous = frames[-1].copy()
        self._count += len(frames)

    def _sample(self, frames: np.ndarray) -> None:
        values = frames.astype(np.float32)
        self._total += values.sum(0)
        self._looked += len(values)
        step = np.diff(values, axis=0)
        self._square += np.square(step).sum(0)
        self._pairs += len(step)
        if len(step):
            self._unchanged.append(float((step == 0).mean()))
        if min(values.shape[1:]) > 2 and self._looked % (2 * RUN) == 0:  # half of the runs tell enough
            fine = _fine(values[:, : 2 * LINE_PIXELS, : 2 * LINE_PIXELS])
            for lag in range(1, len(fine)):
                self._lags[lag] += float(np.square(fine[lag:] - fine[:-lag]).mean())
                self._lag_count[lag] += 1


def _fine(frames: np.ndarray) -> np.ndarray:
    """Frames (n, H, W) less the mean of 3 x 3 pixels, without their borders."""
    rows = frames[:, :-2] + frames[:, 1:-1] + frames[:, 2:]
    mean = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9
    return frames[:, 1:-1, 1:-1] - mean


def _block_edges(steps: np.ndarray) -> float:
    """How much steps between pixels stand out at a grid of blocks, at its best phase."""
    best = 1.0
    for size in (4, 8, 16):
        if len(steps) < 4 * size:
            continue
        beyond = steps / (uniform_filter1d(steps, 2 * size + 1, mode="nearest") + 1e-12)
        whole = beyond[: len(beyond) // size * size].reshape(-1, size)
        means = np.sort(np.median(whole, 0))
        best = max(best, float(means[-1] / (means[-2] + 1e-12)))
    return best
