"""Movies at the network's scale with planted cells, from closed forms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from calcium_lightning.localize.patches import Patches, Surround, gaussian_patches
from calcium_lightning.localize.scratch import ScratchMovie, ScratchTraces

SIGMA = 2.55
BACKGROUND_SIGMA = 4.0


@dataclass
class Planted:
    """A movie, and what is in it."""

    movie: ScratchMovie
    truth: Patches
    traces: np.ndarray
    spikes: np.ndarray
    noise: Tensor
    surround: Surround


def calcium(
    count: int, length: int, fps: float, rate_hz: float = 0.4, rise_s=0.06, decay_s=0.5, seed: int = 0
):
    """Calcium (K, T) of random spikes, and the spikes."""
    random = np.random.default_rng(seed)
    spikes = (random.random((count, length)) < rate_hz / fps) * random.uniform(0.7, 1.5, (count, length))
    time = np.arange(int(6 * decay_s * fps)) / fps
    kernel = np.exp(-time / decay_s) - np.exp(-time / rise_s)
    kernel /= kernel.max()
    traces = np.zeros((count, length))
    for k, train in enumerate(spikes):
        traces[k] = np.convolve(train, kernel)[:length]
    return traces.astype(np.float32), spikes.astype(np.float32)


def plant(
    centers: np.ndarray,
    size: tuple[int, int] = (64, 80),
    length: int = 600,
    brightness: float = 12.0,
    fps: float = 20.0,
    noise_std: float = 2.0,
    seed: int = 0,
    block_frames: int | None = 128,
) -> Planted:
    """Cells that were filtered as preprocessing does, in filtered noise; ``traces`` are in units of the frames."""
    torch.manual_seed(seed)
    surround = Surround(size, BACKGROUND_SIGMA)
    truth = gaussian_patches(np.asarray(centers, float), SIGMA, size)
    traces, spikes = calcium(len(truth), length, fps, seed=seed)
    traces = traces * brightness
    frames = torch.randn(length, *size) * noise_std
    frames += (torch.from_numpy(traces).T @ torch.from_numpy(truth.to_csr().toarray())).view(length, *size)
    filtered = frames - surround.rows @ frames @ surround.columns.T
    noise = torch.full(size, noise_std)
    movie = ScratchMovie(size, block_frames=block_frames)
    movie.append(filtered / noise)
    return Planted(movie, truth, traces, spikes, noise, surround)


def stored(traces: np.ndarray, block_frames: int) -> ScratchTraces:
    """Traces (K, T) on disk, in blocks."""
    store = ScratchTraces(*traces.shape, block_frames)
    store.write_rows(0, traces)
    return store
