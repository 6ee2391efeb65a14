"""A picture of a whole movie that shows where cells are: how alike neighbouring pixels are.

As CNMF-E uses it to find cells (Zhou et al. 2018, eLife 7, e28728). Knows a movie, and nothing of cells.
"""

from __future__ import annotations

import numpy as np

from calcium_lightning.localize.scratch import Foreground


def local_correlation(movie: Foreground) -> np.ndarray:
    """Mean correlation of each pixel with those above, below, left and right of it.

    Parameters
    ----------
    movie : Foreground
        (T, h, w) in units of its noise.

    Returns
    -------
    ndarray, float32 (h, w)
    """
    size = movie.size
    total, square, down, right = (np.zeros(size) for _ in range(4))
    for _, block in movie.blocks():
        frames = block.numpy()
        total += frames.sum(0)
        square += np.square(frames).sum(0)
        down[:-1] += np.einsum("thw,thw->hw", frames[:, :-1], frames[:, 1:])
        right[:, :-1] += np.einsum("thw,thw->hw", frames[:, :, :-1], frames[:, :, 1:])
    count = max(1, movie.n_frames)
    mean = total / count
    std = np.sqrt(np.maximum(square / count - mean**2, 1e-12))
    sums, sides = np.zeros(size), np.zeros(size)
    for product, first, second in (
        (down[:-1], np.s_[:-1], np.s_[1:]),
        (right[:, :-1], np.s_[:, :-1], np.s_[:, 1:]),
    ):
        alike = (product / count - mean[first] * mean[second]) / (std[first] * std[second])
        for part in (first, second):
            sums[part] += alike
            sides[part] += 1
    return (sums / np.maximum(sides, 1)).astype(np.float32)
