"""The preprocessing of the published system, from a raw recording to ΔF/F.

CAVE's chain (Tegtmeier et al. 2018) as the paper describes it: contrast, downsampling, black frames, flat
field, crop, registration of each frame to the one before, ΔF/F. Wraps a recording, so that whatever reads
recordings reads this one too; frames stream, three times, and are never all in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.progress import progress
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.session import Session
from calcium_lightning.preprocess.motion.registration import shift_frames, smooth

#: frames that tell contrast and usual brightness, and frames in a block
SAMPLE, BLOCK = 32, 32
#: least flat field and least mean image that is divided by, shares of their means
FLOOR = 0.05


@dataclass(frozen=True)
class PublishedChain:
    """Settings of the chain.

    Attributes
    ----------
    contrast : (float, float)
        Percentiles of the recording that become 0 and 1.
    scale : float
        Downsampling.
    black : float
        A frame darker than this share of the usual mean brightness is black: the one before takes its place.
    flat_sigma : float
        Blur of the average image that is taken for the illumination, share of the field's longer side.
    keep : float
        Share of height and width that is kept, in the middle.
    register : bool
        Move each frame onto the one before. Errors add up over a recording, as they did.
    upsampling : int
        Registration to 1/so many pixels.
    """

    contrast: tuple[float, float] = (0.3, 99.7)
    scale: float = 0.4
    black: float = 0.2
    flat_sigma: float = 0.1
    keep: float = 0.8
    register: bool = True
    upsampling: int = 20

    def __post_init__(self) -> None:
        """Refuse senseless settings.

        Raises
        ------
        InputError
            Naming the setting.
        """
        for name in ("scale", "keep"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"preprocess.{name}={getattr(self, name)}: above 0, 1 at most")
        if len(self.contrast) != 2 or not 0 <= self.contrast[0] < self.contrast[1] <= 100:
            raise InputError(f"preprocess.contrast={list(self.contrast)}: two percentiles, the lower first")
        if self.flat_sigma <= 0 or self.upsampling < 1 or not 0 <= self.black < 1:
            raise InputError(
                f"preprocess: flat_sigma={self.flat_sigma} (above 0), upsampling={self.upsampling} (1 or "
                f"more), black={self.black} (0 to 1)"
            )

    def recording(self, recording: Recording) -> PublishedRecording:
        """What the chain makes of a recording."""
        return PublishedRecording(recording, self)

    def write_session(self, session: Session, output: Path, overwrite: bool) -> Session:
        """See :func:`~calcium_lightning.replications.teng2021.session.preprocess_session`."""
        from calcium_lightning.replications.teng2021.session import preprocess_session

        return preprocess_session(session, output, self, overwrite)


class PublishedRecording(Recording):
    """A raw recording as ΔF/F, motion corrected.

    Parameters
    ----------
    recording : Recording
        Raw frames; stays the caller's to close.
    settings : PublishedChain, optional
        The chain.

    Attributes
    ----------
    shifts_px : ndarray, float32 (T, 2)
        The motion that is removed, pixels of the result.
    """

    def __init__(self, recording: Recording, settings: PublishedChain | None = None) -> None:
        self.settings = settings or PublishedChain()
        if recording.kind == "dff":
            raise InputError(f"{recording.path}: is ΔF/F already; preprocess=published is for raw recordings")
        if recording.n_frames < 2:
            raise InputError(f"{recording.path}: {recording.n_frames} frame; ΔF/F needs several")
        self._recording = recording
        self.path: Path = recording.path
        self.dtype = np.dtype(np.float32)
        self.fps, self.timestamps = recording.fps, recording.timestamps
        self.bad_frames, self.breaks, self.clock_problem = (
            recording.bad_frames,
            recording.breaks,
            recording.clock_problem,
        )
        self.notes, self.about = recording.notes, recording.about
        self.kind, self.motion_corrected = "dff", True
        size = recording.pixel_size_um
        self.pixel_size_um = None if size is None else size / self.settings.scale
        self._low, self._high, usual = self._sample()
        self._good = np.zeros(recording.n_frames, bool)
        average = self._average(usual)
        sigma = self.settings.flat_sigma * max(average.shape)
        flat = smooth(average, sigma)
        self._flat = average.mean() / flat.clamp_min(FLOOR * float(flat.mean()))
        height, width = (max(1, round(side * self.settings.keep)) for side in average.shape)
        top, left = (average.shape[0] - height) // 2, (average.shape[1] - width) // 2
        self._crop = (slice(top, top + height), slice(left, left + width))
        self.shape = (recording.n_frames, height, width)
        self.shifts_px = np.zeros((recording.n_frames, 2), np.float32)
        self._mean = self._register()

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield ΔF/F frames [start, stop) in order, float32 (n, H, W)."""
        for index, frames in self._flattened(start, stop, size):
            still = shift_frames(frames, torch.from_numpy(self.shifts_px[index : index + len(frames)]))
            yield ((still - self._mean) / self._mean).numpy()

    def _sample(self) -> tuple[float, float, float]:
        """Limits of the contrast and the usual mean brightness, from frames spread over the recording."""
        count = self._recording.n_frames
        picked = np.unique(np.linspace(0, count - 1, min(SAMPLE, count)).astype(int))
        frames = np.concatenate([next(iter(self._recording.stream(i, i + 1, 1)))[:1] for i in picked])
        low, high = (float(value) for value in np.percentile(frames, self.settings.contrast))
        if not high > low:
            raise InputError(f"{self.path}: no contrast: the frames are of one grey level")
        return low, high, float(np.median(frames.mean((1, 2))))

    def _small(self, block: np.ndarray) -> Tensor:
        """Contrast and downsampling."""
        frames = torch.from_numpy(block.astype(np.float32))
        frames = ((frames - self._low) / (self._high - self._low)).clamp(0, 1)
        size = [max(2, round(side * self.settings.scale)) for side in frames.shape[1:]]
        resized = F.interpolate(
            frames[:, None], size=size, mode="bilinear", align_corners=False, antialias=True
        )
        return resized[:, 0]

    def _average(self, usual: float) -> Tensor:
        """Mean of the frames that aren't black; which those are; the first of them."""
        total: Tensor | None = None
        index = 0
        with progress("flat field", self._recording.n_frames) as advance:
            for block in self._recording.stream(0, self._recording.n_frames, BLOCK):
                good = block.mean((1, 2)) >= self.settings.black * usual
                self._good[index : index + len(block)] = good
                frames = self._small(block[good])
                if len(frames) and total is None:
                    self._first = frames[0]
                total = frames.sum(0) if total is None else total + frames.sum(0)
                index += len(block)
                advance(len(block))
        if total is None or not self._good.any():
            raise InputError(f"{self.path}: every frame is black (preprocess.black={self.settings.black})")
        return total / int(self._good.sum())

    def _flattened(self, start: int, stop: int, size: int) -> Iterator[tuple[int, Tensor]]:
        """Frames [start, stop) up to the crop, each block with the number of its first frame."""
        before = np.flatnonzero(self._good[: start + 1])
        begin = int(before[-1]) if len(before) else start
        previous, index = self._first, begin
        for block in self._recording.stream(begin, stop, size):
            good = torch.from_numpy(self._good[index : index + len(block)])
            frames = torch.cat([previous[None], self._small(block)])
            # The newest good frame up to each one; 0 is the one that was carried over.
            newest = torch.where(good, torch.arange(1, len(block) + 1), 0).cummax(0).values
            frames = frames[newest]
            previous = frames[-1]
            frames = (frames * self._flat)[:, self._crop[0], self._crop[1]]
            skip = max(0, start - index)
            if skip < len(frames):
                yield index + skip, frames[skip:]
            index += len(block)

    def _register(self) -> Tensor:
        """Fill in the shifts, and give the mean of the registered frames (F̄)."""
        previous: Tensor | None = None
        position = torch.zeros(2)
        total = torch.zeros(self.shape[1:], dtype=torch.float64)
        with progress("registration", self.shape[0]) as advance:
            for index, frames in self._flattened(0, self.shape[0], BLOCK):
                if self.settings.register:
                    chain = torch.cat([frames[:1] if previous is None else previous[None], frames])
                    steps = displacement(chain[:-1], chain[1:], self.settings.upsampling)
                    shifts = position + steps.cumsum(0)
                    position, previous = shifts[-1], frames[-1]
                    self.shifts_px[index : index + len(frames)] = shifts.numpy()
                shifts = torch.from_numpy(self.shifts_px[index : index + len(frames)])
                total += shift_frames(frames, shifts).double().sum(0)
                advance(len(frames))
        mean = (total / self.shape[0]).float()
        return mean.clamp_min(FLOOR * float(mean.mean()))


