"""Rows of new cells from what a cells file holds: at once, and without the recording.

What was found of two cells is the movie of both, so their merger is the best single footprint and trace for
that movie. Where a cell's localisations are two groups, its parts share its footprint and its trace as these
lie and take turns; a part that was cut off has its trace until the recording tells more
(:mod:`~calcium_lightning.localize.regress`). Knows arrays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix, vstack
from skimage.draw import polygon2mask

from calcium_lightning.core.cells import StreamedCells, footprint_centers
from calcium_lightning.core.decisions import Action, Draw, Merge, Point, Split
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.remade import Remade
from calcium_lightning.core.scale import CENTROID_LEVEL, FWHM
from calcium_lightning.curation.views import diameter_of
from calcium_lightning.localize.pair import Pair, find_pair

#: least number of pixels of a cell, or of a part of one
FEWEST_PIXELS = 3


def combine(action: Action, cells: StreamedCells) -> Remade:
    """What an action makes of cells.

    Parameters
    ----------
    action : Merge, Split or Draw
        What to make.
    cells : StreamedCells
        All cells as they are before it; the new ones are numbered on from them.

    Raises
    ------
    InputError
        If nothing can come of it: a line that misses the cell, an outline beside the field.
    """
    match action:
        case Merge(rows):
            footprints, weights = _merged(cells, rows)
            return _remade(cells, footprints, rows, weights[None])
        case Split(row, line):
            pair = None if line else _pair(cells, row)
            if pair is not None:
                parts, peaks = _shared(cells, row, pair)
                return _remade(cells, parts, (row,), peaks[:, None], pair.share_of(cells.n_frames))
            parts, peaks = _cut(cells, row, line)
            return _remade(cells, parts, (row,), peaks[:, None])
        case Draw(outline):
            return _remade(cells, _drawn(outline, cells.frame_shape), (), np.zeros((1, 0)))
        case _:
            raise TypeError(f"{type(action).__name__} makes no cell")


def _merged(cells: StreamedCells, rows: Sequence[int]) -> tuple[csr_matrix, np.ndarray]:
    """The best single footprint for several cells' movie, and what of each trace is in its trace."""
    shapes = cells.footprints[list(rows)]
    traces = np.nan_to_num(_rows(cells, "denoised", rows).astype(np.float64))
    alike = (shapes @ shapes.T).toarray().astype(np.float64)
    # Left singular vectors of the movie lie in the span of the footprints: a small eigenproblem.
    values, vectors = np.linalg.eig(traces @ traces.T @ alike + 1e-12 * np.eye(len(rows)))
    share = np.abs(vectors[:, np.argmax(values.real)].real)
    image = csr_matrix(share[None].astype(np.float32) @ shapes.toarray())
    peak = float(image.max())
    if not peak > 0:
        raise InputError(f"cells {list(rows)}: have no footprint to merge")
    image = image / np.float32(peak)
    weights = alike @ (share / peak) / max(float(image.multiply(image).sum()), 1e-12)
    return csr_matrix(image, dtype=np.float32), weights


def _pair(cells: StreamedCells, row: int) -> Pair | None:
    """Where and when a cell is two, by its localisations: those it claims, and nobody's on its footprint."""
    shape, (height, width) = cells.footprints[[row]], cells.frame_shape
    on = np.zeros(height * width, bool)
    on[shape.indices[shape.data > CENTROID_LEVEL * shape.data.max(initial=0)]] = True
    points, errors, frames = [np.zeros((0, 2))], [np.zeros((0, 2))], [np.zeros(0, int)]
    for block in cells.localizations.blocks():
        y, x = (
            np.clip(np.round(place).astype(int), 0, length - 1)
            for place, length in ((block.y, height), (block.x, width))
        )
        mine = (block.cell == row) | ((block.cell < 0) & on[y * width + x])
        points.append(np.stack([block.y, block.x], 1)[mine])
        errors.append(np.stack([block.y_std, block.x_std], 1)[mine])
        frames.append(block.frame[mine])
    found = np.concatenate(points), np.concatenate(errors), np.concatenate(frames)
    return find_pair(*found, diameter_of(cells), cells.fps)


