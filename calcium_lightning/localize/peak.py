"""The picture that shows where cells are: how far each place rises above its background at most.

What is always there (vessels, a bright rim, cells that stay dark and those that stay lit) is not in it, so
outlines over it can be judged by eye. As the peak-to-noise picture by which CNMF-E finds cells (Zhou et al.
2018, eLife 7, e28728). Knows a movie, and nothing of cells.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from calcium_lightning.core.pieces import in_order
from calcium_lightning.localize.scratch import Foreground

#: edge of the square over which frames are averaged, network pixels: half of a cell's diameter
SIDE = 3
#: frames that are looked at together: they stay in the processor's cache
FEW = 8


def peak_to_noise(movie: Foreground) -> np.ndarray:
    """The largest value of every pixel's surroundings in any frame.

    Parameters
    ----------
    movie : Foreground
        (T, h, w) in units of its noise.

    Returns
    -------
    ndarray, float32 (h, w)
        In units of a pixel's noise, 0 at least.
    """
    peak = torch.zeros(movie.size)

    def highest(start: int) -> Tensor:
        frames = movie.read(start, min(start + FEW, movie.n_frames))[:, None]
        return avg_pool2d(frames, SIDE, 1, SIDE // 2, count_include_pad=False)[:, 0].amax(0)

    for near in in_order(highest, range(0, movie.n_frames, FEW)):
        torch.maximum(peak, near, out=peak)
    return peak.numpy()
