"""The picture of peaks: what lit up at any time, and nothing of what is always there."""

from __future__ import annotations

import numpy as np
import torch

from calcium_lightning.localize.peak import peak_to_noise
from calcium_lightning.localize.scratch import ScratchMovie


def test_what_was_lit_once_shows_and_single_pixels_hardly() -> None:
    frames = torch.zeros(40, 20, 24)
    frames[7, 4:7, 9:12] = 5.0
    frames[33, 15, 20] = 9.0
    frames[:, 0, 0] = -8.0
    movie = ScratchMovie((20, 24), block_frames=16)
    movie.append(frames)
    peak = peak_to_noise(movie)
    assert peak[5, 10] == 5.0
    assert peak[15, 20] == 1.0
    assert peak.min() == 0.0 == peak[10, 3]


def test_at_the_border_only_what_is_inside_counts() -> None:
    frames = torch.zeros(1, 9, 9)
    frames[0, 0, 0] = 4.0
    np.testing.assert_allclose(peak_to_noise(ScratchMovie.of(frames))[0, 0], 1.0)
