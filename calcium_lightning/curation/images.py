"""Pictures of a whole movie that show where cells are: how alike neighbouring pixels are, and how they rise.

As CNMF-E uses them to find cells (Zhou et al. 2018, eLife 7, e28728). Knows a movie, and nothing of cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcium_lightning.localize.scratch import Foreground


@dataclass(frozen=True)
class MovieImages:
    """Of a movie (T, h, w) in units of its noise.

    Attributes
    ----------
    correlation : ndarray, float32 (h, w)
        Mean correlation of each pixel with those above, below, left and right of it.
    peak : ndarray, float32 (h, w)
        Largest value.
    """

    correlation: np.ndarray
    peak: np.ndarray

    @classmethod
    def of(cls, movie: Foreground) -> MovieImages:
        """Look at every frame."""
        size = movie.size
        total, square, down, right = (np.zeros(size) for _ in range(4))
        peak = np.full(size, -np.inf, np.float32)
        for _, block in movie.blocks():
            frames = block.numpy()
            total += frames.sum(0)
            square += np.square(frames).sum(0)
            down[:-1] += np.einsum("thw,thw->hw", frames[:, :-1], frames[:, 1:])
            right[:, :-1] += np.einsum("thw,thw->hw", frames[:, :, :-1], frames[:, :, 1:])
            np.maximum(peak, frames.max(0), out=peak)
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
        return cls((sums / np.maximum(sides, 1)).astype(np.float32), peak)
