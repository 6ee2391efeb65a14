"""One look at every frame of a recording, as it is: what tells of dead pixels, lost frames, steps and bands.

Gathers sums over frames for each pixel and a few figures for each frame, while frames stream by; whoever
reads or writes them can share its pass. Judges nothing: that is the business of
:mod:`~calcium_lightning.preprocess.field`, :mod:`~calcium_lightning.preprocess.bad_frames`,
:mod:`~calcium_lightning.preprocess.levels` and :mod:`~calcium_lightning.preprocess.check`. Knows arrays only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from calcium_lightning.core.pieces import in_order
from calcium_lightning.core.scale import MAD_TO_STD
from calcium_lightning.preprocess.motion.blocks import binned

#: frames are averaged over squares until the longer side has about so many: noise is gone, shades stay
COARSE_SIDE = 32
#: lines of a frame are compared along so many pixels, about
LINE_PIXELS = 128
#: runs of neighbouring frames that are looked at pixel by pixel, and frames in each
RUNS, RUN = 48, 5
#: frames that are looked at together, about: each is judged among its neighbours
BLOCK_FRAMES = 64
#: among a frame's figures, whether it repeats the one before
REPEATED = 6
#: steps between pixels that are larger by this factor at a grid are a codec's blocks
BLOCKS = 1.2


@dataclass(frozen=True)
class Survey:
    """What was seen of T frames of (H, W) pixels.

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
        Over all frames.
    changing : ndarray, float32 (H, W)
        Share of the blocks of frames in which a pixel changes its value.
    brightness, contrast : ndarray, float32 (T,)
        Mean of each frame, and standard deviation of its shades (noise averaged away).
    likeness : ndarray, float32 (T,)
        Correlation of each frame's shades with the median of its block.
    seam : ndarray, float32 (T,)
        How much the worst line of each frame differs from the line above, beyond the lines around it and
        beyond what that line usually does, over the usual difference of lines.
    seam_score : ndarray, float32 (T,)
        The same, over its spread.
    rough : ndarray, float32 (T,)
        How much rougher the roughest lines of each frame are than they usually are, against the whole frame.
    repeated : ndarray, bool (T,)
        Whether a frame is the same as the one before, pixel by pixel.
    bands : ndarray, float32 (T, 2)
        Standard deviation of what the rows, and the columns, of each frame have beyond their usual mean.
    ends : ndarray (T, 2)
        Lowest and highest value of each frame.
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
    brightness: np.ndarray
    contrast: np.ndarray
    likeness: np.ndarray
    seam: np.ndarray
    seam_score: np.ndarray
    rough: np.ndarray
    repeated: np.ndarray
    bands: np.ndarray
    ends: np.ndarray
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
    for seen in in_order(surveyor.see, surveyor.pieces(blocks)):
        surveyor.take(seen)
    return surveyor.finish()


