"""The scale at which cells are looked for, and the numbers that several rooms must agree on.

For: one place for what preparation, networks, losses and cells would otherwise each write down.
Must not know: any of them.
"""

from __future__ import annotations

import math

#: full width at half maximum of a Gaussian over its standard deviation
FWHM = math.sqrt(8 * math.log(2))
#: full width at half maximum of a typical cell at the network's scale, network pixels
NETWORK_DIAMETER = 6.0
#: standard deviation of a Gaussian as wide as a typical cell, network pixels
CELL_SIGMA = NETWORK_DIAMETER / FWHM
#: standard deviation of the blur that is taken for background, in cell diameters
BACKGROUND_DIAMETERS = 0.67
#: a cell's centre is the centroid of the part of its footprint above this share of its peak
CENTROID_LEVEL = 0.3
#: turns the median absolute deviation of a Gaussian into its standard deviation
MAD_TO_STD = 1.4826


def background_sigma(diameters: float | None = None) -> float:
    """Standard deviation of the blur that is taken for background, network pixels.

    Parameters
    ----------
    diameters : float, optional
        The same in cell diameters; None is :data:`BACKGROUND_DIAMETERS`.

    Examples
    --------
    >>> background_sigma(0.5)
    3.0
    >>> background_sigma() == background_sigma(BACKGROUND_DIAMETERS)
    True
    """
    return (BACKGROUND_DIAMETERS if diameters is None else diameters) * NETWORK_DIAMETER
