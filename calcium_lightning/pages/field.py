"""A field of view as a browser draws it: pictures of numbers, whose brightness can be changed, and outlines.

Knows :class:`~calcium_lightning.core.cells.Cells`; what is done with it is ``templates/report.js``'s, on
``drawing.js``.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from scipy.ndimage import median_filter

from calcium_lightning.core.cells import Cells
from calcium_lightning.pages import pictures

#: the largest step of a picture's numbers
STEPS = np.iinfo(np.uint16).max
#: share of pixels, %, that are darker than black and brighter than white at first
SHARE = 0.3


def layer(name: str, image: np.ndarray, shown: tuple[float, float]) -> dict[str, Any]:
    """A picture: its numbers in 16 bits, packed, and what is black and white at first.

    Parameters
    ----------
    name : str
        What the page calls it.
    image : ndarray (h, w)
        Of the whole field, at any scale; NaN is the least.
    shown : (float, float)
        Black and white.
    """
    finite = np.isfinite(image)
    low, high = (float(end(image[finite])) for end in (np.min, np.max)) if finite.any() else (0.0, 1.0)
    high = high if high > low else low + 1
    steps = np.where(finite, (np.nan_to_num(image) - low) / (high - low), 0).clip(0, 1) * STEPS
    packed = zlib.compress(np.rint(steps).astype("<u2").tobytes(), 6)
    return {
        "name": name,
        "height": image.shape[0],
        "width": image.shape[1],
        "low": low,
        "high": high,
        "shown": list(shown),
        "numbers": base64.b64encode(packed).decode(),
    }


def layers(cells: Cells) -> list[dict[str, Any]]:
    """The pictures of the field, the one that is shown first first."""
    images = {} if cells.peak_image is None else {"peak to noise": cells.peak_image}
    images |= {
        "maximum − mean": cells.max_image - cells.mean_image,
        "mean": cells.mean_image,
        "maximum": cells.max_image,
    }
    found = [layer(name, image, usual_light(image, cells.field)) for name, image in images.items()]
    if cells.field is not None:
        found.append(layer("where tissue shows", cells.field.astype(float), (0.0, 1.0)))
    if len(cells.localizations):
        places = densities(cells)
        lit = places[places > 0]
        top = float(np.percentile(lit, 99)) if len(lit) else 1.0
        found.append(layer("localisations", places, (0.0, top)))
    return found


def densities(cells: Cells) -> np.ndarray:
    """The root of the number of localisations in each half pixel: few show beside many."""
    found = cells.localizations
    return np.sqrt(pictures.density(found.y, found.x, cells.frame_shape))


def usual_light(image: np.ndarray, field: np.ndarray | None = None) -> tuple[float, float]:
    """Black and white for where tissue shows; single pixels (hot, dead) decide nothing, many or few."""
    smooth = median_filter(np.nan_to_num(image), 3, mode="nearest")
    return pictures.contrast(smooth if field is None or not field.any() else smooth[field], SHARE)


def outlines(cells: Cells, patches: list[pictures.Patch]) -> list[dict[str, Any]]:
    """Each cell as closed lines, flat lists y, x, y, x ... of pixels, and its centre (None: it has none)."""
    return [
        {
            "accepted": bool(cells.accepted[k]),
            "center": [round(float(v), 2) for v in cells.centers[k]] if known else None,
            "lines": [[round(float(v), 1) for v in line.ravel()] for line in pictures.contours(patch)],
        }
        for k, (patch, known) in enumerate(zip(patches, np.isfinite(cells.centers).all(1), strict=True))
    ]
