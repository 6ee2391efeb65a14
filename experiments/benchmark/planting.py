"""Cells of known activity, added to a real recording: how many of them are found, and how many could be.

A recording is stored after whatever was done to it, and cells are planted into what was there before: they
move with the tissue, and where every frame was stretched on its own, they are stretched with it. What is
planted upon a real cell can hardly be told from it: so the same traces are regressed again with the planted
footprints given, beside the cells of the recording itself. What that doesn't reach, no method can be blamed
for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.scale import FWHM, MAD_TO_STD
from calcium_lightning.localize import stages
from calcium_lightning.localize.patches import concatenate, gaussian_patches
from calcium_lightning.localize.upscale import from_session
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.preprocess.repaired import kept_frames

#: how many, transients a minute, decay (seconds), least and greatest peak over how the place itself wanders
PLANTED, PER_MINUTE, DECAY_S, LOW, HIGH = 40, 4.0, 0.5, 2.0, 8.0
#: a trace is told with this correlation
TOLD = 0.8
#: within this share of a diameter a cell is the planted one
NEAR = 0.7
#: nearer than this share of a diameter, a cell of the recording isn't given beside a planted one: their
#: regression would be of one picture on itself
SAME = 0.1


@dataclass(frozen=True)
class Planted:
    """Frames with cells added.

    Attributes
    ----------
    frames : ndarray (T, H, W)
    places : ndarray (K, 2)
        In the motion-corrected field, pixels.
    traces : ndarray (K, T)
        Before the frames were stretched, if they were.
    """

    frames: np.ndarray
    places: np.ndarray
    traces: np.ndarray


def plant(
    frames: np.ndarray, fps: float, diameter: float, shifts: np.ndarray, gain: np.ndarray, seed: int = 1
) -> Planted:
    """Add round cells.

    Parameters
    ----------
    frames : ndarray (T, H, W)
        As they are stored.
    fps : float
        Hz.
    diameter : float
        Of a cell, full width at half maximum, pixels.
    shifts : ndarray (T, 2)
        How far the tissue is moved in each frame, pixels.
    gain : ndarray (T,)
        By which each frame was stretched before it was stored.
    seed : int
        Of places and activity.
    """
    random = np.random.default_rng(seed)
    size, sigma, radius = np.array(frames.shape[1:]), diameter / FWHM, int(np.ceil(1.5 * diameter))
    places: list[np.ndarray] = []
    for place in random.uniform(radius, size - radius - 1, (20_000, 2)):
        if len(places) < PLANTED and all(np.hypot(*(place - other)) > 2 * diameter for other in places):
            places.append(place)
    seconds = np.arange(len(frames)) / fps
    planted, traces = frames.astype(np.float32), []
    for place in places:
        corner = place.round().astype(int) - radius
        part = np.s_[:, corner[0] : corner[0] + 2 * radius + 1, corner[1] : corner[1] + 2 * radius + 1]
        pixel = np.arange(2 * radius + 1)
        lit = [
            np.exp(-0.5 * ((pixel + corner[axis] - place[axis] - shifts[:, axis, None]) / sigma) ** 2)
            for axis in (0, 1)
        ]
        spot = lit[0][:, :, None] * lit[1][:, None, :]
        mean = np.einsum("tyx,tyx->t", frames[part], spot) / spot.sum((1, 2))
        wander = MAD_TO_STD * np.median(np.abs(mean - median_filter(mean, max(3, round(4 * fps)))))
        count = max(2, random.poisson(PER_MINUTE * seconds[-1] / 60))
        after = np.maximum(seconds - random.uniform(0, seconds[-1], (count, 1)), 0)
        trace = (
            random.lognormal(0, 0.3, (count, 1)) * -np.expm1(-after / 0.05) * np.exp(-after / DECAY_S)
        ).sum(0)
        height = random.uniform(LOW, HIGH) * max(wander, 1e-3) * spot[0].sum() / np.square(spot[0]).sum()
        traces.append(height * trace / trace.max())
        planted[part] += ((traces[-1] * gain)[:, None, None] * spot).astype(np.float32)
    if frames.dtype.kind == "u":
        planted = planted.round().clip(0, np.iinfo(frames.dtype).max)
    return Planted(planted.astype(frames.dtype), np.array(places), np.array(traces))


def found_of(cells: Cells, planted: Planted, diameter: float) -> int:
    """How many planted cells are accepted with their trace told."""
    number, centers = 0, cells.centers[cells.accepted]
    denoised = np.asarray(cells.denoised)[cells.accepted]
    near = cKDTree(centers).query_ball_point(planted.places, NEAR * diameter) if len(centers) else []
    for rows, trace in zip(near, planted.traces, strict=bool(len(centers))):
        number += any(_alike(row, trace) > TOLD for row in denoised[rows])
    return number


def possible_of(before: Cells, prepared: Prepared, planted: Planted, diameter: float) -> int:
    """How many planted cells' traces are told where their footprints are given.

    Parameters
    ----------
    before : Cells
        Of the recording before anything was planted: those accepted are regressed with the planted ones.
    prepared : Prepared
        The recording with them.
    planted : Planted
        What was planted.
    diameter : float
        Of a cell, pixels.
    """
    rows = np.flatnonzero(before.accepted)
    if len(rows):
        distance, _ = cKDTree(planted.places).query(before.centers[rows])
        rows = rows[distance > SAME * diameter]
    sigma = diameter / FWHM * float(prepared.scale.factor.mean())
    given = gaussian_patches(prepared.scale.to_network(planted.places), sigma, prepared.scale.size)
    beside = from_session(csr_matrix(before.footprints)[rows], prepared.scale)
    movie, _ = stages.foreground(prepared)
    with movie:
        traces = stages.traces(movie, concatenate(given, beside), prepared)
    told = stages.activity(traces, prepared.fps).denoised[: len(given)]
    true = planted.traces[:, kept_frames(prepared.session)]
    return sum(_alike(row, trace) > TOLD for row, trace in zip(told, true, strict=True))


def _alike(trace: np.ndarray, true: np.ndarray) -> float:
    """Correlation where both are known; 0 where nothing happens."""
    known = np.isfinite(trace)
    if not known.any() or trace[known].std() == 0:
        return 0.0
    return float(np.corrcoef(trace[known], true[known])[0, 1])