def displacement(first: Tensor, second: Tensor, upsampling: int = 20) -> Tensor:
    """How far the tissue moved from one frame to another, by cross-correlation through the DFT.

    The whole-pixel peak, then the correlation at a finer grid around it by two matrix products
    (Guizar-Sicairos et al. 2008), for all pairs at once.

    Parameters
    ----------
    first, second : Tensor, float32 (n, h, w)
        Pairs of frames.
    upsampling : int
        Grid points per pixel.

    Returns
    -------
    Tensor, float32 (n, 2)
        (dy, dx), pixels: what is at c in the first lies at c + d in the second.
    """
    count, *size = first.shape
    spectra = [torch.fft.fft2(frames - frames.mean((1, 2), keepdim=True)) for frames in (first, second)]
    cross = spectra[0].conj() * spectra[1]
    peak = torch.fft.ifft2(cross).real.flatten(1).argmax(1)
    whole = torch.stack([peak // size[1], peak % size[1]], 1)
    extent = torch.tensor(size)
    whole = torch.where(whole > extent // 2, whole - extent, whole).float()
    if upsampling == 1:
        return whole
    fine = torch.arange(-upsampling, upsampling + 1) / upsampling
    waves = []
    for axis, length in enumerate(size):
        wanted = whole[:, axis, None] + fine
        frequency = torch.fft.fftfreq(length)
        waves.append(torch.exp(2j * math.pi * wanted[:, :, None] * frequency))
    correlation = (waves[0] @ cross @ waves[1].transpose(1, 2)).real.flatten(1)
    best = correlation.argmax(1)
    flat = correlation.amax(1) <= 0  # frames without contrast tell nothing
    moved = whole + torch.stack([fine[best // len(fine)], fine[best % len(fine)]], 1)
    return torch.where(flat[:, None], torch.zeros(count, 2), moved)
