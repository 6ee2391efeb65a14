"""One-dimensional operators that bring frames to the network's scale, as small matrices.

Rigid shift, anti-aliasing, resampling and smoothing are separable: each is a matrix along rows and one along
columns, and a block of frames is two batched matrix products. Knows matrices and tensors only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

#: width of the anti-aliasing Gaussian, in pixels of the coarser grid
ANTIALIAS_SIGMA = 0.5
#: its least width, in source pixels: a narrower one picks the nearest pixel, and motion of less than one is
#: lost
LEAST_SIGMA = 0.5
#: how far a background's slope is followed at the border, 0 (local mean) to 1 (local line)
END_SLOPE = 0.5
#: beyond so many standard deviations an anti-aliasing weight is below 1e-4 of its peak
REACH_SIGMAS = 4.3
#: where a smoothing kernel is cut, in standard deviations
CUT_SIGMAS = 3.0
#: lines of a product that are computed together: their weights are a narrow band of the source
STRIP = 24
#: source pixels of the frames that are worked on together: they stay in the processor's cache
TOGETHER = 5 << 18


def network_centers(length: int, count: int) -> Tensor:
    """Session coordinates of ``count`` network pixels that tile ``length`` session pixels, float32."""
    return (torch.arange(count, dtype=torch.float32) + 0.5) * (length / count) - 0.5


def antialias_sigma(factor: float) -> float:
    """Width of the anti-aliasing Gaussian, source pixels, for ``factor`` network pixels per source one."""
    return max(LEAST_SIGMA, ANTIALIAS_SIGMA / factor)


def shift_matrices(length: int, centers: Tensor, shifts: Tensor, sigma: float) -> Tensor:
    """Matrices that sample a shifted line at ``centers`` through a Gaussian.

    Parameters
    ----------
    length : int
        Pixels of the source line.
    centers : Tensor (m,)
        Where to sample, source pixels.
    shifts : Tensor (n,)
        Displacement of the tissue in each of n frames, source pixels.
    sigma : float
        Standard deviation of the Gaussian, source pixels.

    Returns
    -------
    Tensor, float32 (n, m, length)
        Rows sum to 1. A sample beyond the line's ends repeats the end.
    """
    wanted = (centers[None, :] + shifts[:, None]).clamp(0, length - 1)
    # A Gaussian is evaluated only where it isn't zero: a band around each sample.
    reach = int(REACH_SIGMAS * sigma) + 1
    source = wanted.round().long()[..., None] + torch.arange(-reach, reach + 1, device=centers.device)
    band = torch.exp(-0.5 * ((source - wanted[..., None]) / sigma) ** 2)
    band *= (source >= 0) & (source < length)
    band /= band.sum(-1, keepdim=True)
    weights = torch.zeros(*wanted.shape, length, device=centers.device)
    return weights.scatter_add_(-1, source.clamp(0, length - 1), band)


def sample(
    frames: Tensor, centers: tuple[Tensor, Tensor], shifts: Tensor, sigmas: tuple[float, float]
) -> Tensor:
    """Sample shifted frames through Gaussians, on a grid.

    Parameters
    ----------
    frames : Tensor (n, H, W)
        Of any type.
    centers : (Tensor (h,), Tensor (w,))
        Rows and columns of the grid, source pixels, ascending. Best on the CPU, as are the shifts, wherever
        the frames are: what part of them is seen is decided here, and nobody waits for a device.
    shifts : Tensor (n, 2)
        Displacement (dy, dx) of the tissue in each frame, source pixels.
    sigmas : (float, float)
        Standard deviations of the Gaussian along y and x, source pixels.

    Returns
    -------
    Tensor, float32 (n, h, w)
    """
    lengths, device = frames.shape[1:], frames.device
    spans = [tuple(torch.aminmax(shifts[:, i])) for i in (0, 1)] if len(shifts) else []
    spread = [(float(low), float(high)) for low, high in spans] or [(0.0, 0.0)] * 2
    strips = [
        list(_sampled_strips(centers[i].tolist(), spread[i], sigmas[i], lengths[i], device)) for i in (0, 1)
    ]
    # Only what the grid can see takes part.
    (y0, y1), (x0, x1) = ((line[0].low, line[-1].high) for line in strips)
    seen = frames[:, y0:y1, x0:x1]
    in_seen = [strip.moved(-y0) for strip in strips[0]], [strip.moved(-x0) for strip in strips[1]]
    result = torch.empty(len(frames), len(centers[0]), len(centers[1]), device=device)
    step = few(frames)
    for some, moved, still in zip(seen.split(step), shifts.split(step), result.split(step), strict=True):
        rows, columns = (
            shift_matrices(lengths[i], centers[i].to(device), moved[:, i].to(device), sigmas[i])
            for i in (0, 1)
        )
        apply_banded(some.float(), rows[..., y0:y1], columns[..., x0:x1], in_seen, still)
    return result


@dataclass(frozen=True)
class Strip:
    """Neighbouring lines of a product, and the source pixels [low, high) that they are made of."""

    lines: slice
    low: int
    high: int

    def moved(self, by: int) -> Strip:
        """The same of a source that begins elsewhere."""
        return Strip(self.lines, self.low + by, self.high + by)


def few(frames: Tensor, pixels: int = TOGETHER) -> int:
    """How many frames (n, H, W) are worked on together: about so many pixels where the CPU computes."""
    if frames.device.type != "cpu":
        return max(1, len(frames))
    return max(1, pixels // (frames.shape[1] * frames.shape[2]))


def apply_banded(
    frames: Tensor, rows: Tensor, columns: Tensor, strips: tuple[list[Strip], list[Strip]], out: Tensor
) -> None:
    """Rows times frame times columns transposed, where both matrices are zero but for a band.

    Parameters
    ----------
    frames : Tensor (n, H, W)
    rows : Tensor (h, H) or (n, h, H)
    columns : Tensor (w, W) or (n, w, W)
    strips : (list of Strip, list of Strip)
        Of the rows and of the columns, all of their lines: outside of them the matrices are zero.
    out : Tensor (n, h, w)
        What is written to.
    """
    half = frames.new_empty(len(frames), rows.shape[-2], frames.shape[2])
    for strip in strips[0]:
        half[:, strip.lines] = (
            rows[..., strip.lines, strip.low : strip.high] @ frames[:, strip.low : strip.high]
        )
    for strip in strips[1]:
        out[:, :, strip.lines] = (
            half[:, :, strip.low : strip.high] @ columns[..., strip.lines, strip.low : strip.high].mT
        )


def band_strips(
    length: int, reach: int, device: torch.device, first: int = 0, last: int | None = None
) -> list[Strip]:
    """Strips of a square band matrix (length, length), of its lines [first, last).

    Parameters
    ----------
    length : int
    reach : int
        How far from the diagonal the matrix isn't zero.
    device : torch.device
        Of the frames.
    first, last : int
        By default, all lines.
    """
    last = length if last is None else last
    return [
        Strip(slice(begin - first, end - first), max(0, begin - reach), min(length, end + reach))
        for begin, end in pairwise(_cuts(first, last, device))
    ]


def _cuts(first: int, last: int, device: torch.device) -> list[int]:
    """Where lines [first, last) are cut into strips; elsewhere than on a CPU one is faster than many."""
    count = max(1, round((last - first) / STRIP)) if device.type == "cpu" else 1
    return [first + round(i * (last - first) / count) for i in range(count + 1)]


def _sampled_strips(
    centers: list[float], spread: tuple[float, float], sigma: float, length: int, device: torch.device
) -> Iterator[Strip]:
    """Strips of a line of samples.

    Parameters
    ----------
    centers : list of float
        Of the samples, ascending.
    spread : (float, float)
        The least and the largest shift.
    sigma : float
        Of the Gaussian.
    length : int
        Pixels of the line.
    device : torch.device
        Of the frames.
    """
    reach = REACH_SIGMAS * sigma + 2
    for begin, end in pairwise(_cuts(0, len(centers), device)):
        low, high = (
            min(max(place + shift, 0.0), length - 1.0)
            for place, shift in zip((centers[begin], centers[end - 1]), spread, strict=True)
        )
        yield Strip(slice(begin, end), max(0, int(low - reach)), min(length, int(high + reach) + 2))


@lru_cache(maxsize=32)
def smoothing_matrix(length: int, sigma: float) -> Tensor:
    """Local regression along a line with Gaussian weights, float32 (length, length); rows sum to 1.

    In the middle it is a Gaussian blur, which reproduces constants and slopes. Near the ends a blur sees one
    side only: a local mean mistakes a slope for a step, and a local line (Cleveland 1979) follows the cells
    that lie there. Half of each (:data:`END_SLOPE`) recovers traces of cells at the border best.
    """
    grid = torch.arange(length, dtype=torch.float64)
    distance = grid[None, :] - grid[:, None]
    weights = torch.exp(-0.5 * (distance / sigma) ** 2) * (distance.abs() <= CUT_SIGMAS * sigma)
    s0, s1, s2 = ((weights * distance**power).sum(1, keepdim=True) for power in (0, 1, 2))
    mean = weights / s0
    determinant = s0 * s2 - s1**2
    line = (weights * (s2 - s1 * distance)) / determinant.clamp_min(1e-12)
    # A line so short that its slope isn't determined has its mean only.
    line = torch.where(determinant > 1e-6 * s0**2, line, mean)
    return torch.lerp(mean, line, END_SLOPE).float()


@lru_cache(maxsize=64)
def gaussian_operator(length: int, sigma: float, order: int = 0) -> Tensor:
    """What SciPy's Gaussian filter, or its derivative, does to a line whose ends repeat, as a matrix.

    For many frames of a few hundred pixels, products are faster than the filter. float32 (length, length).
    """
    return torch.from_numpy(
        gaussian_filter1d(np.eye(length), sigma, 0, order, mode="nearest").astype(np.float32)
    )


def apply_separable(frames: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Rows times frame times columns transposed.

    Parameters
    ----------
    frames : Tensor (n, H, W)
    rows : Tensor (h, H) or (n, h, H)
    columns : Tensor (w, W) or (n, w, W)

    Returns
    -------
    Tensor (n, h, w)
    """
    return torch.matmul(torch.matmul(rows, frames), columns.transpose(-1, -2))
