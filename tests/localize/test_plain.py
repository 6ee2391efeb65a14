"""Which recordings are plain, and whose traces noise limits there, not what is bright beside them."""

from __future__ import annotations

import numpy as np

from calcium_lightning.localize.plain import BRIGHT, REACH, noise_limited, plain


def test_codecs_and_pictures_that_differ_make_a_recording_no_plain_one():
    assert plain(1.0, 1.0)
    assert not plain(1.0, 1.3)
    assert not plain(1.3, 1.0)


def test_neither_bright_cells_nor_their_neighbours_are_limited_by_noise():
    centers = np.array([[10, 10], [10, 9 + REACH], [10, 11 + REACH], [50, 50]], float)
    evidence = np.array([2 * BRIGHT, BRIGHT / 2, BRIGHT / 2])  # the last is new
    assert noise_limited(centers, evidence).tolist() == [False, False, True, True]


def test_all_are_where_none_is_bright_or_known():
    centers = np.array([[10.0, 10.0], [12.0, 10.0]])
    assert noise_limited(centers, np.zeros(0)).all()
    assert noise_limited(centers, np.full(2, BRIGHT / 2)).all()
    assert noise_limited(np.zeros((0, 2)), np.zeros(0)).shape == (0,)
