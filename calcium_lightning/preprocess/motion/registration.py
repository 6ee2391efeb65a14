"""Rigid registration of a block of frames: warping, band-passed FFT correlation, a first template.

Knows tensors only. What a frame shows besides the tissue (cells that light up, a drifting background) is
:mod:`~calcium_lightning.preprocess.motion.model`'s business, where frames come from is
:mod:`~calcium_lightning.preprocess.motion.estimate`'s.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from scipy.fft import next_fast_len
from scipy.ndimage import binary_opening, distance_transform_edt
from torch import Tensor

from calcium_lightning.core.pieces import in_order
from calcium_lightning.core.scale import FWHM
from calcium_lightning.preprocess.resample import apply_banded, band_strips

#: frames whose mutual correlation chooses the first template, and how many of them make it
REFERENCE_FRAMES, REFERENCE_NEIGHBOURS = 240, 20
#: frames that are transformed or filtered at a time: what is small stays in the processor's cache
FEW = 32
#: a Gaussian's weights below this share of its peak are no different from 0 in single precision
LEAST_WEIGHT = 1e-9
#: so near a lens's edge, cell diameters, frames aren't placed by; unless less than this share were left
EDGE, LEAST_CLEAR = 0.75, 0.4


def cubic_weights(fraction: Tensor) -> Tensor:
    """Weights of four neighbouring pixels for a place between the middle two.

    Keys' cubic convolution with a = -0.5, the value that reproduces slopes: with the usual -0.75 (as in
    ``torch.nn.functional.grid_sample``) a registration is off by up to 0.1 pixels, periodic in the fraction.

    Parameters
    ----------
    fraction : Tensor (n,)
        Distance from the second pixel, in [0, 1).

    Returns
    -------
    Tensor (n, 4)
        Rows sum to 1.
    """
    distance = (fraction[:, None] - torch.arange(-1, 3, device=fraction.device)).abs()
    near = (1.5 * distance - 2.5) * distance.square() + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(far)))


def shift_frames(frames: Tensor, shifts: Tensor) -> Tensor:
    """Undo the motion: the result at c is the frame at c + shift.

    A shift is the same for all pixels of a frame: its whole part picks a part of the frame, its fraction is a
    convolution with 4 x 4 weights.

    Parameters
    ----------
    frames : Tensor, float32 (n, h, w)
    shifts : Tensor, float32 (n, 2)
        (dy, dx), pixels of these frames, in the sign of the session file.

    Returns
    -------
    Tensor, float32 (n, h, w)
        Beyond the ends the last pixel repeats.
    """
    count, height, width = frames.shape
    shifts = torch.stack([shifts[:, i].clamp(-n, n) for i, n in enumerate((height, width))], 1)
    whole = shifts.floor()
    kernels = (cubic_weights((shifts - whole)[:, i]) for i in (0, 1))
    kernel = torch.einsum("ni,nj->nij", *kernels)[:, None]
    starts = whole.long() - 1  # where the four pixels of the first result begin
    cut = cut_by_copies if frames.device.type == "cpu" else cut_by_gathering
    return torch.nn.functional.conv2d(cut(frames, starts)[None], kernel, groups=count)[0]


def cut_by_copies(frames: Tensor, starts: Tensor) -> Tensor:
    """Parts (n, h + 3, w + 3) of frames (n, h, w) that begin at ``starts`` (n, 2); the last pixel repeats."""
    count, height, width = frames.shape
    above, left = (-starts.amin(0)).clamp_min(0).tolist()
    below, right = (starts.amax(0) + 3).clamp_min(0).tolist()
    padded = torch.nn.functional.pad(frames, (left, right, above, below), mode="replicate")
    parts = frames.new_empty(count, height + 3, width + 3)
    for part, frame, (y, x) in zip(
        parts, padded, (starts + torch.tensor([above, left])).tolist(), strict=True
    ):
        part.copy_(frame[y : y + height + 3, x : x + width + 3])
    return parts


def cut_by_gathering(frames: Tensor, starts: Tensor) -> Tensor:
    """The same without a question to the device, which would be waited for; a CPU is slower at it."""
    rows, columns = (
        (starts[:, i, None] + torch.arange(n + 3, device=frames.device)).clamp(0, n - 1)
        for i, n in enumerate(frames.shape[1:])
    )
    frame = torch.arange(len(frames), device=frames.device)[:, None, None]
    return frames[frame, rows[:, :, None], columns[:, None]]


def gaussian_matrix(length: int, sigma: float, device: torch.device) -> Tensor:
    """Gaussian smoothing along a line, rows sum to 1, float32 (length, length)."""
    grid = torch.arange(length, dtype=torch.float32, device=device)
    weights = torch.exp(-0.5 * ((grid[:, None] - grid) / sigma) ** 2)
    # Products with numbers so small that they are denormal take a processor ten times as long.
    weights *= weights > LEAST_WEIGHT
    return weights / weights.sum(1, keepdim=True)


def smooth(images: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing of images (..., h, w)."""
    size, device = images.shape[-2:], images.device
    reach = math.ceil(sigma * math.sqrt(-2 * math.log(LEAST_WEIGHT)))
    rows, columns = (gaussian_matrix(n, sigma, device) for n in size)
    strips = (band_strips(size[0], reach, device), band_strips(size[1], reach, device))
    smoothed = torch.empty_like(images, memory_format=torch.contiguous_format)
    apply_banded(images.reshape(-1, *size), rows, columns, strips, smoothed.view(-1, *size))
    return smoothed


