"""Whether two fields' pictures agree with how their cells were laid on each other: second evidence.

Vessels and tissue show in mean images where few cells are shared. What stands still on the sensor (stripes,
dust, the lens's rim) shows there too, and would vote for no movement at all: what each field's picture
explains of the other where both lie unmoved is taken off first, so such patterns say nothing. Knows images
and transforms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from calcium_lightning.core.field_transform import FieldTransform

#: detail that is compared, standard deviations of a difference of Gaussians in cell diameters
FINE, BROAD = 0.25, 1.5
#: pixels brighter or darker than so many standard deviations count as that: single spots don't decide
CLIP = 2.5
#: a patch of so many square diameters is one observation: detail of that scale hangs together
PATCH = 1.5
#: fewest observations that can tell anything
FEWEST = 12


@dataclass(frozen=True)
class Picture:
    """Detail of a field, zero where nothing is seen.

    Attributes
    ----------
    detail : ndarray, float32 (H, W)
        Of unit variance where it is seen.
    seen : ndarray, bool (H, W)
        Which pixels show tissue, far enough from those that don't.
    """

    detail: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, visible: np.ndarray, diameter: float) -> Picture | None:
        """Of a mean image (H, W); None where it shows nothing."""
        seen = visible & np.isfinite(image)
        if not seen.any():
            return None
        light = np.where(seen, image, np.median(image[seen])).astype(np.float64)
        weight = seen.astype(np.float64)

        def blurred(sigma: float) -> np.ndarray:
            share = gaussian_filter(weight, sigma, mode="constant")
            return gaussian_filter(light * weight, sigma, mode="constant") / np.maximum(share, 1e-6)

        detail = blurred(FINE * diameter) - blurred(BROAD * diameter)
        inner = seen & (gaussian_filter(weight, FINE * diameter, mode="constant") > 0.9)
        spread = float(detail[inner].std()) if inner.any() else 0.0
        if not spread > 1e-9 * max(float(np.abs(light).max()), 1e-12):
            return None
        scaled = np.clip((detail - detail[inner].mean()) / spread, -CLIP, CLIP)
        return cls(np.where(inner, scaled, 0).astype(np.float32), inner)


def agreement(first: Picture, second: Picture, transform: FieldTransform, diameter: float) -> float:
    """How much better two pictures fit as they are laid than pictures of other fields would, nats.

    Parameters
    ----------
    first, second : Picture
        Of two fields.
    transform : FieldTransform
        Brings the second onto the first.
    diameter : float
        Of a cell, pixels.

    Returns
    -------
    float
        Log likelihood ratio of a correlation, negative for an inverse one; 0 where nothing can be told.
    """
    stride = max(1, round(FINE * diameter))
    y, x = np.mgrid[0 : first.detail.shape[0] : stride, 0 : first.detail.shape[1] : stride]
    points = np.column_stack([y.ravel(), x.ravel()]).astype(float)
    seen = first.seen[::stride, ::stride].ravel()
    from_ = transform.invert(points)
    laid, laid_seen = _sampled(second, from_)
    both = seen & laid_seen
    count = both.sum() * stride**2 / (PATCH * diameter**2)
    if count < FEWEST:
        return 0.0
    own = first.detail[::stride, ::stride].ravel()[both]
    # The other picture at the same places of the sensor, of either.
    still = [_sampled(second, points[both])[0], _sampled(first, from_[both])[0]]
    r = _partial(own, laid[both], np.stack(still, 1))
    return float(np.sign(r) * -0.5 * count * np.log(1 - min(r**2, 0.98)))


def _sampled(picture: Picture, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = map_coordinates(picture.detail, points.T, order=1, mode="constant")
    seen = map_coordinates(picture.seen.astype(np.float32), points.T, order=1, mode="constant") > 0.99
    return values, seen


def _partial(one: np.ndarray, other: np.ndarray, given: np.ndarray) -> float:
    """Correlation of two (n,), once what others (n, m) explain is taken off both."""
    known = np.column_stack([np.ones(len(one)), given]).astype(np.float64)
    pair = np.column_stack([one, other]).astype(np.float64)
    pair -= known @ np.linalg.lstsq(known, pair, rcond=1e-6)[0]
    spread = float(np.sqrt((pair[:, 0] @ pair[:, 0]) * (pair[:, 1] @ pair[:, 1])))
    return float(pair[:, 0] @ pair[:, 1]) / spread if spread > 1e-6 * len(one) else 0.0
