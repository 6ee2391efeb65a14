"""Footprints as small square patches, and what preprocessing makes of them.

A footprint's reach is known (cells have a size), so K footprints are one array (K, P, P) with corners, and
every operation on all of them is one batched operation. Knows tensors and the preprocessing's operators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from calcium_lightning.preprocess.resample import CUT_SIGMAS, smoothing_matrix

#: half width of a footprint's patch, network pixels: one and a half cell diameters
RADIUS = 9
#: patches whose pixels are listed at a time
FEW = 64


@dataclass
class Patches:
    """Square cut-outs of a field.

    Attributes
    ----------
    values : Tensor, float32 (K, P, P)
        Zero outside the field.
    corner : Tensor, int64 (K, 2)
        (y, x) of each patch's first pixel; may lie outside the field.
    size : (int, int)
        (h, w) of the field.
    """

    values: Tensor
    corner: Tensor
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, keep: Tensor | np.ndarray) -> Patches:
        index = torch.as_tensor(keep)
        return Patches(self.values[index], self.corner[index], self.size)

    @classmethod
    def at(cls, centers: np.ndarray, size: tuple[int, int], radius: int = RADIUS) -> Patches:
        """Empty patches around centres (K, 2)."""
        corner = torch.from_numpy(np.round(np.asarray(centers).reshape(-1, 2)).astype(np.int64)) - radius
        return cls(torch.zeros(len(corner), 2 * radius + 1, 2 * radius + 1), corner, size)

    @classmethod
    def of(cls, images: np.ndarray, radius: int = RADIUS) -> Patches:
        """Cut footprints out of images (K, h, w), each around its brightest pixel."""
        count, height, width = images.shape
        pictures = torch.from_numpy(np.ascontiguousarray(images, np.float32))
        peak = pictures.flatten(1).argmax(1).numpy() if count else np.zeros(0, int)
        patches = cls.at(np.stack(np.divmod(peak, width), 1), (height, width), radius)
        y, x = patches.grid()
        rows, columns = y.clamp(0, height - 1), x.clamp(0, width - 1)
        cut = pictures[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
        return cls(cut * patches.inside(), patches.corner, patches.size)

    def images(self) -> np.ndarray:
        """The footprints as images of the field, float32 (K, h, w)."""
        return self.to_csr().toarray().reshape(-1, *self.size)

    def recentred(self, centers: Tensor) -> Patches:
        """The same content on patches around new centres (K, 2), by whole pixels; what falls out is lost."""
        side = self.values.shape[-1]
        corner = centers.round().long() - side // 2
        step = torch.arange(side)
        y = corner[:, :1] - self.corner[:, :1] + step
        x = corner[:, 1:] - self.corner[:, 1:] + step
        known = ((y >= 0) & (y < side))[:, :, None] & ((x >= 0) & (x < side))[:, None, :]
        index = torch.arange(len(self))[:, None, None]
        moved = self.values[index, y.clamp(0, side - 1)[:, :, None], x.clamp(0, side - 1)[:, None, :]] * known
        return Patches(moved, corner, self.size)

    def grid(self) -> tuple[Tensor, Tensor]:
        """Field coordinates of the patches' rows (K, P) and columns (K, P), int64."""
        step = torch.arange(self.values.shape[-1])
        return self.corner[:, :1] + step, self.corner[:, 1:] + step

    def inside(self) -> Tensor:
        """Which pixels lie in the field, bool (K, P, P)."""
        y, x = self.grid()
        rows = (y >= 0) & (y < self.size[0])
        columns = (x >= 0) & (x < self.size[1])
        return rows[:, :, None] & columns[:, None, :]

    def look_up(self, image: Tensor) -> Tensor:
        """Cut (K, P, P) out of an image (h, w); zero outside."""
        y, x = self.grid()
        cut = image[y.clamp(0, self.size[0] - 1)[:, :, None], x.clamp(0, self.size[1] - 1)[:, None, :]]
        return cut * self.inside()

    def to_csr(self, level: float = 0.0) -> csr_matrix:
        """Rows over flattened field pixels (K, h*w), entries above ``level`` of the largest in their row."""
        counts, pixels, data = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
        for first in range(0, len(self), FEW):
            some = self[torch.arange(first, min(first + FEW, len(self)))]
            y, x = some.grid()
            strength = some.values.abs()
            keep = some.inside() & (strength > level * strength.amax((1, 2), keepdim=True))
            pixels.append((y[:, :, None] * self.size[1] + x[:, None, :]).int()[keep].numpy())
            counts.append(keep.flatten(1).sum(1).numpy())
            data.append(some.values[keep].numpy().astype(np.float32, copy=False))
        indptr = np.cumsum(np.concatenate(counts))
        shape = (len(self), self.size[0] * self.size[1])
        return csr_matrix((np.concatenate(data), np.concatenate(pixels), indptr), shape=shape)


