"""Dark lines of a mean image."""

from __future__ import annotations

import numpy as np

from calcium_lightning.localize.patches import gaussian_patches
from calcium_lightning.localize.vessels import dark_lines, on_lines

SIZE = (60, 80)


def image() -> np.ndarray:
    """A dark vessel along row 20, a dark round spot, a bright line along row 45."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    vessel = 30 * np.exp(-((y - 20) ** 2) / (2 * 1.5**2))
    spot = 30 * np.exp(-((y - 33) ** 2 + (x - 60) ** 2) / (2 * 2.5**2))
    bright = 30 * np.exp(-((y - 45) ** 2) / (2 * 1.5**2))
    return 100 - vessel - spot + bright


def test_a_vessel_is_a_dark_line_and_nothing_else_is():
    lines = dark_lines(image())
    assert lines[20, 5:-5].min() > 0.1
    assert lines[45, 5:-5].max() < 0.02
    assert lines[33, 60] < 0.3 * lines[20, 40]
    assert np.abs(lines[:8]).max() < 0.02


def test_it_is_a_share_of_the_brightness():
    np.testing.assert_allclose(dark_lines(7 * image()), dark_lines(image()), atol=1e-9)
    assert not dark_lines(image() - 150).any()  # no brightness: ΔF/F


def test_footprints_on_a_vessel_are_told_from_others():
    footprints = gaussian_patches(np.array([[20.0, 40.0], [33.0, 20.0]]), 2.5, SIZE)
    on, off = on_lines(footprints, dark_lines(image()))
    assert on > 0.05
    assert off < 0.01
    assert on_lines(footprints[np.zeros(2, bool)], image()).shape == (0,)
