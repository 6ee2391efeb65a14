"""Tiny sessions of blinking Gaussians, from a closed form, with their truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.io.session import Truth
from calcium_lightning.io.session_writer import SessionWriter


def make_session(
    path: Path,
    frames: int = 60,
    size: tuple[int, int] = (48, 48),
    fps: float = 20.0,
    cells: int = 6,
    seed: int = 0,
    sigma: float = 2.5,
) -> Path:
    """Gaussian cells that blink on a constant with unit noise; motion-corrected, float32."""
    random = np.random.default_rng(seed)
    height, width = size
    centers = random.uniform(4, np.array(size) - 5, (cells, 2))
    y, x = np.mgrid[:height, :width]
    footprints = np.exp(
        -((y - centers[:, 0, None, None]) ** 2 + (x - centers[:, 1, None, None]) ** 2) / (2 * sigma**2)
    )
    footprints[footprints < 0.01] = 0
    traces = np.zeros((cells, frames), np.float32)
    spikes = (random.random((cells, frames)) < 0.08).astype(np.float32)
    for t in range(frames):
        traces[:, t] = (0.85 * traces[:, t - 1] if t else 0) + 12 * spikes[:, t]
    movie = 100 + np.einsum("kt,kyx->tyx", traces, footprints) + random.standard_normal((frames, *size))
    with SessionWriter(path, height, width, "float32", fps, motion_corrected=True) as writer:
        writer.append(movie.astype(np.float32))
        flat = csr_matrix(footprints.reshape(cells, -1).astype(np.float32))
        writer.set_truth(
            Truth(footprints=flat, traces=traces, spikes=spikes, shifts=np.zeros((frames, 2), np.float32))
        )
    return path