class Surround:
    """What preprocessing's high-pass filter does to patches.

    Parameters
    ----------
    size : (int, int)
        (h, w) of the field.
    sigma : float
        Of the blur that is taken for background, network pixels.
    """

    def __init__(self, size: tuple[int, int], sigma: float) -> None:
        self.reach = int(np.ceil(CUT_SIGMAS * sigma))
        self.rows, self.columns = (smoothing_matrix(length, sigma) for length in size)

    def high_pass(self, patches: Patches) -> Patches:
        """The filtered patches, wider by the filter's reach on every side."""
        wide = self._blurred(patches, self.reach)
        wide.values.neg_()
        core = slice(self.reach, self.reach + patches.values.shape[-1])
        wide.values[:, core, core] += patches.values
        wide.values *= wide.inside()
        return wide

    def blurred(self, patches: Patches) -> Tensor:
        """The blur alone, within the patches, (K, P, P)."""
        return self._blurred(patches, 0).values

    def _blurred(self, patches: Patches, reach: int) -> Patches:
        length = patches.values.shape[-1] + 2 * reach
        wide = Patches(torch.empty(0), patches.corner - reach, patches.size)
        step = torch.arange(length)
        matrices = []
        for axis, matrix in enumerate((self.rows, self.columns)):
            limit = patches.size[axis]
            out = wide.corner[:, axis : axis + 1] + step
            source = patches.corner[:, axis : axis + 1] + torch.arange(patches.values.shape[-1])
            part = matrix[out.clamp(0, limit - 1)[:, :, None], source.clamp(0, limit - 1)[:, None, :]]
            known = ((out >= 0) & (out < limit))[:, :, None] & ((source >= 0) & (source < limit))[:, None, :]
            matrices.append(part * known)
        wide.values = matrices[0] @ patches.values @ matrices[1].transpose(1, 2)
        return wide


def concatenate(first: Patches, second: Patches) -> Patches:
    """Both sets of patches, in order."""
    return Patches(
        torch.cat([first.values, second.values]), torch.cat([first.corner, second.corner]), first.size
    )


def gaussian_patches(
    centers: np.ndarray, sigma: float | np.ndarray, size: tuple[int, int], radius: int = RADIUS
) -> Patches:
    """Round Gaussians of unit height, (K, 2) centres in network pixels."""
    patches = Patches.at(centers, size, radius)
    y, x = patches.grid()
    middle = torch.as_tensor(np.asarray(centers).reshape(-1, 2), dtype=torch.float32)
    width = torch.as_tensor(np.broadcast_to(np.asarray(sigma, np.float32), (len(middle),)).copy())[:, None]
    along_y = torch.exp(-0.5 * ((y - middle[:, :1]) / width) ** 2)
    along_x = torch.exp(-0.5 * ((x - middle[:, 1:]) / width) ** 2)
    patches.values = along_y[:, :, None] * along_x[:, None, :] * patches.inside()
    return patches
