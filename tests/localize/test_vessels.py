"""Dark strands of a mean image."""

from __future__ import annotations

import numpy as np
import pytest

from calcium_lightning.localize.patches import gaussian_patches
from calcium_lightning.localize.vessels import share_on, vessels

SIZE = (80, 100)


def image(width: float = 1.5) -> np.ndarray:
    """A dark vessel along row 20, a dark round spot, a bright line along row 60."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    vessel = 30 * np.exp(-((y - 20) ** 2) / (2 * width**2))
    spot = 30 * np.exp(-((y - 43) ** 2 + (x - 60) ** 2) / (2 * 2.5**2))
    bright = 30 * np.exp(-((y - 60) ** 2) / (2 * 1.5**2))
    return 100 - vessel - spot + bright


@pytest.mark.parametrize("width", [1.0, 2.5, 5.0])
def test_a_vessel_is_a_dark_strand_and_nothing_else_is(width):
    mask = vessels(image(width))
    assert mask[20].all()
    assert not mask[20 + round(4 * width + 3) :].any()  # neither the spot nor beside the bright line


def test_it_is_a_share_of_the_brightness():
    np.testing.assert_array_equal(vessels(7 * image()), vessels(image()))
    assert not vessels(image() - 150).any()  # no brightness: ΔF/F
    assert not vessels(np.full(SIZE, 100.0)).any()


def test_footprints_on_a_vessel_are_told_from_others():
    footprints = gaussian_patches(np.array([[20.0, 40.0], [20.0, 70.0], [43.0, 20.0]]), 2.5, SIZE)
    first, second, off = share_on(footprints, vessels(image(4.0)))
    assert min(first, second) > 0.9
    assert off == 0
    assert share_on(footprints[np.zeros(3, bool)], vessels(image())).shape == (0,)
