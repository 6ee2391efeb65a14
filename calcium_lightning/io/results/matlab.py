"""Results in ``.mat`` files: CIAtah's of CNMF-E, CNMF and EXTRACT, a plain ``A`` and ``C``, CellReg's input.

* ``cnmfeAnalysisOutput``, ``cnmfAnalysisOutput``: ``extractedImages`` (H x W x K), ``extractedSignals``
  (denoised, K x T), ``extractedSignalsEst`` (raw), ``extractedPeaks``.
* ``extractAnalysisOutput``: ``filters`` (H x W x K), ``traces`` (K x T); EXTRACT's own ``output``:
  ``spatial_weights``, ``temporal_weights`` (T x K).
* ``A`` (H x W x K, as we export them) with ``C_raw``, ``C`` and ``S``, in the file, ``neuron``, ``results``.
* CellReg: one array of K x H x W.

Which of them a person kept CIAtah writes beside it (``validCNMFE`` and such); that is read where it is in the
same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, issparse

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.results.build import Footprints, cells_of, numbers
from calcium_lightning.io.results.caiman import by_rows
from calcium_lightning.io.results.mat_file import read_mat

#: structures with footprints -> (program, footprints, traces, denoised, spikes)
LAYOUTS = {
    "cnmfeAnalysisOutput": (
        "CNMF-E by CIAtah",
        "extractedImages",
        "extractedSignalsEst",
        "extractedSignals",
        "extractedPeaks",
    ),
    "cnmfAnalysisOutput": (
        "CNMF by CIAtah",
        "extractedImages",
        "extractedSignalsEst",
        "extractedSignals",
        "extractedPeaks",
    ),
    "extractAnalysisOutput": ("EXTRACT by CIAtah", "filters", "traces", "", ""),
    "output": ("EXTRACT", "spatial_weights", "temporal_weights", "", ""),
    "neuron": ("CNMF-E", "A", "C_raw", "C", "S"),
    "results": ("CNMF-E", "A", "C_raw", "C", "S"),
    "": ("MATLAB", "A", "C_raw", "C", "S"),
}
#: what a person kept
VALID = ("validCNMFE", "validCNMF", "validEXTRACT", "valid", "accepted")
#: axes of CellReg's arrays are cells, rows, columns; here most pixels of a footprint are empty
MOST_FILLED = 0.5
#: a field is binned by so much at most before its cells are found
MOST_BINNED = 8


def suits(path: Path) -> bool:
    """A ``.mat`` file."""
    return path.is_file() and path.suffix.lower() == ".mat"


def footprints(path: Path) -> Footprints:
    """Where the cells of a ``.mat`` file are; CellReg's hold nothing else.

    Raises
    ------
    InputError
        If it holds none of the known layouts.
    """
    return _where(path, read_mat(path))[0]


def read(path: Path) -> Cells:
    """The cells in a ``.mat`` file.

    Raises
    ------
    InputError
        If it holds none of the known layouts.
    """
    content = read_mat(path)
    where, layout, holder = _where(path, content)
    if layout is None:
        return cells_of(path, "CellReg's input", where, None)
    program, *fields = layout
    count = where.matrix.shape[0]
    traces, denoised, spikes = (_course(holder.get(name), count) for name in fields[1:])
    rate = holder.get("fs", content.get("fs"))
    quality = content.get("quality")
    base = content.get("F0")
    return cells_of(
        path,
        program,
        where,
        denoised if traces is None else traces,
        denoised=denoised,
        spikes=spikes,
        baseline=np.ravel(base) if base is not None and np.size(base) == count else None,
        quality={
            str(name): np.ravel(values)
            for name, values in (quality.items() if isinstance(quality, Mapping) else ())
            if np.size(values) == count
        },
        fps=None
        if rate is None or np.size(rate) != 1
        else float(numbers(path, "frame rate", rate).ravel()[0]),
        mean_image=content.get("mean_image"),
        max_image=content.get("max_image", _reduced(holder.get("Cn"), where.frame_shape)),
    )


def _reduced(image: Any, frame_shape: tuple[int, int]) -> Any:
    """Every so manyth pixel of an image that is larger than the footprints' field."""
    if np.ndim(image) != 2 or np.shape(image)[0] <= frame_shape[0]:
        return image
    factor = -(-np.shape(image)[0] // frame_shape[0])
    return np.asarray(image)[::factor, ::factor]


def _where(
    path: Path, content: Mapping[str, Any]
) -> tuple[Footprints, tuple[str, ...] | None, Mapping[str, Any]]:
    """Footprints, the layout that they are in (None: CellReg's), and what holds it."""
    for name, layout in LAYOUTS.items():
        holder = content.get(name) if name else content
        if isinstance(holder, Mapping) and layout[1] in holder:
            matrix, frame_shape = _footprints(path, holder, layout[1])
            valid = next((content[name] for name in VALID if name in content), None)
            if valid is None or np.size(valid) != matrix.shape[0]:
                return Footprints(matrix, frame_shape), layout, holder
            return (
                Footprints(matrix, frame_shape, numbers(path, "verdicts", valid).ravel() > 0),
                layout,
                holder,
            )
    arrays = [np.asarray(value) for value in content.values() if np.ndim(value) == 3]
    if len(arrays) == 1:
        return _cellreg(path, arrays[0]), None, content
    names = ", ".join(name for name in LAYOUTS if name)
    raise InputError(
        f"{path}: no footprints as {names}, A, or one array of cells x rows x columns have them "
        f"({len(arrays)} arrays of three dimensions)"
    )


def _footprints(path: Path, holder: Mapping[str, Any], name: str) -> tuple[csr_matrix, tuple[int, int]]:
    """Footprints (K, H*W), of H x W x K, or of pixels x K with the field's size beside them."""
    array = holder[name]
    if issparse(array) or np.ndim(array) == 2:
        options = holder.get("options", {})
        size = [options.get(key) for key in ("d1", "d2")] if isinstance(options, Mapping) else [None]
        picture = holder.get("Cn")
        shape = (
            np.shape(picture)
            if picture is not None
            else tuple(int(np.ravel(part)[0]) for part in size if part is not None)
        )
        if len(shape) == 2 and (binned := _binned(array.shape[0], shape)) is not None:
            return by_rows(array, *binned), binned
        if issparse(array) or not name.startswith(("extracted", "filters", "spatial", "A")):
            raise InputError(f"{path}: {name} has shape {array.shape}, and nothing says the field's size")
        array = np.asarray(array)[..., None]  # one cell: MATLAB drops the last axis
    if np.ndim(array) != 3:
        raise InputError(f"{path}: {name} has shape {np.shape(array)}, expected rows x columns x cells")
    array = np.asarray(array)
    height, width, count = array.shape
    return csr_matrix(array.transpose(2, 0, 1).reshape(count, height * width)), (height, width)


def _binned(pixels: int, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """The size of footprints of so many pixels: the field's, or over a whole number, as CNMF-E bins."""
    for factor in range(1, MOST_BINNED + 1):
        size = -(-int(shape[0]) // factor), -(-int(shape[1]) // factor)
        if size[0] * size[1] == pixels:
            return size
    return None


def _course(values: Any, count: int) -> np.ndarray | None:
    """Time courses (K, T), whichever way they lie."""
    if values is None or np.size(values) == 0:
        return None
    array = np.atleast_2d(np.asarray(values.toarray() if issparse(values) else values, float))
    if array.shape[0] != count and array.shape[1] == count:
        return array.T
    return array


def _cellreg(path: Path, array: np.ndarray) -> Footprints:
    count, height, width = array.shape
    if np.count_nonzero(np.nan_to_num(array)) > MOST_FILLED * array.size:
        raise InputError(f"{path}: its array of {array.shape} is no footprints: most of it isn't 0")
    return Footprints(csr_matrix(np.nan_to_num(array).reshape(count, height * width)), (height, width))
