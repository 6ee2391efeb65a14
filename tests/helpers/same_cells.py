"""What programs' results are compared with, and by."""

from __future__ import annotations

import numpy as np

FPS, HEIGHT, WIDTH, COUNT, LENGTH = 20.0, 60, 84, 12, 300


def images(cells):
    return cells.footprints.toarray().reshape(-1, *cells.frame_shape)


def same_cells(read, cells, courses=True):
    assert read.frame_shape == cells.frame_shape
    np.testing.assert_allclose(images(read), images(cells), atol=1e-6)
    np.testing.assert_allclose(read.centers, cells.centers, atol=1e-4)
    if courses:
        np.testing.assert_allclose(
            read.traces - np.median(read.traces, 1, keepdims=True),
            cells.traces - np.median(cells.traces, 1, keepdims=True),
            atol=1e-3,
        )