def _shared(cells: StreamedCells, row: int, pair: Pair) -> tuple[csr_matrix, np.ndarray]:
    """A footprint shared between two centres, each part scaled to a peak of 1, and the peaks before."""
    shape = cells.footprints[[row]]
    places = np.stack(np.divmod(shape.indices, cells.frame_shape[1]), 1)
    squares = np.square(places[None] - pair.centers[:, None]).sum(2)
    # Of two Gaussians as wide as a cell, how much of their sum each is.
    lit = np.exp(-(squares - squares.min(0)) / (2 * (diameter_of(cells) / FWHM) ** 2))
    light = shape.data * lit / lit.sum(0)
    peaks = light.max(1)
    parts = csr_matrix(
        (
            (light / peaks[:, None]).ravel().astype(np.float32),
            np.tile(shape.indices, 2),
            [0, shape.nnz, 2 * shape.nnz],
        ),
        shape=(2, shape.shape[1]),
    )
    return parts, peaks


def _cut(cells: StreamedCells, row: int, line: Sequence[Point]) -> tuple[csr_matrix, np.ndarray]:
    """A footprint in two, each scaled to a peak of 1, and the peaks before."""
    shape = cells.footprints[[row]]
    places = np.stack(np.divmod(shape.indices, cells.frame_shape[1]), 1).astype(np.float64)
    if len(places) < 2 * FEWEST_PIXELS:
        raise InputError(f"cell {row}: too small to be split")
    if line:
        begin, end = np.array(line[0]), np.array(line[-1])
    else:  # across its longest extent
        begin = np.average(places, axis=0, weights=shape.data)
        spread = np.cov((places - begin).T, aweights=np.maximum(shape.data, 1e-9))
        end = begin + np.linalg.eigh(spread)[1][:, 0]
    along, offset = end - begin, places - begin
    side = along[0] * offset[:, 1] - along[1] * offset[:, 0] > 0
    if min(side.sum(), (~side).sum()) < FEWEST_PIXELS:
        raise InputError(f"cell {row}: the line leaves nothing on one side of it; draw it across the cell")
    parts, peaks = [], []
    for chosen in (side, ~side):
        peak = shape.data[chosen].max()
        data = (shape.data[chosen] / peak, (np.zeros(chosen.sum(), int), shape.indices[chosen]))
        parts.append(csr_matrix(data, shape=shape.shape, dtype=np.float32))
        peaks.append(peak)
    return csr_matrix(vstack(parts)), np.array(peaks)


def _drawn(outline: Sequence[Point], frame_shape: tuple[int, int]) -> csr_matrix:
    """A Gaussian of an outline's moments, within it, peak 1."""
    mask = polygon2mask(frame_shape, np.array(outline) + 1e-6)
    places = np.argwhere(mask)
    if len(places) < FEWEST_PIXELS:
        raise InputError("the outline holds no pixels of the field; draw it around a cell")
    offset = places - places.mean(0)
    spread = np.cov(offset.T) + 0.1 * np.eye(2)
    # A disc's variance is a quarter of its radius squared: half the height lies at the outline.
    height = np.exp(-np.log(2) / 4 * np.einsum("na,ab,nb->n", offset, np.linalg.inv(spread), offset))
    image = np.zeros(frame_shape, np.float32)
    image[mask] = height / height.max()
    return csr_matrix(image.reshape(1, -1))


def _rows(cells: StreamedCells, name: str, rows: Sequence[int]) -> np.ndarray:
    source = getattr(cells, name)
    parts = [source[slice(row, row + 1)] for row in rows]
    return np.concatenate([np.zeros((0, cells.traces.shape[1]), np.float32), *parts])


def _remade(
    cells: StreamedCells,
    footprints: csr_matrix,
    rows: Sequence[int],
    weights: np.ndarray,
    share: np.ndarray | float = 1.0,
) -> Remade:
    """New rows whose traces are weighted sums of others', and in each frame a share (n, T) of them."""
    count = footprints.shape[0]
    mass = np.maximum(np.asarray(footprints.sum(1)).ravel(), 1e-9)
    mixed, share = weights.astype(np.float32), np.asarray(share, np.float32)
    return Remade(
        rows=len(cells) + np.arange(count),
        centers=footprint_centers(footprints, cells.frame_shape),
        center_std=np.full((count, 2), np.nan, np.float32),
        footprints=footprints,
        traces=mixed @ _rows(cells, "traces", rows) * share,
        denoised=mixed @ _rows(cells, "denoised", rows) * share,
        spikes=mixed @ _rows(cells, "spikes", rows) * share,
        baseline=(footprints @ cells.mean_image.ravel() / mass).astype(np.float32),
        quality={},
        regressed=False,
    )
