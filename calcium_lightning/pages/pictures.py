"""Arrays to what a page can hold: PNG as data URIs, outlines as SVG paths, time courses as bytes.

Knows arrays only.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

OUTLINE = 0.5  # share of its peak at which a footprint is outlined: the full width at half maximum
Array = np.ndarray


def png(image: Array, colormap: str = "gray", low: float = 0.0, high: float = 1.0) -> str:
    """A (H, W) image as the data URI of a PNG, `low` to `high` over the colour map."""
    from matplotlib import colormaps
    from matplotlib.image import imsave

    scaled = np.clip((np.asarray(image, float) - low) / max(high - low, 1e-12), 0, 1)
    buffer = io.BytesIO()
    imsave(buffer, (colormaps[colormap](np.nan_to_num(scaled))[..., :3] * 255).astype(np.uint8), format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def contrast(image: Array, share: float = 0.3) -> tuple[float, float]:
    """Range of grey values without the `share` percent at either end."""
    low, high = np.nanpercentile(image, [share, 100 - share])
    return float(low), float(high if high > low else low + 1)


@dataclass(frozen=True)
class Patch:
    """One footprint within its bounding box.

    Attributes
    ----------
    top, left : int
        Pixel of the field at which the box begins.
    image : ndarray
        (h, w), a margin of one pixel of zeros around the footprint; a single zero for an empty one.
    """

    top: int
    left: int
    image: Array


def patch(footprints: csr_matrix, row: int, width: int) -> Patch:
    """Footprint `row` of (K, H*W) `footprints`, cut out."""
    part = slice(footprints.indptr[row], footprints.indptr[row + 1])
    y, x = np.divmod(footprints.indices[part], width)
    if not len(y):
        return Patch(0, 0, np.zeros((1, 1)))
    image = np.zeros((np.ptp(y) + 3, np.ptp(x) + 3))
    image[y - y.min() + 1, x - x.min() + 1] = footprints.data[part]
    return Patch(int(y.min()) - 1, int(x.min()) - 1, image)


def contours(footprint: Patch, level: float = OUTLINE) -> list[Array]:
    """Closed lines (n, 2) of (y, x), pixels of the field, around the part above `level` of the peak."""
    from skimage.measure import approximate_polygon, find_contours

    peak = footprint.image.max()
    if not peak > 0:
        return []
    corner = np.array([footprint.top, footprint.left])
    return [approximate_polygon(line, 0.05) + corner for line in find_contours(footprint.image, level * peak)]


def outline(footprint: Patch, level: float = OUTLINE) -> str:
    """SVG path (x right, y down, pixels of the field) around the part above `level` of the peak."""
    return "".join(
        "M" + "L".join(f"{x:.1f} {y:.1f}" for y, x in places) + "Z" for places in contours(footprint, level)
    )


def thumbnail(footprint: Patch, center: Array, side: int) -> Array:
    """The footprint in a (side, side) window around its centre (y, x)."""
    window = np.zeros((side, side))
    if not np.isfinite(center).all():
        return window
    start = np.round(center).astype(int) - side // 2
    corner = np.array([footprint.top, footprint.left]) - start
    size = np.array(footprint.image.shape)
    first, last = np.clip(corner, 0, side), np.clip(corner + size, 0, side)
    if (last <= first).any():
        return window
    inside = tuple(slice(a, b) for a, b in zip(first - corner, last - corner, strict=True))
    window[first[0] : last[0], first[1] : last[1]] = footprint.image[inside]
    return window


def density(y: Array, x: Array, frame_shape: tuple[int, int], fineness: int = 2) -> Array:
    """How many of the points lie in each cell of a grid `fineness` times as fine as the pixels."""
    height, width = frame_shape
    edges = [np.linspace(-0.5, n - 0.5, n * fineness + 1) for n in (height, width)]
    return np.histogram2d(y, x, bins=edges)[0]


def bins(length: int, most: int) -> Array:
    """Starts of at most `most` equal stretches of a course of `length` frames."""
    return np.unique(np.linspace(0, length, min(length, most), endpoint=False).astype(int))


def courses(traces: Array, denoised: Array, spikes: Array, most: int) -> tuple[Array, Array, Array]:
    """Time courses of K cells, thinned to what a screen shows, in bytes.

    Returns
    -------
    values : ndarray, uint8 (K, 4, n)
        Least and largest trace, mean denoised trace, summed activity in each of n <= `most` stretches of
        time. The first three share one scale per cell, activity has its own from 0.
    low, high : ndarray, float (K,)
        The trace that 0 and 255 stand for.
    """
    length = traces.shape[1]
    if not length or not len(traces):
        return np.zeros((len(traces), 4, 0), np.uint8), np.zeros(len(traces)), np.ones(len(traces))
    starts = bins(length, most)
    sizes = np.diff(starts, append=length)
    parts = np.stack(
        [
            np.minimum.reduceat(traces, starts, axis=1),
            np.maximum.reduceat(traces, starts, axis=1),
            np.add.reduceat(denoised, starts, axis=1) / sizes,
        ],
        axis=1,
    )
    low, high = parts.min((1, 2)), parts.max((1, 2))
    span = np.where(high > low, high - low, 1.0)
    activity = np.maximum(np.add.reduceat(spikes, starts, axis=1), 0)
    peak = np.maximum(activity.max(1), 1e-12)
    values = np.empty((len(traces), 4, len(starts)), np.uint8)
    values[:, :3] = np.rint((parts - low[:, None, None]) / span[:, None, None] * 255)
    values[:, 3] = np.rint(activity / peak[:, None] * 255)
    return values, low, low + span


def base64_bytes(values: Array) -> str:
    """Bytes of an array as base64 text."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
