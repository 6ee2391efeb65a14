"""A simulated recording: composes tissue, motion and sensor, and renders frames as they are asked for.

Frames are rendered in fixed blocks, so that they are the same bytes however they are read. Nothing is kept
but the sparse footprints, the time courses and the last block.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from scipy.sparse import csr_matrix

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.truth import Truth
from calcium_lightning.simulation import background, lens, motion, sensor
from calcium_lightning.simulation.bad_frames import BadFrames
from calcium_lightning.simulation.codec import compressed
from calcium_lightning.simulation.settings import SceneSettings
from calcium_lightning.simulation.streams import stream
from calcium_lightning.simulation.tissue import Tissue, TissueOfADay

BLOCK_FRAMES = 32
VIDEO_FRAMES = 256  # of each video that a codec makes; the first of each is coded whole
SAMPLED_FRAMES = 64  # for the mean image and the typical stretch of ΔF/F
#: least visible part of a cell's peak: the border may run through a cell, but not past it
LEAST_VISIBLE = 0.5


class Scene:
    """One drawn scene.

    The forward model, per frame: light = lens · optics · bleaching · shift(flicker · vessels · (haze +
    neuropil + halos + blobs + cells)) + leakage, then photons, noise and levels; then what is bad, and a
    codec.

    Parameters
    ----------
    settings : SceneSettings
        What the scene is like.
    seed : int
        Everything random follows from it.
    day : TissueOfADay, optional
        Cells and vessels that several scenes share (:mod:`~calcium_lightning.simulation.recorded_days`).

    Attributes
    ----------
    shifts : ndarray, float32 (T, 2)
        True displacement of the tissue in each frame, pixels (dy, dx), without what differs over the field.
    truth : Truth
        Footprints, traces in levels of the frames, spikes, amplitudes and shifts.

    Raises
    ------
    InputError
        If the seed is negative.

    Examples
    --------
    >>> scene = Scene(SceneSettings(height_px=32, width_px=48, seconds=1.0), seed=1)
    >>> scene.frames(0, 4).shape
    (4, 32, 48)
    """

    def __init__(self, settings: SceneSettings, seed: int = 0, day: TissueOfADay | None = None) -> None:
        if seed < 0:
            raise InputError(f"seed={seed}: must not be negative")
        self.settings = settings
        self.seed, self.day = seed, day
        self.size = (settings.height_px, settings.width_px)
        self._block: tuple[int, np.ndarray] | None = None
        moved = motion.draw_motion(settings, self._rng("motion"))
        self.shifts, self._sensor_shifts, sensor_margin = moved, None, 0
        if settings.motion_corrected:  # the sensor's own pattern moves instead
            self.shifts = motion.draw_residual(settings, self._rng("residual"))
            self._sensor_shifts = self.shifts - moved
            sensor_margin = motion.margin_px(self._sensor_shifts)
        self._bending = motion.Bending.draw(settings, self._rng("bending"))
        reach = self._bending.reach if self._bending else 0.0
        self._tissue = Tissue(settings, motion.margin_px(self.shifts) + math.ceil(reach), self._rng, day)
        rng = self._rng("optics")
        self._optics, self._leak = background.draw_optics(self.size, sensor_margin, settings, rng)
        self._lens: np.ndarray | None = None
        if settings.lens_radius:
            self._lens = lens.draw_lens(self.size, sensor_margin, settings, self._rng("lens"))
            self._optics = self._optics * self._lens
        self._sensor = sensor.Sensor(settings, seed)
        self._bad = BadFrames.draw(settings, self._rng("bad frames")) if settings.has_bad_frames else None
        self._block_frames = BLOCK_FRAMES if settings.codec == "none" else VIDEO_FRAMES
        times = np.arange(self.n_frames) / settings.fps
        bleached = 1 - np.exp(-times / settings.bleach_time_s)
        self._bleaching = (1 - settings.bleach_fraction * bleached).astype(np.float32)

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return self.settings.n_frames

    @property
    def bad_frames(self) -> np.ndarray:
        """Frames that hold no whole picture of their own, bool (T,)."""
        return np.zeros(self.n_frames, bool) if self._bad is None else self._bad.bad

    def _rng(self, name: str) -> np.random.Generator:
        return stream(self.seed, name)

    def frames(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Render frames [start, stop): (n, height, width), the same bytes in whatever pieces they are read.

        uint8 or uint16, or float32 for ΔF/F that isn't stretched.
        """
        stop = self.n_frames if stop is None else min(stop, self.n_frames)
        result = np.empty((max(0, stop - start), *self.size), self.settings.dtype)
        for first in range(start - start % self._block_frames, stop, self._block_frames):
            block = self._rendered_block(first)
            begin, end = max(start, first), min(stop, first + len(block))
            result[begin - start : end - start] = block[begin - first : end - first]
        return result

    def _rendered_block(self, first: int) -> np.ndarray:
        if self._block is None or self._block[0] != first:
            settings = self.settings
            indices = np.arange(first, min(first + self._block_frames, self.n_frames))
            frames = np.empty((len(indices), *self.size), settings.dtype)
            for begin in range(0, len(indices), BLOCK_FRAMES):
                some = slice(begin, begin + BLOCK_FRAMES)
                frames[some] = self._render(indices[some])
            if settings.codec != "none":
                frames = compressed(frames, settings.codec, settings.codec_quality)
            self._block = (first, frames)
        return self._block[1]

    def _render(self, indices: np.ndarray) -> np.ndarray:
        if self._bad is not None:
            shown = self._bad.shown[indices]
            light = self._bad.lit(self.light(shown), shown)
            return self._bad.torn(self._sensor.levels(self._sensor.noisy(light, shown)), shown)
        light = self._sensor.noisy(self.light(indices), indices)
        if self.settings.kind == "raw":
            return self._sensor.levels(light)
        change = sensor.relative_change(light, self._mean_light)
        if not self.settings.stretch_each_frame:
            return change
        low, span = sensor.stretch_range(change)
        return self._sensor.quantised((change - low) * (self._sensor.full_scale / span))

    def light(self, indices: np.ndarray) -> np.ndarray:
        """Light on the sensor without noise, float32 (n, height, width).

        1 is the background in the middle of the field, before bleaching.
        """
        field = self._moved(self._tissue.at(indices), indices)
        optics, leak = self._optics_in(indices)
        field *= torch.from_numpy(self._bleaching[indices])[:, None, None]
        field *= optics
        field += leak
        return np.maximum(field.contiguous().numpy(), 0)

    def _moved(self, tissue: torch.Tensor, indices: np.ndarray) -> torch.Tensor:
        if self._bending is None:
            return motion.shifted(tissue, self.shifts[indices], self.size)
        return motion.bent(tissue, indices, self.shifts[indices], self._bending, self.size)

    def displacement(self, points: np.ndarray) -> np.ndarray:
        """True displacement (T, K, 2) of points (K, 2) of the tissue in every frame, pixels."""
        moved = np.repeat(self.shifts[:, None], len(points), 1)
        if self._bending is None:
            return moved
        for frame, shift in enumerate(self.shifts):
            for _ in range(8):  # what is seen at a place of the sensor bends by what bends that place
                y, x = (points + moved[frame]).T
                moved[frame] = shift + self._bending.at(frame, y, x).T
        return moved

    def _optics_in(self, indices: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Transmission and stray light in some frames, (1 or n, height, width)."""
        optics, leak = torch.from_numpy(self._optics)[None], torch.from_numpy(self._leak)[None]
        if self._sensor_shifts is None:
            return optics, leak
        moved = self._sensor_shifts[indices]
        return motion.shifted(optics, moved, self.size), motion.shifted(leak, moved, self.size)

    @cached_property
    def _first_optics(self) -> np.ndarray:
        return self._optics_in(np.array([0]))[0][0].numpy()

    @cached_property
    def _first_lens(self) -> np.ndarray:
        """The lens's transmission in the first frame, (height, width)."""
        image = torch.from_numpy(self._lens)[None]
        if self._sensor_shifts is None:
            return image[0].numpy()
        return motion.shifted(image, self._sensor_shifts[:1], self.size)[0].clamp_min(0).numpy()

    @cached_property
    def _sampled(self) -> np.ndarray:
        return np.unique(np.linspace(0, self.n_frames - 1, SAMPLED_FRAMES).astype(int))

    @cached_property
    def _mean_light(self) -> np.ndarray:
        """Mean image without noise: the mean tissue under a sample of the shifts."""
        optics, leak = self._optics_in(self._sampled)
        field = self._moved(self._tissue.mean(), self._sampled)
        mean = (field * optics * float(self._bleaching.mean()) + leak).mean(0)
        return np.maximum(mean.numpy(), 1e-3)

    @cached_property
    def _levels(self) -> np.ndarray:
        """Levels of the frames per unit of light, (height, width): for raw frames before bleaching."""
        if self.settings.kind == "raw":
            return self._first_optics * self._sensor.levels_per_light
        per_change = 1.0
        if self.settings.stretch_each_frame:
            spans = []
            for indices in np.array_split(self._sampled, max(1, len(self._sampled) // BLOCK_FRAMES)):
                light = self._sensor.noisy(self.light(indices), indices)
                spans.append(sensor.stretch_range(sensor.relative_change(light, self._mean_light))[1].ravel())
            per_change = self._sensor.full_scale / float(np.median(np.concatenate(spans)))
        return self._first_optics / self._mean_light * per_change

    @cached_property
    def _visible(self) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
        """Footprints in the field, their peaks, and the share of each that the border and the lens leave."""
        tissue = self._tissue
        (footprints, peaks), visible = tissue.footprints, tissue.visible
        if self._lens is None:
            return footprints, peaks, visible
        still = self._first_lens
        footprints, share, over_centre = lens.seen_through(footprints, still, tissue.at_places(still))
        return footprints, peaks * over_centre, visible * share

    @cached_property
    def truth(self) -> Truth:
        """The cells that can be seen, and the motion.

        Traces are calcium with its baseline at 0, in levels of the frames at the footprint's peak: before
        bleaching, without stray light, and for stretched frames at the median stretch.
        """
        tissue = self._tissue
        footprints, peaks, visible = self._visible
        bright = self.detectability >= self.settings.truth_min_detectability
        seen = (visible >= LEAST_VISIBLE) & bright
        level = (peaks * tissue.at_places(self._levels)).astype(np.float32)
        traces = tissue.light[seen] * level[seen, None]
        return Truth(
            shifts=self.shifts,
            footprints=csr_matrix(footprints[seen]),
            traces=traces,
            spikes=tissue.spikes[seen],
            amplitude=traces.max(1, initial=0.0),
            identity=None if self.day is None else np.flatnonzero(seen),
        )

    @cached_property
    def detectability(self) -> np.ndarray:
        """Brightest transient of every cell drawn over the sensor's noise, with the best weights: (K,).

        The best weights for light of known shape are that shape, so the footprint's norm counts.
        """
        tissue, photons = self._tissue, self.settings.photons_per_px
        footprints, peaks, _ = self._visible
        norm = np.sqrt(np.asarray(footprints.multiply(footprints).sum(1)).ravel())
        optics = tissue.at_places(self._first_optics)
        resting = tissue.at_places(tissue.still_field) * optics + self.settings.leakage
        noise = np.sqrt(np.maximum(resting * photons, 0) + self.settings.read_noise_photons**2)
        transient = tissue.light.max(1, initial=0.0) * peaks * optics * photons
        return transient * norm / np.maximum(noise, 1e-6)
