"""CellReg's published rule, written from the paper: what tracking is compared with.

Sheintuch, Rubin, Brande-Eilat, Geva, Sadeh, Pinchasof, Ziv (2017), "Tracking the same neurons across multiple
days in Ca2+ imaging data", Cell Reports 21. Fields are shifted and turned onto a reference by the correlation
of their footprints' projections; distances of neighbours are modelled as a log-normal (same) and a linear-
times-sigmoid (different) density, fitted by least squares to the histogram; two cells are the same above p =
0.5; cells are registered one session after the other, then clusters are rearranged until none gains.

The published default also offers non-rigid alignment (Demons); this is the default, translations and
rotations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import rotate
from scipy.optimize import curve_fit
from scipy.signal import fftconvolve
from scipy.spatial.distance import cdist

from calcium_lightning.core.footprint_set import FootprintSet

#: rotations tried, degrees; greatest distance of a neighbour, in cell diameters (12 µm of about 12 µm); bins
ANGLES, NEIGHBOUR, BINS = np.arange(-8, 8.1, 0.5), 1.0, 40
ROUNDS = 10


def register(fields: Sequence[FootprintSet]) -> np.ndarray:
    """The cell of each session in each cluster, -1 for none: (N, S)."""
    height = max(field.frame_shape[0] for field in fields)
    width = max(field.frame_shape[1] for field in fields)
    diameter = float(np.median([field.diameter for field in fields]))
    pictures = [np.zeros((height, width)) for _ in fields]
    for picture, field in zip(pictures, fields, strict=True):
        h, w = field.frame_shape
        # Each footprint counts alike in the projection.
        picture[:h, :w] = np.asarray(field.footprints.sum(0)).reshape(h, w)
    places = [fields[0].centers]
    for picture, field in zip(pictures[1:], fields[1:], strict=True):
        places.append(_onto(picture, pictures[0], field.centers))
    reach = NEIGHBOUR * diameter
    distances = [cdist(places[a], places[b]) for a in range(len(places)) for b in range(a + 1, len(places))]
    same = _model(np.concatenate([d[d < reach] for d in distances]), reach)
    return _cluster(places, same, reach)


def _onto(picture: np.ndarray, reference: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Rotation about the middle and shift with the largest correlation."""
    best = (-np.inf, 0.0, np.zeros(2))
    middle = (np.array(picture.shape) - 1) / 2
    for angle in ANGLES:
        turned = rotate(picture, angle, reshape=False, order=1)
        map_ = fftconvolve(reference - reference.mean(), (turned - turned.mean())[::-1, ::-1], mode="same")
        at = np.unravel_index(map_.argmax(), map_.shape)
        if map_[at] > best[0]:
            best = (map_[at], angle, np.array(at) - (np.array(picture.shape) - 1) // 2)
    _, angle, shift = best
    # rotate(angle) shows at p what was at R p.
    radians = np.radians(angle)
    turn = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    return (centers - middle) @ turn.T + middle + shift


def _model(distances: np.ndarray, reach: float):
    """P(same | distance), from the histogram of all neighbours' distances."""
    counts, edges = np.histogram(distances, BINS, (0, reach), density=True)
    at = 0.5 * (edges[1:] + edges[:-1])
    width = edges[1]

    def same(d, mu, sigma):
        return np.exp(-((np.log(d) - mu) ** 2) / (2 * sigma**2)) / (d * sigma * np.sqrt(2 * np.pi))

    def different(d, middle, slope):
        shape = d / (1 + np.exp(-(d - middle) / slope))
        norm = (at / (1 + np.exp(-(at - middle) / slope))).sum() * width
        return shape / max(norm, 1e-12)

    def both(d, p, mu, sigma, middle, slope):
        return p * same(d, mu, sigma) + (1 - p) * different(d, middle, slope)

    start = (0.5, np.log(0.15 * reach), 0.5, 0.5 * reach, 0.15 * reach)
    bounds = ([0, -5, 0.1, 0, 0.01], [1, np.log(reach), 2, reach, reach])
    p, mu, sigma, middle, slope = curve_fit(both, at, counts, start, bounds=bounds, maxfev=20000)[0]

    def probability(d):
        d = np.maximum(d, 1e-3)
        one, other = p * same(d, mu, sigma), (1 - p) * different(d, middle, slope)
        return np.where(d < reach, one / np.maximum(one + other, 1e-12), 0)

    return probability


def _cluster(places: Sequence[np.ndarray], same, reach: float) -> np.ndarray:
    """Initial registration session by session, then cells move to the cluster they fit best."""
    count = len(places)
    clusters = [{0: cell} for cell in range(len(places[0]))]

    def middles():
        return np.array([np.mean([places[s][c] for s, c in one.items()], 0) for one in clusters])

    for session in range(1, count):
        apart = cdist(places[session], middles())
        p = same(apart)
        taken: set[int] = set()
        for cell in np.argsort(-p.max(1)):
            for target in np.argsort(-p[cell]):
                if p[cell, target] < 0.5:
                    clusters.append({session: int(cell)})
                    break
                if int(target) not in taken:
                    taken.add(int(target))
                    clusters[int(target)][session] = int(cell)
                    break
            else:
                clusters.append({session: int(cell)})
    for _ in range(ROUNDS):
        changed = False
        for session in range(count):
            owner = {one[session]: number for number, one in enumerate(clusters) if session in one}
            centers = np.full((len(clusters), 2), np.inf)
            for number, one in enumerate(clusters):
                others = [places[s][c] for s, c in one.items() if s != session]
                if others:
                    centers[number] = np.mean(others, 0)
            p = same(cdist(places[session], np.where(np.isinf(centers), 1e9, centers)))
            for cell in range(len(places[session])):
                here = owner[cell]
                best = int(p[cell].argmax())
                if (
                    best != here
                    and p[cell, best] >= 0.5
                    and p[cell, best] > p[cell, here]
                    and session not in clusters[best]
                ):
                    del clusters[here][session]
                    clusters[best][session] = cell
                    owner[cell], changed = best, True
        clusters = [one for one in clusters if one]
        if not changed:
            break
    result = np.full((len(clusters), count), -1)
    for number, one in enumerate(clusters):
        for session, cell in one.items():
            result[number, session] = cell
    return result
