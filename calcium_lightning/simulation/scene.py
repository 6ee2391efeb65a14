"""A simulated recording: composes tissue, motion and sensor, and renders frames whenever they are asked for.

Frames are rendered in fixed blocks, so that they are the same bytes however they are read. Nothing is kept but
the sparse footprints, the time courses and the last block.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags, vstack

from calcium_lightning.errors import InputError
from calcium_lightning.progress import progress
from calcium_lightning.session import SessionWriter, Truth
from calcium_lightning.simulation import background, motion, sensor
from calcium_lightning.simulation.activity import draw_activity, slow_courses, standardized
from calcium_lightning.simulation.cells import CUT, draw_cells, draw_distractors, draw_footprints
from calcium_lightning.simulation.settings import SceneSettings
from calcium_lightning.simulation.streams import stream

BLOCK_FRAMES = 32
SAMPLED_FRAMES = 64  # for the mean image and the typical stretch of ΔF/F


class Scene:
    """One drawn scene.

    The forward model, per frame: light = optics · bleaching · shift(vessels · (haze + neuropil + halos + cells))
    + leakage, then photons, noise and levels.

    Parameters
    ----------
    settings : SceneSettings
        What the scene is like.
    seed : int
        Everything random follows from it.

    Attributes
    ----------
    shifts : ndarray, float32 (T, 2)
        True displacement of the tissue in each frame, pixels (dy, dx).
    truth : Truth
        Footprints, traces in levels of the frames, spikes, amplitudes and shifts.

    Examples
    --------
    >>> scene = Scene(SceneSettings(height_px=32, width_px=48, seconds=1.0), seed=1)
    >>> scene.frames(0, 4).shape
    (4, 32, 48)
    """

    def __init__(self, settings: SceneSettings, seed: int = 0) -> None:
        if seed < 0:
            raise InputError(f"seed={seed}: must not be negative")
        self.settings = settings
        self.seed = seed
        self.size = (settings.height_px, settings.width_px)
        self._block: tuple[int, np.ndarray] | None = None
        self._draw_motion()
        self._draw_tissue()
        self._optics, self._leak = background.draw_optics(
            self.size, self._sensor_margin, settings, self._rng("optics")
        )
        self._sensor = sensor.Sensor(settings, seed)
        times = np.arange(self.n_frames) / settings.fps
        bleached = 1 - np.exp(-times / settings.bleach_time_s)
        self._bleaching = (1 - settings.bleach_fraction * bleached).astype(np.float32)

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return self.settings.n_frames

    def _rng(self, name: str) -> np.random.Generator:
        return stream(self.seed, name)

    def _draw_motion(self) -> None:
        settings = self.settings
        moved = motion.draw_motion(settings, self._rng("motion"))
        if settings.motion_corrected:
            self.shifts = motion.draw_residual(settings, self._rng("residual"))
            self._sensor_shifts = self.shifts - moved  # the sensor's own pattern moves instead
            self._sensor_margin = motion.margin_px(self._sensor_shifts)
        else:
            self.shifts, self._sensor_shifts, self._sensor_margin = moved, None, 0
        self._margin = motion.margin_px(self.shifts)

    def _draw_tissue(self) -> None:
        """Draw everything that moves, on the field and its margin."""
        settings, margin = self.settings, self._margin
        origin = (-margin, -margin)
        size = (self.size[0] + 2 * margin, self.size[1] + 2 * margin)
        pad = margin + settings.mean_diameter_px + settings.defocus_sigma_px[1]
        cells = draw_cells(settings, pad, self._rng("cells"))
        images, _ = draw_footprints(cells, origin, size, settings.psf_sigma_px)
        self._vessels = background.draw_vessels(size, settings, self._rng("vessels"))
        shade = diags(self._vessels.ravel())
        rng = self._rng("brightness")
        brightness = settings.brightness * np.exp(
            settings.brightness_log_std * rng.standard_normal(len(cells))
        )
        resting = brightness * rng.uniform(*settings.resting_fraction, len(cells))
        activity = draw_activity(len(cells), settings, self._rng("activity"))
        light = (brightness[:, None] * activity.calcium).astype(np.float32)

        others = draw_distractors(settings, pad, self._rng("distractors"))
        other_images, _ = draw_footprints(others, origin, size, settings.psf_sigma_px)
        rng = self._rng("distraction")
        other_light = settings.brightness * rng.lognormal(-0.5, 0.5, (len(others), 1))
        other_light = other_light * draw_activity(len(others), settings, rng).calcium

        scale = min(settings.neuropil_scale_px[0], settings.halo_diameters[0] * settings.cell_diameter_px[0])
        grid = background.CoarseGrid(size, min(max(0.5 * scale, 2.0), 16.0))
        halos = background.draw_halos(cells, grid, origin, settings, self._rng("halos"))
        fields = background.draw_neuropil(grid, settings, self._rng("neuropil"))
        haze = background.draw_haze(grid, settings, self._rng("haze"))
        courses = self._neuropil_courses(fields, halos, light)

        self._cells = csr_matrix(images @ shade)
        self._still = (
            self._cells.T @ resting + self._vessels.ravel() * grid.interpolate(haze.reshape(-1, 1)).ravel()
        )
        self._still = self._still.reshape(size).astype(np.float32)
        self._sparse = csr_matrix(vstack([self._cells, other_images @ shade], dtype=np.float32).T)
        self._sparse_light = np.concatenate([light, other_light.astype(np.float32)])
        self._grid = grid
        self._courses = courses.astype(np.float32)
        self._smooth = csr_matrix(
            vstack([csr_matrix(fields.reshape(len(fields), -1)), halos], dtype=np.float32).T
        )
        self._n_cells = len(cells)
        self._places, self._spikes = cells.centers, activity.spikes

    def _neuropil_courses(self, fields: np.ndarray, halos: csr_matrix, light: np.ndarray) -> np.ndarray:
        """Time courses of the neuropil: partly their own, partly what the cells beneath do. (components, T)."""
        settings = self.settings
        rng = self._rng("courses")
        own = slow_courses(len(fields), self.n_frames, settings.fps, settings.neuropil_time_s, rng)
        share = settings.neuropil_follows_cells
        if not share or not len(light):
            return own
        beneath = np.maximum(halos @ fields.reshape(len(fields), -1).T, 0).T  # (components, K)
        following = standardized(csr_matrix(beneath) @ light)  # sparse: the same last bits every time
        return np.sqrt(1 - share) * own + np.sqrt(share) * following

    def frames(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Render frames [start, stop): (n, height, width), the same bytes in whatever pieces they are read."""
        stop = self.n_frames if stop is None else min(stop, self.n_frames)
        result = np.empty((max(0, stop - start), *self.size), self.settings.dtype)
        for first in range(start - start % BLOCK_FRAMES, stop, BLOCK_FRAMES):
            block = self._rendered_block(first)
            begin, end = max(start, first), min(stop, first + len(block))
            result[begin - start : end - start] = block[begin - first : end - first]
        return result

    def _rendered_block(self, first: int) -> np.ndarray:
        if self._block is None or self._block[0] != first:
            indices = np.arange(first, min(first + BLOCK_FRAMES, self.n_frames))
            self._block = (first, self._render(indices))
        return self._block[1]

    def _render(self, indices: np.ndarray) -> np.ndarray:
        light = self._sensor.noisy(self.light(indices), indices)
        if self.settings.kind == "raw":
            return self._sensor.levels(light)
        change = sensor.relative_change(light, self._mean_light)
        if not self.settings.stretch_each_frame:
            return change
        low, span = sensor.stretch_range(change)
        return self._sensor.quantised((change - low) * (self._sensor.full_scale / span))

    def light(self, indices: np.ndarray) -> np.ndarray:
        """Light on the sensor without noise, float32 (n, height, width), 1 = background in the middle of the field."""
        tissue = self._tissue(self._sparse_light[:, indices], self._courses[:, indices])
        field = motion.shifted(tissue, self.shifts[indices], self.size)
        optics, leak = self._optics_of(indices)
        field *= torch.from_numpy(self._bleaching[indices])[:, None, None]
        field *= optics
        field += leak
        return np.maximum(field.contiguous().numpy(), 0)

    def _tissue(self, sparse_light: np.ndarray, courses: np.ndarray) -> torch.Tensor:
        """Light of the tissue where it rests, with its margin: (n, height + 2 m, width + 2 m)."""
        count = sparse_light.shape[1]
        nodes = self._smooth @ np.concatenate([courses, sparse_light[: self._n_cells]])
        tissue = torch.from_numpy(np.ascontiguousarray(self._grid.interpolate(nodes)))
        tissue *= torch.from_numpy(self._vessels)
        tissue += torch.from_numpy(self._still)
        lit = self._sparse @ np.ascontiguousarray(sparse_light)
        tissue.view(count, -1).add_(torch.from_numpy(lit).T)
        return tissue

    def _optics_of(self, indices: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        optics, leak = torch.from_numpy(self._optics)[None], torch.from_numpy(self._leak)[None]
        if self._sensor_shifts is None:
            return optics, leak
        moved = self._sensor_shifts[indices]
        return motion.shifted(optics, moved, self.size), motion.shifted(leak, moved, self.size)

    @cached_property
    def _sampled(self) -> np.ndarray:
        return np.unique(np.linspace(0, self.n_frames - 1, SAMPLED_FRAMES).astype(int))

    @cached_property
    def _mean_light(self) -> np.ndarray:
        """Mean image without noise: the mean tissue under a sample of the shifts."""
        tissue = self._tissue(self._sparse_light.mean(1, keepdims=True), self._courses.mean(1, keepdims=True))
        optics, leak = self._optics_of(self._sampled)
        field = motion.shifted(tissue, self.shifts[self._sampled], self.size)
        mean = (field * optics * float(self._bleaching.mean()) + leak).mean(0)
        return np.maximum(mean.numpy(), 1e-3)

    @cached_property
    def _levels(self) -> np.ndarray:
        """Levels of the frames per unit of light, (height, width): for raw frames before bleaching."""
        optics = self._optics_of(np.array([0]))[0][0].numpy()
        if self.settings.kind == "raw":
            return optics * self._sensor.levels_per_light
        per_change = 1.0
        if self.settings.stretch_each_frame:
            spans = []
            for indices in np.array_split(self._sampled, max(1, len(self._sampled) // BLOCK_FRAMES)):
                light = self._sensor.noisy(self.light(indices), indices)
                spans.append(sensor.stretch_range(sensor.relative_change(light, self._mean_light))[1].ravel())
            per_change = self._sensor.full_scale / float(np.median(np.concatenate(spans)))
        return optics / self._mean_light * per_change

    @cached_property
    def truth(self) -> Truth:
        """The truth, in the order of the cells' places.

        Traces are calcium with its baseline at 0, in levels of the frames at the footprint's peak: before
        bleaching, without stray light, and for stretched frames at the median stretch.
        """
        footprints, peaks = self._visible()
        calcium = self._sparse_light[: len(peaks)]
        place = np.clip(np.rint(self._places), 0, np.array(self.size) - 1).astype(int)
        inside = ((self._places > -0.5) & (self._places < np.array(self.size) - 0.5)).all(1)
        level = peaks * self._levels[place[:, 0], place[:, 1]]
        # Best weights for a transient of known shape: the footprint itself, so its norm counts.
        norm = np.sqrt(np.asarray(footprints.multiply(footprints).sum(1)).ravel())
        photons = self.settings.photons_per_px
        optics = self._optics_of(np.array([0]))[0][0].numpy()[place[:, 0], place[:, 1]]
        resting = (
            self._still[place[:, 0] + self._margin, place[:, 1] + self._margin] * optics
            + self.settings.leakage
        )
        noise = np.sqrt(np.maximum(resting * photons, 0) + self.settings.read_noise_photons**2)
        brightest = calcium.max(1, initial=0.0) * peaks * optics * photons
        self.detectability = brightest * norm / np.maximum(noise, 1e-6)
        seen = inside & (self.detectability >= self.settings.truth_min_detectability) & (peaks > 0)
        traces = calcium[seen] * level[seen, None].astype(np.float32)
        return Truth(
            shifts=self.shifts,
            footprints=csr_matrix(footprints[seen]),
            traces=traces,
            spikes=self._spikes[seen],
            amplitude=traces.max(1, initial=0.0),
        )

    def _visible(self) -> tuple[csr_matrix, np.ndarray]:
        """Footprints on the field, their visible part scaled to a peak of 1, and that peak (K,)."""
        margin, (height, width) = self._margin, self.size
        full = np.arange(self._cells.shape[1]).reshape(height + 2 * margin, width + 2 * margin)
        field = full[margin : margin + height, margin : margin + width].ravel()
        footprints = csr_matrix(self._cells[:, field])
        peaks = footprints.max(1).toarray().ravel() if footprints.shape[0] else np.zeros(0)
        scale = diags((1 / np.where(peaks > 0, peaks, 1)).astype(np.float32))
        footprints = csr_matrix(scale @ footprints, dtype=np.float32)
        footprints.data[footprints.data < CUT] = 0
        footprints.eliminate_zeros()
        footprints.sort_indices()
        return footprints, peaks


def write_session(
    path: Path | str,
    settings: SceneSettings,
    seed: int = 0,
    *,
    overwrite: bool = False,
    compression: str | None = None,
) -> Scene:
    """Simulate a recording and stream it to a session file with its truth.

    Parameters
    ----------
    path : path-like
        The session file to make.
    settings : SceneSettings
        What the scene is like.
    seed : int
        The same seed and settings give the same file.
    overwrite : bool
        Replace an existing file.
    compression : {None, "gzip", "lz4"}
        Of the frames.

    Returns
    -------
    Scene
        The scene that was written.

    Raises
    ------
    InputError
        If the file exists.
    """
    with SessionWriter(
        path,
        settings.height_px,
        settings.width_px,
        settings.dtype,
        settings.fps,
        pixel_size_um=settings.pixel_size_um,
        kind=settings.kind,
        motion_corrected=settings.motion_corrected,
        overwrite=overwrite,
        compression=compression,
    ) as writer:
        scene = Scene(settings, seed)
        with progress("simulating", settings.n_frames) as advance:
            for start in range(0, settings.n_frames, BLOCK_FRAMES):
                frames = scene.frames(start, start + BLOCK_FRAMES)
                writer.append(frames)
                advance(len(frames))
        writer.set_timestamps(np.arange(settings.n_frames) / settings.fps)
        writer.set_truth(scene.truth)
    return scene
