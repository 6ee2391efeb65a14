"""Motion that differs over the field: its displacement at a grid of places, and between them; frames undone.

The places lie on a regular grid from border to border, the displacement between them is bilinear. So a grid
of 2 x 2 follows stretch, shear and a small turn of the whole field. Knows tensors and the grid, not how the
displacements are found (:mod:`~calcium_lightning.preprocess.motion.nonrigid`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from calcium_lightning.core.errors import InputError
from calcium_lightning.preprocess.motion.types import AUTO
from calcium_lightning.preprocess.resample import few, sample

#: least distance of neighbouring places, cell diameters: fewer cells between them tell little of their motion
LEAST_SPACING = 4.0
#: pixels of the frames that are undone together: the dozen arrays that it takes stay in the processor's cache
TOGETHER = 1 << 18


@dataclass(frozen=True)
class PatchGrid:
    """Places at which the displacement of a field is known.

    Attributes
    ----------
    field : (int, int)
        (H, W), session pixels.
    count : (int, int)
        Places along y and x, the first and the last on the field's outermost pixels; a single one stands for
        the whole axis.
    """

    field: tuple[int, int]
    count: tuple[int, int]

    @classmethod
    def of(cls, patches: Any, field: tuple[int, int], cell_diameter: float) -> PatchGrid | None:
        """Return the grid that ``preprocess.motion.patches`` asks for.

        None where the field moves as one, or the recording decides.

        Raises
        ------
        InputError
            If it isn't two whole numbers, or more than the field has room for.
        """
        if patches is None or patches == AUTO:
            return None
        shown = f"preprocess.motion.patches={patches}"
        count = list(patches) if isinstance(patches, Iterable) and not isinstance(patches, str) else []
        if len(count) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in count):
            raise InputError(f"{shown}: expected two whole numbers above 0, [rows, columns], auto or null")
        most = _most(field, cell_diameter)
        if any(n > limit for n, limit in zip(count, most, strict=True)):
            raise InputError(
                f"{shown}: a field of {field[0]}x{field[1]} px with cells of {cell_diameter:.3g} px has room "
                f"for [{most[0]},{most[1]}] at most"
            )
        return cls(field, (count[0], count[1])) if max(count) > 1 else None

    @classmethod
    def smallest(cls, field: tuple[int, int], cell_diameter: float) -> PatchGrid | None:
        """Two places along each axis, None where the field has no room for them."""
        return cls(field, (2, 2)) if min(_most(field, cell_diameter)) > 1 else None

    def weights(self, axis: int, positions: Tensor) -> Tensor:
        """Share of each place (P,) of an axis at positions (..., m), session pixels: (..., m, P), sum 1.

        Beyond the field they are those of its border.
        """
        count = self.count[axis]
        if count == 1:
            return torch.ones_like(positions)[..., None]
        place = (positions * ((count - 1) / (self.field[axis] - 1))).clamp(0, count - 1)
        return (1 - (place[..., None] - torch.arange(count, device=positions.device)).abs()).clamp_min(0)

    def displacement(self, shifts: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Displacement between the places.

        Parameters
        ----------
        shifts : Tensor (n, Py, Px)
            One component of the displacement at the places.
        y : Tensor (h,)
        x : Tensor (w,) or (n, w)
            Rows and columns where it is wanted, session pixels.

        Returns
        -------
        Tensor (n, h, w)
        """
        return self.weights(0, y) @ shifts @ self.weights(1, x).mT

    def at(self, shifts: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Displacement (T, K, 2) of points (K, 2) for shifts (T, Py, Px, 2)."""
        rows, columns = (
            self.weights(axis, torch.from_numpy(np.ascontiguousarray(points[:, axis]))).numpy()
            for axis in (0, 1)
        )
        return np.einsum("kp,tpqa,kq->tka", rows, shifts, columns, optimize=True)


def _most(field: tuple[int, int], cell_diameter: float) -> list[int]:
    """Places for which each axis of a field has room."""
    return [1 + int((length - 1) / (LEAST_SPACING * cell_diameter)) for length in field]


def sample_undone(
    frames: Tensor,
    centers: tuple[Tensor, Tensor],
    spacing: tuple[float, float],
    shifts: Tensor,
    displacement: Tensor,
    sigmas: tuple[float, float],
) -> Tensor:
    """As :func:`~calcium_lightning.preprocess.resample.sample`, of frames that also moved by parts.

    Parameters
    ----------
    frames, centers, sigmas
        As there; ``centers`` are evenly spaced.
    spacing : (float, float)
        By so much, source pixels.
    shifts : Tensor (n, 2)
        Displacement of the whole field, source pixels: undone first.
    displacement : Tensor (n, 2, h, w)
        Displacement of the tissue that belongs to each result, ``shifts`` included.

    Returns
    -------
    Tensor, float32 (n, h, w)
    """
    rest = (displacement - shifts[:, :, None, None]) / torch.tensor(spacing, device=shifts.device)[
        :, None, None
    ]
    # Around the grid, too, there may be something to be seen.
    reach = [int(part) + 2 for part in rest.abs().amax((0, 2, 3)).ceil()]
    index = [
        torch.arange(-around, len(line) + around, device=line.device)
        for line, around in zip(centers, reach, strict=True)
    ]
    wide_y, wide_x = (
        line[0] + count * step for line, count, step in zip(centers, index, spacing, strict=True)
    )
    still = sample(frames, (wide_y, wide_x), shifts, sigmas)
    rows, columns = (
        torch.arange(len(line), device=line.device) + around
        for line, around in zip(centers, reach, strict=True)
    )
    down = functional.pad(rest[:, 0], (reach[1], reach[1], 0, 0), mode="replicate")
    return undo(still, down + rows[:, None], rest[:, 1] + columns)


def undo(frames: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Frames with a displacement undone: first along y, then along x, by cubic convolution.

    Parameters
    ----------
    frames : Tensor, float32 (n, h, w)
    down : Tensor (n, h', w)
        Row from which each pixel is taken, in terms of the column it comes from.
    right : Tensor (n, h', w')
        Column from which each pixel is taken, in terms of the column it goes to.

    Returns
    -------
    Tensor, float32 (n, h', w')
        Beyond the ends the last pixel repeats.
    """
    result, step = torch.empty_like(right), few(frames, TOGETHER)
    parts = (part.split(step) for part in (frames, down, right, result))
    for some, by_rows, by_columns, still in zip(*parts, strict=True):
        still.copy_(_take(_take(some, by_rows, 1), by_columns, 2))
    return result


def _take(frames: Tensor, places: Tensor, axis: int) -> Tensor:
    """Values of lines (n, h, w) along an axis at fractional places, by Keys' cubic convolution (a = -0.5)."""
    last = frames.shape[axis] - 1
    whole = places.floor()
    f = places - whole
    first, square = whole.long(), f * f
    cube = square * f
    weights = (
        square - 0.5 * (cube + f),
        1.5 * cube - 2.5 * square + 1,
        2 * square - 1.5 * cube + 0.5 * f,
        0.5 * (cube - square),
    )
    result = torch.zeros_like(places)
    for tap, weight in enumerate(weights, -1):
        result.addcmul_(weight, frames.gather(axis, (first + tap).clamp(0, last)))
    return result