@dataclass(frozen=True)
class Seen:
    """What some frames (n, H, W) show on their own, whatever came before.

    Attributes
    ----------
    frames : ndarray (n, H, W)
        They themselves.
    lowest, highest : ndarray (H, W)
        Over them.
    ends : ndarray (n, 2)
        Lowest and highest value of each.
    figures : ndarray, float32 (n, 9)
        Brightness, contrast, likeness, seam, its score, roughness, whether it repeats the last, bands.
    steps : ndarray, float64 (W - 1,)
        Mean step between columns.
    sound : ndarray, bool (n,)
        Whether each holds a picture like the others.
    """

    frames: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    ends: np.ndarray
    figures: np.ndarray
    steps: np.ndarray
    sound: np.ndarray


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
        self._bin = max(1, max(height, width) // COARSE_SIDE)
        self._bin = min(self._bin, height, width)
        self._row_step, self._column_step = max(1, height // LINE_PIXELS), max(1, width // LINE_PIXELS)
        self._runs = set(
            np.linspace(0, max(0, count - RUN), min(RUNS, max(1, count // RUN))).astype(int).tolist()
        )
        self._total, self._square = np.zeros((height, width)), np.zeros((height, width))
        self._looked = self._pairs = 0
        self._lags, self._lag_count = np.zeros(RUN), np.zeros(RUN)
        self._unchanged: list[float] = []
        self._ends: list[np.ndarray] = []
        self._at_ends: list[float] = []
        self._negative: list[float] = []
        self._changed = np.zeros((height, width), np.int32)
        self._blocks = 0
        self._lowest: np.ndarray | None = None
        self._highest: np.ndarray | None = None
        self._rows: list[np.ndarray] = []
        self._steps = np.zeros(width - 1)
        self._previous: np.ndarray | None = None
        self._waiting: list[np.ndarray] = []
        self._count = 0

    def add(self, frames: np.ndarray) -> None:
        """Look at the next frames (n, H, W)."""
        for piece in self.pieces([frames], last=False):
            self.take(self.see(piece))

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
        for span in _pieces(len(frames), BLOCK_FRAMES):
            yield frames[span]

    def finish(self) -> Survey:
        """What was seen; there must have been a frame."""
        for piece in self.pieces([]):
            self.take(self.see(piece))
        if self._lowest is None or self._highest is None:
            raise ValueError("no frame was looked at")
        columns = np.concatenate(self._rows)
        looked, pairs = max(1, self._looked), max(1, self._pairs)
        return Survey(
            dtype=self.dtype,
            mean=(self._total / looked).astype(np.float32),
            noise=np.sqrt(self._square / pairs / 2).astype(np.float32),
            lag=self._lags / np.maximum(self._lag_count, 1),
            unchanged=float(np.median(self._unchanged)) if self._unchanged else 0.0,
            lowest=self._lowest,
            highest=self._highest,
            changing=(self._changed / self._blocks).astype(np.float32),
            brightness=columns[:, 0],
            contrast=columns[:, 1],
            likeness=columns[:, 2],
            seam=columns[:, 3],
            seam_score=columns[:, 4],
            rough=columns[:, 5],
            repeated=columns[:, REPEATED] > 0,
            bands=columns[:, 7:9],
            ends=np.concatenate(self._ends),
            at_ends=float(np.median(self._at_ends)) if self._at_ends else 0.0,
            negative=float(np.mean(self._negative)) if self._negative else 0.0,
            block_edges=_block_edges(self._steps),
        )

    def see(self, frames: np.ndarray) -> Seen:
        """What some frames show, which knows nothing of others: several threads may call it."""
        brightness, contrast, likeness = self._shades(frames)
        seam, score, rough, bands, steps = self._lines(frames)
        figures = [brightness, contrast, likeness, seam, score, rough, _repeats(frames), bands]
        usual = np.median(contrast)
        return Seen(
            frames,
            frames.min(0),
            frames.max(0),
            np.stack([frames.min((1, 2)), frames.max((1, 2))], 1),
            np.column_stack(figures).astype(np.float32),
            steps,
            (contrast > 0.3 * usual) & (np.abs(brightness - np.median(brightness)) < 3 * usual + 1e-12),
        )

    def take(self, seen: Seen) -> None:
        """Add what the next frames show to what the ones before them did."""
        frames, lowest, highest = seen.frames, seen.lowest, seen.highest
        self._changed += highest > lowest
        self._blocks += 1
        self._lowest = lowest if self._lowest is None else np.minimum(self._lowest, lowest)
        self._highest = highest if self._highest is None else np.maximum(self._highest, highest)
        self._ends.append(seen.ends)
        one = frames[len(frames) // 2]
        bottom, top = self._lowest.min(), self._highest.max()
        self._at_ends.append(float(((one <= bottom) | (one >= top)).mean()))
        self._negative.append(float((one < 0).mean()) if self.dtype.kind == "f" else 0.0)
        self._steps += seen.steps
        repeated = seen.figures[:, REPEATED]
        repeated[0] = self._previous is not None and np.array_equal(frames[0], self._previous)
        self._rows.append(seen.figures)
        for start in sorted(self._runs & set(range(self._count, self._count + len(frames)))):
            first = min(start - self._count, max(0, len(frames) - RUN))
            span = slice(first, first + RUN)
            if seen.sound[span].all() and not repeated[span][1:].any():
                self._sample(frames[span])
        self._previous = frames[-1].copy()
        self._count += len(frames)

    def _shades(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        height, width = (side // self._bin * self._bin for side in frames.shape[1:])
        coarse = binned(frames[:, :height, :width], self._bin).reshape(len(frames), -1)
        brightness = coarse.mean(1, dtype=np.float64)
        coarse = coarse - brightness[:, None].astype(np.float32)
        contrast = np.sqrt(np.square(coarse).mean(1))
        typical = np.median(coarse[contrast >= np.median(contrast)], 0)
        scale = contrast * np.sqrt(np.square(typical).mean())
        likeness = np.divide(
            coarse @ typical / len(typical), scale, out=np.zeros(len(frames), np.float32), where=scale > 0
        )
        return brightness, contrast, likeness

    def _lines(self, frames: np.ndarray) -> tuple[np.ndarray, ...]:
        lines = np.ascontiguousarray(frames[:, :, :: self._column_step])
        jump = _distance(lines[:, 1:], lines[:, :-1]).mean(2, dtype=np.float32)
        seam, score = _seams(jump)
        rows = lines.mean(2, dtype=np.float32)
        some = frames[:, :: self._row_step]
        columns = some.mean(1, dtype=np.float32)
        few = some[:: max(1, len(some) // 4)]
        steps = _distance(few[:, :, 1:], few[:, :, :-1]).mean((0, 1), dtype=np.float64)
        return seam, score, _roughness(jump), np.column_stack([_unusual(rows), _unusual(columns)]), steps

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


def _repeats(frames: np.ndarray) -> np.ndarray:
    """Whether each frame (n, H, W) is the one before; of the first it isn't known."""
    step = 8 if min(frames.shape[1:]) >= 64 else 1
    few = frames[:, ::step]
    same = np.zeros(len(frames), bool)
    same[1:] = (few[1:] == few[:-1]).all((1, 2))
    for index in np.flatnonzero(same) if step > 1 else ():
        same[index] = np.array_equal(frames[index], frames[index - 1])
    return same


def _fine(frames: np.ndarray) -> np.ndarray:
    """Frames (n, H, W) less the mean of 3 x 3 pixels, without their borders."""
    rows = frames[:, :-2] + frames[:, 1:-1] + frames[:, 2:]
    mean = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9
    return frames[:, 1:-1, 1:-1] - mean


def _pieces(count: int, size: int) -> Iterator[slice]:
    """Slices of about ``size``; no short one at the end."""
    number = max(1, round(count / size))
    edges = [round(i * count / number) for i in range(number + 1)]
    for start, stop in pairwise(edges):
        yield slice(start, stop)


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Absolute difference, of the same type."""
    if first.dtype.kind == "f":
        return np.abs(first - second)
    return np.maximum(first, second) - np.minimum(first, second)


def _seams(jump: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seams of frames from the differences between their neighbouring lines (n, lines): (n,) and (n,).

    Optics blur whatever is real over some lines: a difference that neither the lines around have, nor that
    line in other frames, is a seam of two pictures.
    """
    count, lines = jump.shape
    if lines < 8 or count < 3:
        return np.zeros(count), np.zeros(count)
    padded = np.pad(jump, ((0, 0), (3, 3)), mode="reflect")
    around = np.maximum.reduce([padded[:, 3 + k : 3 + k + lines] for k in (-3, -2, 2, 3)])
    beyond = jump - around
    beyond -= np.median(beyond, 0)
    spread = MAD_TO_STD * np.median(np.abs(beyond)) + 1e-12
    usual = np.median(jump) + 1e-12
    worst = beyond.max(1)
    return worst / usual, worst / spread


def _roughness(jump: np.ndarray) -> np.ndarray:
    """How much rougher three lines in a row are than usual, at most, against the rest of the frame, (n,)."""
    count, lines = jump.shape
    if lines < 8 or count < 3:
        return np.ones(count)
    floor = 0.25 * np.median(jump) + 1e-12
    ratio = (jump + floor) / (np.median(jump, 0) + floor)
    ratio /= np.median(ratio, 1, keepdims=True)
    three = np.minimum(np.minimum(ratio[:, :-2], ratio[:, 1:-1]), ratio[:, 2:])
    return three.max(1)


def _unusual(profile: np.ndarray) -> np.ndarray:
    """Standard deviation of what lines (n, lines) have beyond their median over frames and what is smooth."""
    length = profile.shape[1]
    beyond = profile - np.median(profile, 0)
    beyond -= gaussian_filter1d(beyond, max(1.0, length / 8), axis=1, mode="nearest")
    return beyond.std(1)


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
