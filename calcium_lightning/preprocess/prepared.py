"""A session at the network's scale: motion-corrected, repaired, background removed, in units of its noise.

Frames stay in their file; what is kept per session is a motion vector per frame and a handful of images.
Every block of frames is computed when it is asked for, by two batched matrix products; motion that differs
over the field is undone in two steps, what is common to the field and then the rest. Knows sessions and
tensors, and nothing of networks or cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from calcium_lightning.core.scale import NETWORK_DIAMETER
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.preprocess.motion.patches import PatchGrid, sample_undone
from calcium_lightning.preprocess.motion.types import PatchShifts
from calcium_lightning.preprocess.resample import (
    CUT_SIGMAS,
    Strip,
    antialias_sigma,
    apply_banded,
    apply_separable,
    band_strips,
    network_centers,
    sample,
    shift_matrices,
    smoothing_matrix,
)

#: tiles between neighbouring places at which the motion is known, where whole pixels will do
TILES = 4
Crop = tuple[int, int, int, int]


@dataclass(frozen=True)
class Scale:
    """The network's pixel grid over a session's field.

    Attributes
    ----------
    field : (int, int)
        (H, W), session pixels.
    size : (int, int)
        (h, w), network pixels; they tile the field.
    """

    field: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def for_diameter(cls, field: tuple[int, int], cell_diameter: float) -> Scale:
        """Grid on which a cell of ``cell_diameter`` session pixels is :data:`NETWORK_DIAMETER` wide."""
        # Small cells are not blown up beyond twice: that would invent pixels and cost time.
        factor = min(2.0, NETWORK_DIAMETER / cell_diameter)
        height, width = (max(8, round(length * factor)) for length in field)
        return cls(field, (height, width))

    @property
    def factor(self) -> np.ndarray:
        """Network pixels per session pixel along (y, x), float64 (2,)."""
        return np.array(self.size) / np.array(self.field)

    def resized(self, image: np.ndarray) -> np.ndarray:
        """A session's image (H, W) on the network's grid, float32 (h, w)."""
        matrices = (
            shift_matrices(
                length, network_centers(length, count), torch.zeros(1), antialias_sigma(count / length)
            )[0]
            for length, count in zip(self.field, self.size, strict=True)
        )
        picture = torch.from_numpy(np.asarray(image, np.float32))[None]
        return apply_separable(picture, *matrices)[0].numpy()

    def enlarged(self, image: np.ndarray) -> np.ndarray:
        """An image (h, w) on the network's grid on the session's, bilinear, float32 (H, W)."""
        rows, columns = (
            (np.arange(length) + 0.5) * factor - 0.5
            for length, factor in zip(self.field, self.factor, strict=True)
        )
        places = np.meshgrid(rows, columns, indexing="ij")
        found: np.ndarray = map_coordinates(np.asarray(image, np.float32), places, order=1, mode="nearest")
        return found

    def to_session(self, positions: np.ndarray) -> np.ndarray:
        """Network (y, x) to session (y, x), pixels, (..., 2)."""
        return (np.asarray(positions) + 0.5) / self.factor - 0.5

    def to_network(self, positions: np.ndarray) -> np.ndarray:
        """Session (y, x) to network (y, x), pixels, (..., 2)."""
        return (np.asarray(positions) + 0.5) * self.factor - 0.5


@dataclass(frozen=True)
class Prepared:
    """What turns a session's frames into the network's input; immutable, and picklable where its session is.

    Attributes
    ----------
    session : BaseSession
        The recording.
    scale : Scale
        The network's pixel grid.
    fps : float
        Frame rate, Hz.
    cell_diameter : float
        Full width at half maximum of a typical footprint, session pixels.
    shifts : ndarray, float32 (T, 2)
        Motion (dy, dx) that is removed, session pixels, sign of the session file.
    gain, offset : ndarray, float32 (T,)
        Each frame was stored as ``true * gain + offset``.
    background_sigma : float
        Standard deviation of the blur that is taken for background, network pixels.
    baseline : Tensor, float32 (knots, h, w)
        Background-free image of the quiet tissue at a few times, units of the frames.
    knots : Tensor, float32 (knots,)
        The frames at which ``baseline`` holds.
    noise : Tensor, float32 (h, w)
        Standard deviation of a frame's noise in the background-free image, units of the frames. Noise that is
        alike in neighbouring frames and pixels counts as much as white noise that hides a cell as well.
    seen : Tensor, float32 (h, w)
        Share of the frames in which each pixel lay inside the sensor's field.
    held : Tensor, float16 (T, h, w), optional
        The whole foreground, of what :meth:`in_memory` gives.
    patches : PatchShifts, optional
        Motion that differs over the field; ``shifts`` is then what is common to it.
    nonrigid : float, optional
        How much it differs, root mean square, session pixels; left in the frames where ``patches`` is None.
    motion_told : bool
        False where frames hold no picture to tell their motion by, and ``shifts`` are 0 for that.
    shade : Tensor, float32 (2, h, w), optional
        How much a shade that stands still brightens each pixel as the field moves by a session pixel.
    wander : float
        How much more noise a mean over the time of a transient has than it would have of white noise.
    """

    session: BaseSession
    scale: Scale
    fps: float
    cell_diameter: float
    shifts: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    background_sigma: float
    baseline: Tensor
    knots: Tensor
    noise: Tensor
    seen: Tensor
    held: Tensor | None = None
    patches: PatchShifts | None = None
    nonrigid: float | None = None
    motion_told: bool = True
    shade: Tensor | None = None
    wander: float = 1.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, h, w), frames and network pixels."""
        return (self.session.n_frames, *self.scale.size)

    def resampled(self, start: int, stop: int, crop: Crop | None = None) -> Tensor:
        """Frames [start, stop) without motion at the network's scale, frames' units, float32 (n, h, w)."""
        return self.resample(torch.from_numpy(self.session.frames(start, stop)), start, crop)

    def resample(self, frames: Tensor, start: int, crop: Crop | None = None) -> Tensor:
        """The same for frames that were read already: of any type (n, H, W), the first one ``start``."""
        (height, width), (rows, columns) = self.scale.field, self.scale.size
        top, bottom, left, right = crop or (0, rows, 0, columns)
        span = slice(start, start + len(frames))
        device = frames.device
        shifts = torch.from_numpy(self.shifts[span])
        y, x = network_centers(height, rows)[top:bottom], network_centers(width, columns)[left:right]
        sigma_y, sigma_x = (antialias_sigma(factor) for factor in self.scale.factor)
        sigmas = (sigma_y, sigma_x)
        if self.patches is None:
            still = sample(frames, (y, x), shifts, sigmas)
        else:
            step_y, step_x = (1 / self.scale.factor).tolist()
            y, x, moved = y.to(device), x.to(device), shifts.to(device)
            displacement = self.displacement(span, y, x)
            still = sample_undone(frames, (y, x), (step_y, step_x), moved, displacement, sigmas)
        if (self.gain[span] != 1).any() or (self.offset[span] != 0).any():
            gain, offset = (
                torch.from_numpy(part[span]).to(device)[:, None, None] for part in (self.gain, self.offset)
            )
            still = (still - offset) / gain
        return still

    def displacement(self, span: slice, y: Tensor, x: Tensor) -> Tensor:
        """How far the tissue is displaced at rows y (h,) and columns x (w,), session pixels, (n, 2, h, w)."""
        if self.patches is None:
            shifts = torch.from_numpy(self.shifts[span]).to(y.device)
            return shifts[:, :, None, None].expand(-1, -1, len(y), len(x))
        shifts = torch.from_numpy(self.patches.shifts[span]).to(y.device)
        grid = PatchGrid(self.scale.field, self.patches.count)
        return torch.stack([grid.displacement(part, y, x) for part in shifts.unbind(-1)], 1)

    def shifts_at(self, points: np.ndarray) -> np.ndarray:
        """Motion that is removed at points (K, 2), session pixels, (T, K, 2); (T, 1, 2) if alike."""
        if self.patches is None:
            return self.shifts[:, None]
        grid = PatchGrid(self.scale.field, self.patches.count)
        return grid.at(self.patches.shifts, points)

    def tiles(self, span: slice) -> np.ndarray:
        """Motion of each tile of the field, session pixels: (n, 2), or (n, rows, columns, 2) for many."""
        if self.patches is None:
            return self.shifts[span]
        count = (TILES * (places - 1) or 1 for places in self.patches.count)
        centers = (network_centers(*part) for part in zip(self.scale.field, count, strict=True))
        return self.displacement(span, *centers).movedim(1, -1).numpy()

    def high_pass(self, images: Tensor, crop: Crop | None = None) -> Tensor:
        """Remove what is smooth over a cell's surroundings, up to the border.

        Parameters
        ----------
        images : Tensor (n, h, w)
            Whole fields, or the crop with its :meth:`margin`.
        crop : (top, bottom, left, right), optional
            The part to return.

        Returns
        -------
        Tensor (n, h, w)
        """
        rows, columns = self.scale.size
        crop = crop or (0, rows, 0, columns)
        outer = self.margin(crop)
        (blur_y, strips_y), (blur_x, strips_x) = (
            self._blur(axis, crop[2 * axis : 2 * axis + 2], outer[2 * axis : 2 * axis + 2], images.device)
            for axis in (0, 1)
        )
        top, bottom, left, right = crop
        inner = images[:, top - outer[0] : bottom - outer[0], left - outer[2] : right - outer[2]]
        blurred = images.new_empty(inner.shape)
        apply_banded(images, blur_y, blur_x, (strips_y, strips_x), blurred)
        return inner - blurred

    def _blur(
        self, axis: int, lines: tuple[int, ...], source: tuple[int, ...], device: torch.device
    ) -> tuple[Tensor, list[Strip]]:
        """What makes the background of lines [first, last) of an axis of the source's lines [first, last)."""
        length, (first, last) = self.scale.size[axis], lines
        strips = band_strips(length, self.reach, device, first, last)
        matrix = smoothing_matrix(length, self.background_sigma)[first:last, source[0] : source[1]]
        return matrix.to(device), [strip.moved(-source[0]) for strip in strips]

    @property
    def reach(self) -> int:
        """How far the background of a pixel is estimated from, network pixels."""
        return int(np.ceil(CUT_SIGMAS * self.background_sigma))

    def margin(self, crop: Crop | None) -> Crop:
        """The crop with the surroundings that its background is estimated from."""
        rows, columns = self.scale.size
        top, bottom, left, right = crop or (0, rows, 0, columns)
        reach = self.reach
        return (
            max(0, top - reach),
            min(rows, bottom + reach),
            max(0, left - reach),
            min(columns, right + reach),
        )

    def detail(self, start: int, stop: int, crop: Crop | None = None) -> Tensor:
        """Frames [start, stop) without motion, background, baseline; frames' units, float32 (n, h, w)."""
        return self.detail_of(torch.from_numpy(self.session.frames(start, stop)), start, crop)

    def detail_of(self, frames: Tensor, start: int, crop: Crop | None = None) -> Tensor:
        """The same for frames that were read already, of any type (n, H, W)."""
        return self._detail(self.resample(frames, start, self.margin(crop)), start, crop)

    def _detail(self, images: Tensor, start: int, crop: Crop | None = None) -> Tensor:
        rows, columns = self.scale.size
        top, bottom, left, right = crop or (0, rows, 0, columns)
        detail = self.high_pass(images, crop)
        detail -= self.baseline_at(start, start + len(images))[:, top:bottom, left:right].to(images.device)
        if self.shade is not None:
            moved = torch.from_numpy(self.shifts[start : start + len(images)] - np.median(self.shifts, 0))
            shade = torch.einsum("na,ahw->nhw", moved, self.shade[:, top:bottom, left:right])
            detail -= shade.to(images.device)
        inside = self.inside(start, start + len(images), (top, bottom, left, right))
        return detail.mul_(inside.to(images.device))

    def foreground(self, start: int, stop: int, crop: Crop | None = None) -> Tensor:
        """The network's input: :meth:`detail` in units of its noise, float32 (n, h, w)."""
        return self.detail(start, stop, crop) * self._weight(crop)

    def foreground_of(self, frames: Tensor, start: int, crop: Crop | None = None) -> Tensor:
        """The same for frames that were read already, of any type (n, H, W)."""
        return self.detail_of(frames, start, crop) * self._weight(crop).to(frames.device)

    def layers_of(self, frames: Tensor, start: int, step: int) -> tuple[Tensor, Tensor]:
        """Foreground of whole frames, and the background that was taken off.

        Parameters
        ----------
        frames : Tensor (n, H, W)
            Of any type.
        start : int
            Which the first is.
        step : int
            Network pixels from one place to the next at which the background is wanted.

        Returns
        -------
        foreground : Tensor, float32 (n, h, w)
            :meth:`foreground_of`.
        background : Tensor, float32 (n, rows, columns)
            In units of the frames.
        """
        images = self.resample(frames, start)
        blur_y, blur_x = (
            smoothing_matrix(length, self.background_sigma)[step // 2 :: step].to(images.device)
            for length in self.scale.size
        )
        weight = self._weight(None).to(images.device)
        return self._detail(images, start).mul_(weight), apply_separable(images, blur_y, blur_x)

    def in_memory(self) -> Prepared:
        """The same with its whole foreground computed: for small sessions that are seen many times."""
        parts = [
            self.foreground_of(torch.from_numpy(frames.astype(np.float32)), start).half()
            for start, frames in self.session.chunks(64)
        ]
        return replace(self, held=torch.cat(parts))

    def _weight(self, crop: Crop | None) -> Tensor:
        rows, columns = self.scale.size
        top, bottom, left, right = crop or (0, rows, 0, columns)
        return 1 / self.noise[top:bottom, left:right]

    def inside(self, start: int, stop: int, crop: Crop | None = None) -> Tensor:
        """Which pixels lay on the sensor in frames [start, stop), bool (n, h, w)."""
        rows, columns = self.scale.size
        top, bottom, left, right = crop or (0, rows, 0, columns)
        usable = self.usable
        if self.patches is None and usable is None:
            inside_y, inside_x = self.inside_lines(start, stop)
            return inside_y[:, top:bottom, None] & inside_x[:, None, left:right]
        y, x = (
            network_centers(length, size)
            for length, size in zip(self.scale.field, self.scale.size, strict=True)
        )
        y, x = y[top:bottom, None], x[left:right]
        if self.patches is None:
            shifts = torch.from_numpy(self.shifts[start:stop])
            y, x = y + shifts[:, :1, None], x + shifts[:, 1:, None]
        else:
            down, right_ = self.displacement(slice(start, stop), y[:, 0], x).unbind(1)
            y, x = y + down, x + right_
        inside = _on_line(y, self.scale.field[0]) & _on_line(x, self.scale.field[1])
        if usable is not None:
            row, column = (
                place.round().long().clamp(0, length - 1)
                for place, length in zip((y, x), self.scale.field, strict=True)
            )
            inside = inside & usable[row, column]
        return inside

    @property
    def usable(self) -> Tensor | None:
        """Pixels of the session that show tissue, bool (H, W); None where all do."""
        usable = getattr(self.session, "usable", None)
        return None if usable is None or usable.all() else torch.from_numpy(usable)

    def inside_lines(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Which rows (n, h) and columns (n, w) lay on the sensor, bool, where the field moves as one."""
        shifts = torch.from_numpy(self.shifts[start:stop])
        return tuple(  # type: ignore[return-value]
            _on_line(
                network_centers(length, self.scale.size[axis])[None, :] + shifts[:, axis : axis + 1], length
            )
            for axis, length in enumerate(self.scale.field)
        )

    def baseline_at(self, start: int, stop: int) -> Tensor:
        """The quiet tissue in frames [start, stop), linear between knots, float32 (n, h, w)."""
        if len(self.knots) == 1:
            return self.baseline.expand(stop - start, -1, -1)
        frames = torch.arange(start, stop, dtype=torch.float32)
        right = torch.searchsorted(self.knots, frames).clamp(1, len(self.knots) - 1)
        share = ((frames - self.knots[right - 1]) / (self.knots[right] - self.knots[right - 1])).clamp(0, 1)[
            :, None, None
        ]
        return torch.lerp(self.baseline[right - 1], self.baseline[right], share)


def _on_line(places: Tensor, length: int) -> Tensor:
    """Whether places lie on a line of ``length`` pixels, bool."""
    return (places >= -0.5) & (places <= length - 0.5)
