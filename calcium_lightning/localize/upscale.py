"""Footprints from the network's pixels to the session's, and back."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from scipy.sparse import csr_matrix, vstack
from torch import Tensor

from calcium_lightning.core.frames import at_a_time
from calcium_lightning.localize.patches import RADIUS, Patches
from calcium_lightning.preprocess.prepared import Scale

#: below this share of the peak a footprint's pixels are left out
CUT = 0.02


def to_session(
    footprints: Patches, scale: Scale, moved: np.ndarray | None = None
) -> tuple[csr_matrix, np.ndarray]:
    """Interpolate footprints on the session's pixels.

    Parameters
    ----------
    footprints : Patches
        At the network's scale.
    scale : Scale
        The two grids.
    moved : ndarray (K, 2), optional
        By how much footprints are moved on the way, network pixels.

    Returns
    -------
    footprints : csr_matrix, float32 (K, H*W)
        Scaled to a peak of 1.
    peaks : ndarray, float32 (K,)
        The peaks before scaling: traces of the network's footprints times these are those of the session's.
    """
    moved = np.zeros((len(footprints), 2)) if moved is None else moved
    lengths = np.ceil(footprints.values.shape[-1] / scale.factor).astype(int) + 1
    few = at_a_time(*lengths.tolist())
    parts = [
        _enlarged(footprints[rows], scale, moved[rows], lengths)
        for rows in np.split(np.arange(len(footprints)), range(few, len(footprints), few))
    ]
    enlarged, peaks = zip(*parts, strict=True)
    return csr_matrix(vstack(enlarged)), np.concatenate(peaks)


def _enlarged(
    footprints: Patches, scale: Scale, moved: np.ndarray, lengths: np.ndarray
) -> tuple[csr_matrix, np.ndarray]:
    """The same of a few footprints, each in a box of so many rows and columns of the session (2,)."""
    side = footprints.values.shape[-1]
    matrices, corners = [], []
    for axis, (field, factor, length) in enumerate(zip(scale.field, scale.factor, lengths, strict=True)):
        begin = footprints.corner[:, axis].numpy() + moved[:, axis]
        low = begin / factor - 0.5
        corner = np.ceil(low).astype(np.int64)
        pixels = corner[:, None] + np.arange(length)
        position = (pixels + 0.5) * factor - 0.5 - begin[:, None]
        weights = _cubic(torch.from_numpy(position[:, :, None] - np.arange(side)).float())
        weights = _fold(weights, footprints.corner[:, axis], footprints.size[axis])
        matrices.append(weights * torch.from_numpy((pixels >= 0) & (pixels < field))[:, :, None])
        corners.append(torch.from_numpy(corner))
    values = (matrices[0] @ footprints.values @ matrices[1].transpose(1, 2)).clamp_min(0)
    peaks = values.flatten(1).amax(1).clamp_min(1e-9) if len(values) else torch.zeros(0)
    values = values / peaks[:, None, None]
    return _to_csr(values * (values > CUT), corners, scale.field), peaks.numpy()


def from_session(footprints: csr_matrix, scale: Scale, radius: int = RADIUS) -> Patches:
    """Footprints of session pixels (K, H*W) at the network's scale.

    Undoes :func:`to_session` but for the peaks: what was scaled there stays so, and a trace of what is given
    back is a trace of the session's footprint.
    """
    matrix = csr_matrix(footprints)
    peaks = np.zeros((matrix.shape[0], 2))
    boxes: list[tuple[np.ndarray, np.ndarray]] = []
    for row in range(matrix.shape[0]):
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        y, x = np.divmod(matrix.indices[part], scale.field[1])
        box = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1) if len(y) else (1, 1), np.float32)
        corner = np.array([y.min(), x.min()] if len(y) else [0, 0])
        if len(y):
            box[y - corner[0], x - corner[1]] = matrix.data[part]
            mass = np.maximum(matrix.data[part].astype(np.float64), 0) + 1e-12
            peaks[row] = np.average(y, weights=mass), np.average(x, weights=mass)
        boxes.append((box, corner))
    patches = Patches.at(scale.to_network(peaks), scale.size, radius)
    grid_y, grid_x = (places.numpy() for places in patches.grid())
    for row, (box, corner) in enumerate(boxes):
        y = (grid_y[row] + 0.5) / scale.factor[0] - 0.5 - corner[0]
        x = (grid_x[row] + 0.5) / scale.factor[1] - 0.5 - corner[1]
        values = map_coordinates(box, np.meshgrid(y, x, indexing="ij"), order=3, mode="grid-constant")
        patches.values[row] = torch.from_numpy(values * (values > CUT / 2))
    patches.values *= patches.inside()
    return patches


def _fold(weights: Tensor, corner: Tensor, length: int) -> Tensor:
    """Give weights (K, n, P) of pixels beyond the field to its last two: there a footprint is a line."""
    side = weights.shape[-1]
    pixel = corner[:, None] + torch.arange(side)
    edge = pixel.clamp(0, length - 1)
    beyond = (pixel - edge).abs()
    within = (edge - (pixel - edge).sign()).clamp(0, length - 1)
    folded = torch.zeros_like(weights)
    for target, share in ((edge, 1 + beyond), (within, -beyond)):
        index = (target - corner[:, None]).clamp(0, side - 1)[:, None].expand_as(weights)
        folded.scatter_add_(2, index, weights * share[:, None])
    return folded


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel (1981), a = -1/2."""
    d = distance.abs()
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return torch.where(d <= 1, near, torch.where(d < 2, far, 0.0))


def _to_csr(values: Tensor, corners: list[Tensor], field: tuple[int, int]) -> csr_matrix:
    rows, columns = values.shape[1], values.shape[2]
    y = corners[0][:, None] + torch.arange(rows)
    x = corners[1][:, None] + torch.arange(columns)
    keep = (values > 0) & ((y >= 0) & (y < field[0]))[:, :, None] & ((x >= 0) & (x < field[1]))[:, None, :]
    pixel = (y[:, :, None] * field[1] + x[:, None, :])[keep]
    indptr = np.concatenate([[0], np.cumsum(keep.flatten(1).sum(1).numpy())])
    return csr_matrix(
        (values[keep].numpy().astype(np.float32), pixel.numpy(), indptr),
        shape=(len(values), field[0] * field[1]),
    )
