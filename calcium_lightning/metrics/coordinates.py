"""Learned coordinates against an annotator's mask: inside or outside, at the edge of a cell or at its centre.

The published evaluation (pixels that held a coordinate in some batch), and what it lacks: chance, kappa,
parts, where in the cell, and intervals. Knows arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from calcium_lightning.metrics.mask import MaskAgreement

#: least distance of two cells' centres where a region of the mask holds several, pixels of the mask
APART = 3


@dataclass(frozen=True)
class Visited:
    """Distinct pixels that held a coordinate in some batch.

    Attributes
    ----------
    pixels : ndarray, int64 (M, 2)
        (y, x).
    share : ndarray, float32 (M,)
        Of the batches in which some coordinate was there.
    owner : ndarray, int64 (M,)
        The coordinate that was there most often.
    """

    pixels: np.ndarray
    share: np.ndarray
    owner: np.ndarray


def visited_pixels(tracks: ArrayLike, size: int) -> Visited:
    """Count pixels that held a coordinate.

    Parameters
    ----------
    tracks : array_like (batches, N, 2)
        (y, x) of each coordinate in each batch, pixels of a square field.
    size : int
        Side of the field, pixels.

    Examples
    --------
    >>> visited_pixels([[[1.2, 2.0]], [[1.4, 2.0]], [[1.6, 2.0]]], 10).pixels.tolist()
    [[1, 2], [2, 2]]
    """
    places = np.clip(np.rint(np.asarray(tracks, float)).astype(np.int64), 0, size - 1)
    batches, count, _ = places.shape
    flat = places[..., 0] * size + places[..., 1]
    pixels = np.unique(flat)
    index = np.searchsorted(pixels, flat)
    held = np.zeros((batches, len(pixels)), bool)
    held[np.arange(batches)[:, None], index] = True
    visits = np.zeros((len(pixels), count), np.int64)
    np.add.at(visits, (index, np.arange(count)[None]), 1)
    return Visited(np.stack(np.divmod(pixels, size), 1), held.mean(0, dtype=np.float32), visits.argmax(1))


def depth_in_cells(mask: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """How deep in its cell each pixel lies, and where the centres are.

    Touching cells are one region of the mask; they are cut apart by a watershed of the distance to the edge.

    Parameters
    ----------
    mask : array_like (H, W)
        Non-zero inside some cell.

    Returns
    -------
    depth : ndarray, float32 (H, W)
        0 outside, near 0 at the edge, 1 at the centre: the distance to the edge over the cell's largest.
    centres : ndarray, float64 (K, 2)
        (y, x), pixels.
    """
    inside = np.asarray(mask) > 0
    distance = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    regions, _ = ndimage.label(inside)
    centres = peak_local_max(distance, min_distance=APART, labels=regions, exclude_border=False)
    markers = np.zeros(inside.shape, int)
    markers[tuple(centres.T)] = np.arange(1, len(centres) + 1)
    cells = watershed(-distance, markers, mask=inside)
    largest = np.zeros(len(centres) + 1)
    np.maximum.at(largest, cells.ravel(), distance.ravel())
    depth = np.where(inside & (cells > 0), distance / np.maximum(largest[cells], 1e-9), 0.0)
    return depth.astype(np.float32), centres.astype(float)


def coordinate_figures(
    visited: Visited,
    start: ArrayLike,
    mask: ArrayLike,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """One session's row.

    Parameters
    ----------
    visited : Visited
        In pixels of the mask.
    start : array_like (N, 2)
        Where the coordinates were drawn, pixels of the mask.
    mask : array_like (H, W)
        Non-zero inside some cell.
    draws : int
        Bootstrap samples: coordinates are drawn with all their pixels, as pixels of one coordinate are not
        independent.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict of str to float
        ``tp``, ``fp``, ``precision``, ``start_precision`` and ``improvement`` over it; ``chance``, ``kappa``,
        ``parts_hit``, ``parts``; ``depth`` (mean over true positives: 0 at the edge, 1 at the centre) and
        ``depth_chance`` (over all pixels of the mask); ``center_distance`` (median from true positives to the
        nearest centre, pixels) and ``center_distance_chance``. 95 % intervals of precision, improvement,
        kappa and depth as ``…_low`` and ``…_high``.
    """
    inside = np.asarray(mask) > 0
    agreement = MaskAgreement()
    agreement.update(visited.pixels, inside, inside.shape)
    figures = {name: float(value) for name, value in agreement.compute().items() if name != "cells"}
    y, x = visited.pixels.T
    hit = inside[y, x]
    first = visited_pixels(np.asarray(start, float)[None], len(inside)).pixels
    start_precision = float(inside[first[:, 0], first[:, 1]].mean())
    depth, centres = depth_in_cells(inside)
    tree = cKDTree(centres)
    chance = figures["chance"]
    figures |= {
        "tp": float(hit.sum()),
        "fp": float((~hit).sum()),
        "start_precision": start_precision,
        "improvement": figures["precision"] - start_precision,
        "depth": float(depth[y, x][hit].mean()) if hit.any() else float("nan"),
        "depth_chance": float(depth[inside].mean()),
        "center_distance": float(np.median(tree.query(visited.pixels[hit])[0]))
        if hit.any()
        else float("nan"),
        "center_distance_chance": float(np.median(tree.query(np.argwhere(inside))[0])),
    }
    sums = _by_owner(visited.owner, np.stack([np.ones(len(hit)), hit, np.where(hit, depth[y, x], 0)], 1))
    chosen = np.random.default_rng(seed).integers(len(sums), size=(draws, len(sums)))
    pixels, hits, depths = sums[chosen].sum(1).T
    precision = hits / pixels
    samples = {
        "precision": precision,
        "improvement": precision - start_precision,
        "kappa": (precision - chance) / (1 - chance),
        "depth": depths / np.maximum(hits, 1e-9),
    }
    for name, values in samples.items():
        low, high = np.quantile(values, [0.025, 0.975])
        figures |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return figures


def _by_owner(owner: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums of the rows of ``values`` for each owner that has any."""
    _, index = np.unique(owner, return_inverse=True)
    sums = np.zeros((index.max() + 1, values.shape[1]))
    np.add.at(sums, index, values)
    return sums