def clear_of_edges(usable: Tensor, cell_diameter: float) -> Tensor:
    """The part of a field (h, w), 1 where it shows tissue, that frames are placed by.

    A lens's edge is soft: the shade beside it stands still, and has more contrast than faint tissue.
    """
    shown = usable.cpu().numpy() > 0
    outside = binary_opening(~shown, np.ones((3, 3)))  # lines have no shade
    if not outside.any():
        return usable
    clear = shown & (distance_transform_edt(~outside) > EDGE * cell_diameter)
    if clear.sum() < LEAST_CLEAR * shown.sum():
        return usable
    return torch.from_numpy(clear.astype(np.float32)).to(usable.device)


class Correlator:
    """Band-passed FFT cross-correlation of frames with a template.

    Parameters
    ----------
    height, width : int
        Pixels of a frame.
    cell_diameter : float
        Full width at half maximum of a cell, pixels: it sets the band.
    max_shift : float
        Largest motion looked for, as a share of the field.
    device : torch.device
    usable : Tensor (h, w), optional
        1 where the field shows tissue; what stands still around it would be followed otherwise.
    """

    def __init__(
        self,
        height: int,
        width: int,
        cell_diameter: float,
        max_shift: float,
        device: torch.device,
        usable: Tensor | None = None,
    ) -> None:
        self.size = (height, width)
        self.cell_diameter = cell_diameter
        #: what frames are padded to: a transform of a prime length takes several times as long
        self.padded = (next_fast_len(height), next_fast_len(width, real=True))
        self.reach = tuple(max(1, min(int(max_shift * n) + 1, (n - 1) // 2)) for n in self.size)
        radius2 = (
            torch.fft.fftfreq(self.padded[0], device=device)[:, None] ** 2
            + torch.fft.rfftfreq(self.padded[1], device=device) ** 2
        )
        fine, coarse = 0.5 * cell_diameter / FWHM, cell_diameter
        self.band = torch.exp(-2 * (math.pi * fine) ** 2 * radius2) - torch.exp(
            -2 * (math.pi * coarse) ** 2 * radius2
        )
        # A gentle taper: the border holds a quarter of the field's cells, and edges wrap around.
        rows, columns = (
            torch.hann_window(n + 2, periodic=False, device=device)[1:-1] ** 0.25 for n in self.size
        )
        self.taper = rows[:, None] * columns
        self.usable = usable
        if usable is not None:
            # As gentle, and nothing at all of what lies outside.
            soft = (2 * smooth(usable, coarse) - 1).clamp(0, 1) ** 0.5
            self.taper = self.taper * usable * (soft if soft.any() else 1)

    def part(self, rows: slice, columns: slice) -> Correlator:
        """The same for a part of the field, which may move as far."""
        usable = None if self.usable is None else self.usable[rows, columns].contiguous()
        height, width = (len(range(n)[lines]) for n, lines in zip(self.size, (rows, columns), strict=True))
        made = Correlator(height, width, self.cell_diameter, 0.0, self.band.device, usable)
        made.reach = tuple(min(reach, (n - 1) // 2) for reach, n in zip(self.reach, made.size, strict=True))
        return made

    def transform(self, frames: Tensor) -> Tensor:
        """Band-passed spectrum of frames (..., h, w)."""
        if self.usable is None:
            flat = frames - frames.mean((-2, -1), keepdim=True)
        else:
            flat = frames - (frames * self.usable).sum((-2, -1), keepdim=True) / self.usable.sum()
        return torch.fft.rfft2(flat.mul_(self.taper), s=self.padded).mul_(self.band)

    def __call__(self, spectra: Tensor, template: Tensor) -> Tensor:
        """Shifts (n, 2), pixels, of the frames behind ``spectra`` against a template (h, w); 0 if flat."""
        ry, rx = self.reach
        rows = torch.fft.ifft(spectra * self.transform(template).conj_physical(), dim=1)
        map_ = _around_zero(torch.fft.irfft(_around_zero(rows, ry, 1), self.padded[1], 2), rx, 2)
        best = map_.flatten(1).max(1)
        y, x = best.indices // (2 * rx + 1), best.indices % (2 * rx + 1)
        n = torch.arange(len(map_), device=map_.device)
        inner_y, inner_x = y.clamp(1, 2 * ry - 1), x.clamp(1, 2 * rx - 1)
        centre = map_[n, inner_y, inner_x]
        dy = _parabola(map_[n, inner_y - 1, inner_x], centre, map_[n, inner_y + 1, inner_x])
        dx = _parabola(map_[n, inner_y, inner_x - 1], centre, map_[n, inner_y, inner_x + 1])
        shifts = torch.stack([inner_y - ry + dy, inner_x - rx + dx], 1)
        return torch.where(best.values[:, None] > 0, shifts, torch.zeros_like(shifts))

    def _products(self, first: Tensor, second: Tensor) -> Tensor:
        """Products (n, m) of the images behind spectra, by Parseval: what isn't stored is its conjugate."""
        twice = torch.full((first.shape[-1], 1), 2.0, device=first.device)
        twice[0] = 1
        if self.padded[1] % 2 == 0:
            twice[-1] = 1
        weighted, plain = torch.view_as_real(first) * twice, torch.view_as_real(second)
        return weighted.flatten(1) @ plain.flatten(1).T / (self.padded[0] * self.padded[1])

    def first_template(self, frames: Tensor, rounds: int = 3) -> Tensor:
        """Template (h, w): the frame that resembles most others, then the mean of frames registered to it.

        Of few frames (n, h, w), as :data:`REFERENCE_FRAMES`: each is compared with each.
        """
        # A few frames at a time: of all, there are only the spectra.
        parts = frames.split(FEW)
        spectra = list(in_order(self.transform, parts))

        def likeness(some: Tensor) -> Tensor:
            return torch.cat([self._products(some, others) for others in spectra], 1)

        products = torch.cat(list(in_order(likeness, spectra)))
        norm = products.diagonal().clamp_min(0).sqrt().clamp_min(1e-12)
        nearest = (products / norm / norm[:, None]).topk(min(REFERENCE_NEIGHBOURS, len(frames)), 1)
        template = frames[nearest.indices[nearest.values.mean(1).argmax()]].mean(0)
        for _ in range(rounds):
            shifts = torch.cat(list(in_order(partial(self, template=template), spectra)))
            steps = (shifts - shifts.median(0).values).split(FEW)
            moved = in_order(lambda part: shift_frames(*part).sum(0), zip(parts, steps, strict=True))
            template = torch.stack(list(moved)).sum(0) / len(frames)
        return template


def _around_zero(values: Tensor, reach: int, axis: int) -> Tensor:
    """Lags -reach to reach along an axis, of a transform that has them as 0, 1, … and …, -1."""
    length = values.shape[axis]
    return torch.cat([values.narrow(axis, length - reach, reach), values.narrow(axis, 0, reach + 1)], axis)


def _parabola(left: Tensor, centre: Tensor, right: Tensor) -> Tensor:
    curvature = left - 2 * centre + right
    offset = 0.5 * (left - right) / torch.where(curvature < 0, curvature, -torch.ones_like(curvature))
    return torch.where(curvature < 0, offset, torch.zeros_like(offset)).clamp(-0.5, 0.5)
