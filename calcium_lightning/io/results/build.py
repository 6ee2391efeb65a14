"""Cells of what a program says, with what it doesn't say left empty.

Knows :class:`~calcium_lightning.core.cells.Cells` and arrays; no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, diags

from calcium_lightning.core.cells import Cells, footprint_centers
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.sparse import checked
from calcium_lightning.io.stored import check_frame

#: what a note says where times count frames
UNTIMED = "times count frames (1 Hz), fps= says how fast they came"
#: no measured number is larger; the square of one that is can't be told in float32
LARGEST = 1e18


@dataclass(frozen=True)
class Footprints:
    """What a program says of where its cells are, which is all that tracking reads.

    Attributes
    ----------
    matrix : csr_matrix (K, H*W)
        Rows of pixels, row by row of the picture; of any scale.
    frame_shape : (int, int)
        (H, W).
    accepted : ndarray, bool (K,), or None
        What counts as a cell; all of them where it is None.
    """

    matrix: csr_matrix
    frame_shape: tuple[int, int]
    accepted: np.ndarray | None = None

    def checked(self, path: Path) -> csr_matrix:
        """The same, float32, where NaN and negative values are nothing.

        Raises
        ------
        InputError
            If they don't fit the field.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = checked(csr_matrix(self.matrix, dtype=np.float32), path)
        matrix.data = np.nan_to_num(np.maximum(matrix.data, 0), posinf=0)
        matrix.eliminate_zeros()
        matrix.sum_duplicates()
        height, width = self.frame_shape
        check_frame(str(path), height, width)
        if matrix.nnz and matrix.data.max() > LARGEST:
            raise InputError(
                f"{path}: its footprints reach {matrix.data.max():g}; the file is damaged, make it anew"
            )
        if self.accepted is not None and len(self.accepted) != matrix.shape[0]:
            raise InputError(
                f"{path}: says of {len(self.accepted)} cells whether they count, and has {matrix.shape[0]}"
            )
        if matrix.shape[1] != height * width:
            raise InputError(
                f"{path}: footprints of {matrix.shape[1]} pixels don't fit a field of {height} x {width}"
            )
        return matrix


def cells_of(
    path: Path,
    program: str,
    footprints: Footprints,
    traces: np.ndarray | None,
    *,
    denoised: np.ndarray | None = None,
    spikes: np.ndarray | None = None,
    baseline: np.ndarray | None = None,
    quality: Mapping[str, np.ndarray] | None = None,
    fps: float | None = None,
    timestamps: np.ndarray | None = None,
    shifts: np.ndarray | None = None,
    mean_image: np.ndarray | None = None,
    max_image: np.ndarray | None = None,
    **facts: Any,
) -> Cells:
    """Put cells together.

    Footprints are scaled to a peak of 1 and time courses by the same factor, so that their product, a cell's
    part of the movie, stays what it was.

    Parameters
    ----------
    path : Path
        Of the results, for messages and as the cells' ``session``.
    program : str
        Whose they are.
    footprints : Footprints
        Where its cells are, and which it counts.
    traces, denoised, spikes : ndarray (K, T), optional
        For footprints as they were given. Without ``denoised`` it is the trace; without ``spikes`` none.
    baseline : ndarray (K,), optional
        F0, scaled as the traces.
    quality : mapping of str to ndarray (K,), optional
    fps, timestamps : float and ndarray (T,), optional
        One follows from the other; without both 1 Hz, which is noted.
    shifts : ndarray (T, 2), optional
        How far the tissue had gone (dy, dx), pixels.
    mean_image, max_image : ndarray (H, W), optional
    **facts
        Other fields of the cells.

    Raises
    ------
    InputError
        If the parts don't fit each other.
    """
    matrix, frame_shape = footprints.checked(path), footprints.frame_shape
    count = matrix.shape[0]
    peaks = matrix.max(1).toarray().ravel() if matrix.nnz else np.zeros(count)
    scale = np.where(peaks > 0, peaks, 1).astype(np.float32)
    matrix = csr_matrix(diags(1 / scale.astype(np.float64)) @ matrix, dtype=np.float32)
    given = next((part for part in (traces, denoised, spikes) if part is not None), np.zeros((count, 0)))
    length = np.shape(given)[1] if np.ndim(given) == 2 else -1

    def course(name: str, values: np.ndarray | None, default: np.ndarray | None = None) -> np.ndarray:
        if values is None:
            return np.zeros((count, length), np.float32) if default is None else default
        values = numbers(path, name, values)
        if values.shape != (count, length):
            raise InputError(
                f"{path}: {program}'s {name} have shape {values.shape}, its {count} footprints and "
                f"{length} frames want ({count}, {length})"
            )
        return values * scale[:, None]

    shown = course("traces", traces if traces is not None else denoised)
    notes = []
    if timestamps is not None and len(timestamps) == length > 1:
        times = numbers(path, "time stamps", timestamps, np.float64)
        rate = fps or (length - 1) / max(times[-1] - times[0], np.finfo(float).tiny)
    else:
        if not fps:
            notes.append(f"{program}'s results say no frame rate: {UNTIMED}")
        rate = float(fps or 1.0)
        times = np.arange(length) / rate
    blank = np.zeros(frame_shape, np.float32)
    return Cells(
        centers=footprint_centers(matrix, frame_shape),
        center_std=np.full((count, 2), np.nan, np.float32),
        footprints=matrix,
        frame_shape=frame_shape,
        traces=shown,
        denoised=course("denoised traces", denoised, shown),
        spikes=course("spikes", spikes),
        accepted=np.ones(count, bool)
        if footprints.accepted is None
        else np.asarray(footprints.accepted, bool),
        quality={name: _known(path, name, values) for name, values in (quality or {}).items()},
        shifts=np.zeros((length, 2), np.float32) if shifts is None else numbers(path, "shifts", shifts),
        baseline=np.zeros(count, np.float32)
        if baseline is None
        else numbers(path, "baseline", baseline) * scale,
        mean_image=picture(path, mean_image, frame_shape, blank),
        max_image=picture(path, max_image, frame_shape, blank),
        timestamps=times,
        fps=float(rate),
        session=str(path),
        package_version=program,
        notes=tuple(notes),
        **facts,
    )


def numbers(path: Path, name: str, values: Any, dtype: type = np.float32) -> np.ndarray:
    """Values of a file as numbers; NaN is none.

    Raises
    ------
    InputError
        If they are text, or whatever else isn't real numbers, or larger than anything that was measured.
    """
    found = np.asarray(values)
    if found.dtype.kind not in "fiub":
        raise InputError(f"{path}: its {name} are no numbers")
    largest = np.nanmax(np.abs(found), initial=0) if found.dtype.kind in "fi" else 0
    if largest > LARGEST:
        raise InputError(f"{path}: its {name} reach {largest:g}; the file is damaged, make it anew")
    return found.astype(dtype)


def _known(path: Path, name: str, values: Any) -> np.ndarray:
    """How good cells are, in numbers; NaN where it is infinite: CaImAn divides by a noise that may be 0."""
    found = np.asarray(values)
    return numbers(path, name, np.where(np.isinf(found), np.nan, found) if found.dtype.kind == "f" else found)


def picture(path: Path, image: Any, frame_shape: tuple[int, int], default: np.ndarray) -> np.ndarray:
    """An image, float32 (H, W), 0 where it holds no number; the default where it is of another size."""
    if image is None or np.shape(image) != frame_shape:
        return default
    return np.nan_to_num(numbers(path, "picture", image))
