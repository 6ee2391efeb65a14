"""Neuropil that the high-pass filter leaves in the foreground: what wide surroundings do in common.

Neuropil is smooth, but vessels cut sharp shadows into it, and of its own slopes something passes the filter.
What is left beneath a cell still has the time course of the tissue around it; that is what the ring model of
CNMF-E rests on (Zhou et al. 2018, eLife 7, e28728). Here the courses are the few that wide parts of the
background, as preprocessing took it off, have in common; every pixel's share of them is regressed, and taken
off the movie before cells are sought. Knows two movies, not where they come from, and nothing of cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import median_filter
from torch import Tensor

from calcium_lightning.core.pieces import in_order
from calcium_lightning.localize.scratch import ScratchMovie

#: network pixels between the places at which the background is kept: a cell's diameter
NODE_STEP = 6
#: what lights up less than half of a square of so many nodes is no neuropil: the halos of cells
WIDE_NODES = 5
#: of the smooth background so many nodes are one
THINNED = 2
#: edge of the pieces that are shifted in time against each other, thinned nodes
PIECE = 2
#: pixels that are regressed at a time
PIXELS = 2048
#: pixels that are read of the sampled frames at a time
READ_PIXELS = 8 * PIXELS
#: frames that are cleared at a time
FRAMES = 16
#: median of the square of what is distributed normally, of its variance
NORMAL_MEDIAN = 0.4549
#: rounds of reweighting
ROUNDS = 4


@dataclass(frozen=True)
class NeuropilSettings:
    """When a time course is neuropil's, and how it is found in the foreground.

    Attributes
    ----------
    courses : int
        Most time courses.
    common : float
        How many times more of the background's variance a course must explain than the best of the background
        whose pieces were shifted in time against each other (parallel analysis: Horn 1965, Psychometrika 30,
        179): what many independent cells do is common by chance.
    least : float
        What a course adds to the foreground, root mean square over the field in units of the noise; less is
        left where it is.
    wide : float
        Share of ``least`` that half of the field must show, too: where cells are few, the strongest that the
        background has in common is their own light around them.
    samples : int
        Frames that are looked at, spread evenly.
    robust : float
        How far above the neuropil a pixel may be, in standard deviations, before it counts for less: cells
        only brighten.
    """

    courses: int = 6
    common: float = 2.0
    least: float = 0.1
    wide: float = 0.65
    samples: int = 300
    robust: float = 2.0


@dataclass(frozen=True)
class Neuropil:
    """R time courses and where they are.

    Attributes
    ----------
    courses : ndarray, float32 (T, R)
        CachedFrames variance, with their slow drift taken off as the foreground's is.
    pictures : ndarray, float32 (R, h, w)
        What each adds to the foreground, in units of its noise.
    """

    courses: np.ndarray
    pictures: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def strength(self) -> float:
        """Root mean square over frames and field, in units of the noise."""
        return float(np.sqrt(np.square(self.pictures).sum(0).mean())) if len(self) else 0.0


def remove_neuropil(
    movie: ScratchMovie, background: ScratchMovie, knots: np.ndarray, settings: NeuropilSettings | None = None
) -> Neuropil:
    """Take the neuropil off a movie, in place; a movie that shows none stays as it is.

    Parameters
    ----------
    movie : ScratchMovie
        Foreground (T, h, w) in units of its noise; exactly 0 where nothing was seen.
    background : ScratchMovie
        What the high-pass filter took off, (T, rows, columns), every :data:`NODE_STEP` pixels.
    knots : ndarray (n,)
        The frames between which the foreground's slow drift was taken off.
    settings : NeuropilSettings, optional
        How.

    Returns
    -------
    Neuropil
        What was taken off.
    """
    settings = settings or NeuropilSettings()
    courses = _without_drift(common_courses(background, settings), knots)
    neuropil = in_foreground(movie, courses, settings)
    if len(neuropil):
        lit, flat = torch.from_numpy(neuropil.courses), torch.from_numpy(neuropil.pictures).flatten(1)

        def cleared(start: int) -> None:
            frames = movie.read(start, start + FRAMES)
            part = (lit[start : start + len(frames)] @ flat).view_as(frames)
            movie.rewrite(start, frames.sub_(part.mul_(frames != 0)))

        for _ in in_order(cleared, range(0, movie.n_frames, FRAMES)):
            pass
    return neuropil


def common_courses(background: ScratchMovie, settings: NeuropilSettings) -> np.ndarray:
    """Time courses that wide parts of the background have in common, float64 (T, R), the strongest first."""
    index = _spread(background.n_frames, 2 * settings.samples)
    sample = torch.cat([background.read(frame, frame + 1) for frame in index]).numpy()
    mean = sample.mean(0)
    wide = median_filter(sample - mean, (1, WIDE_NODES, WIDE_NODES), mode="nearest")[:, ::THINNED, ::THINNED]
    random = np.random.default_rng(0)
    directions: list[np.ndarray] = []
    while len(directions) < min(settings.courses, len(index) // 20, wide[0].size - 1):
        strength, direction = _strongest(wide)
        chance = max(_strongest(_shifted(wide, random))[0] for _ in range(2))
        if strength**2 <= settings.common * chance**2:
            break
        directions.append(direction)
        wide = wide - np.tensordot(wide, direction, 2)[:, None, None] * direction
    courses = np.zeros((background.n_frames, len(directions)))
    for start, frames in background.blocks() if directions else ():
        thinned = (frames.numpy() - mean)[:, ::THINNED, ::THINNED]
        courses[start : start + len(frames)] = np.tensordot(thinned, np.stack(directions, -1), 2)
    return courses


def in_foreground(movie: ScratchMovie, courses: np.ndarray, settings: NeuropilSettings) -> Neuropil:
    """Regress a foreground on time courses (T, R), robustly, and keep what is there.

    A picture is drawn towards nothing by as much as noise alone would make of it.
    """
    courses = courses / np.maximum(courses.std(0), 1e-9)
    index = _spread(movie.n_frames, settings.samples)
    regressors = np.concatenate([courses[index], np.ones((len(index), 1))], 1).astype(np.float32)
    count, pixels = courses.shape[1], movie.size[0] * movie.size[1]
    pictures = np.zeros((count, pixels), np.float32)
    variance = np.zeros((count, pixels), np.float32)

    def regressed(begin: int) -> None:
        sample = torch.from_numpy(movie.read_pixels(index, begin, min(begin + READ_PIXELS, pixels)))
        for first in range(0, sample.shape[1], PIXELS):
            some = sample[:, first : first + PIXELS].float()
            part = slice(begin + first, begin + first + some.shape[1])
            found = _robust(torch.from_numpy(regressors), some, settings.robust)
            pictures[:, part], variance[:, part] = (values.numpy() for values in found)

    for _ in in_order(regressed, range(0, pixels if count else 0, READ_PIXELS)):
        pass
    power = np.square(pictures)
    signal = power.mean(1) - variance.mean(1)
    common = np.median(power, 1) / NORMAL_MEDIAN - np.median(variance, 1)
    keep = (signal > settings.least**2) & (common > (settings.wide * settings.least) ** 2)
    shrink = signal[keep] / power[keep].mean(1)
    return Neuropil(
        courses[:, keep].astype(np.float32),
        (pictures[keep] * shrink[:, None]).reshape(-1, *movie.size),
    )


def _robust(regressors: Tensor, pixels: Tensor, robust: float) -> tuple[Tensor, Tensor]:
    """Coefficients of all regressors but the last, and their variances, (R, P) each, of pixels (S, P).

    Iteratively reweighted least squares; what is brighter than expected counts as in a Cauchy distribution.
    """
    size = regressors.shape[1]
    products = (regressors[:, :, None] * regressors[:, None]).flatten(1)
    weight = torch.ones_like(pixels)
    ridge = 1e-3 * torch.eye(size)
    for _ in range(ROUNDS):
        gram = (weight.T @ products).view(-1, size, size) + ridge
        solved = torch.linalg.solve(gram, weight.mul_(pixels).T @ regressors)
        rest = torch.addmm(pixels, regressors, solved.T, alpha=-1)
        # What lies below is noise alone.
        below = rest.clamp_max(0)
        scale = (below.square().sum(0) / (rest < 0).sum(0).clamp_min(1)).sqrt()
        above = rest.clamp_min(0).div_(robust * scale.clamp_min(1e-3))
        weight = above.square_().add_(1).reciprocal_()
    spread = torch.linalg.inv(gram).diagonal(dim1=1, dim2=2)[:, :-1] * scale[:, None] ** 2
    # Of neighbouring samples that are alike, fewer are independent (Bartlett 1946).
    alike = _lag_one(regressors[:, :-1]) * _lag_one(torch.minimum(rest, robust * scale)).quantile(0.5)
    alike = alike.clamp(0, 0.95)
    return solved[:, :-1].T, (spread * (1 + alike) / (1 - alike)).T


def _lag_one(series: Tensor) -> Tensor:
    """Autocorrelation of series (S, n) at lag one, (n,)."""
    series = series - series.mean(0)
    return (series[1:] * series[:-1]).sum(0) / series.square().sum(0).clamp_min(1e-9)


def _strongest(frames: np.ndarray) -> tuple[float, np.ndarray]:
    """Largest singular value of frames (S, h, w), and its direction (h, w)."""
    # With Torch, whose threads are told how many they are: NumPy's would spin for the other's core.
    flat = torch.from_numpy(frames).flatten(1).double()
    wide = flat.shape[1] > len(flat)
    value, vector = torch.linalg.eigh(flat @ flat.T if wide else flat.T @ flat)
    direction = flat.T @ vector[:, -1] if wide else vector[:, -1]
    direction = direction / direction.norm().clamp_min(1e-12)
    return math.sqrt(max(float(value[-1]), 0.0)), direction.reshape(frames.shape[1:]).numpy()


def _shifted(frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Frames (S, h, w) whose square pieces are shifted in time against each other, around the end."""
    shifted = np.empty_like(frames)
    for top in range(0, frames.shape[1], PIECE):
        for left in range(0, frames.shape[2], PIECE):
            piece = np.s_[:, top : top + PIECE, left : left + PIECE]
            shifted[piece] = np.roll(frames[piece], random.integers(len(frames)), 0)
    return shifted


def _without_drift(courses: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Take off the medians of as many parts of the courses (T, R) as there are knots, linear between them."""
    edges = np.linspace(0, len(courses), len(knots) + 1)
    medians = [np.median(courses[int(begin) : int(np.ceil(end))], 0) for begin, end in pairwise(edges)]
    frames = np.arange(len(courses))
    drift = [np.interp(frames, knots, level) for level in np.array(medians).T]
    return courses - np.stack(drift, 1) if drift else courses


def _spread(length: int, count: int) -> np.ndarray:
    """At most ``count`` of ``length`` frames, spread evenly."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).astype(int))
