"""Results in ``.mat`` files: CNMF-E's, MiniscopeAnalysis', CIAtah's, EXTRACT's, MIN1PIPE's, CellReg's input.

* CNMF-E: ``A`` (pixels x K, or H x W x K as we export them) with ``C_raw``, ``C`` and ``S``, in the file,
  ``neuron``, ``neuron_results``, ``results``.
* MiniscopeAnalysis: ``ms`` with ``SFPs`` (H x W x K), ``RawTraces``, ``FiltTraces`` (T x K), ``time`` (ms).
* CIAtah: ``cnmfeAnalysisOutput``, ``cnmfAnalysisOutput``: ``extractedImages`` (H x W x K),
  ``extractedSignals`` (denoised, K x T), ``extractedSignalsEst`` (raw), ``extractedPeaks``;
  ``extractAnalysisOutput``: ``filters`` (H x W x K), ``traces`` (K x T).
* EXTRACT: ``output``: ``spatial_weights`` (H x W x K), ``temporal_weights`` (T x K).
* MIN1PIPE (``*_data_processed.mat``): ``roifn`` (pixels x K), ``sigfn`` and ``spkfn`` (K x T), ``pixh``,
  ``pixw``.
* CellReg: one array of K x H x W.

Which of them a person kept CIAtah writes beside it (``validCNMFE`` and such); that is read where it is in the
same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, issparse

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.results.build import Footprints, cells_of, numbers
from calcium_lightning.io.results.caiman import by_rows
from calcium_lightning.io.results.mat_file import MatlabObject, read_mat


class Layout(NamedTuple):
    """What a program's cells are called.

    Attributes
    ----------
    holder : str
        The structure that they are in; empty: the file.
    program : str
    footprints, traces, denoised, spikes : str
        Names in it; empty: there are none.
    """

    holder: str
    program: str
    footprints: str
    traces: str
    denoised: str = ""
    spikes: str = ""


_CIATAH = "extractedImages", "extractedSignalsEst", "extractedSignals", "extractedPeaks"
_CNMFE = "A", "C_raw", "C", "S"
LAYOUTS = (
    Layout("cnmfeAnalysisOutput", "CNMF-E by CIAtah", *_CIATAH),
    Layout("cnmfAnalysisOutput", "CNMF by CIAtah", *_CIATAH),
    Layout("extractAnalysisOutput", "EXTRACT by CIAtah", "filters", "traces"),
    Layout("output", "EXTRACT", "spatial_weights", "temporal_weights"),
    Layout("neuron", "CNMF-E", *_CNMFE),
    Layout("neuron_results", "CNMF-E", *_CNMFE),
    Layout("results", "CNMF-E", *_CNMFE),
    Layout("ms", "MiniscopeAnalysis", "SFPs", "RawTraces", "FiltTraces"),
    Layout("", "MIN1PIPE", "roifn", "sigfn", spikes="spkfn"),
    Layout("", "MATLAB", *_CNMFE),
)
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
    count = where.matrix.shape[0]
    names = layout.traces, layout.denoised, layout.spikes
    traces, denoised, spikes = (_course(holder.get(name), count) for name in names)
    settings = content.get("Params")  # MIN1PIPE's
    rate = holder.get("fs", settings.get("Fsi_new") if isinstance(settings, Mapping) else content.get("fs"))
    times = holder.get("time") if layout.holder == "ms" else None
    quality = content.get("quality")
    base = content.get("F0")
    return cells_of(
        path,
        layout.program,
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
        timestamps=None if times is None else numbers(path, "time stamps", times, np.float64).ravel() / 1e3,
        mean_image=content.get("mean_image", content.get("imeanf")),
        max_image=_reduced(
            next((part[name] for part, name in _pictures(content, holder) if name in part), None),
            where.frame_shape,
        ),
    )


def _pictures(
    content: Mapping[str, Any], holder: Mapping[str, Any]
) -> tuple[tuple[Mapping[str, Any], str], ...]:
    """Where a picture of the field's cells may be."""
    return (content, "max_image"), (holder, "Cn"), (holder, "PeakToNoiseProj"), (content, "imaxy")


def _reduced(image: Any, frame_shape: tuple[int, int]) -> Any:
    """Every so manyth pixel of an image that is larger than the footprints' field."""
    if np.ndim(image) != 2 or np.shape(image)[0] <= frame_shape[0]:
        return image
    factor = -(-np.shape(image)[0] // frame_shape[0])
    return np.asarray(image)[::factor, ::factor]


def _where(path: Path, content: Mapping[str, Any]) -> tuple[Footprints, Layout | None, Mapping[str, Any]]:
    """Footprints, the layout that they are in (None: CellReg's), and what holds it."""
    for layout in LAYOUTS:
        holder = content.get(layout.holder) if layout.holder else content
        if isinstance(holder, MatlabObject):
            raise InputError(
                f"{path}: {layout.holder} is an object of class {holder.name}, which only MATLAB reads; "
                f"there: results = {layout.holder}.obj2struct(); save('results.mat', 'results', '-v7.3')"
            )
        if isinstance(holder, Mapping) and layout.footprints in holder:
            matrix, frame_shape = _footprints(path, holder, layout.footprints)
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
    names = ", ".join(layout.holder or layout.footprints for layout in LAYOUTS)
    raise InputError(
        f"{path}: no footprints as {names}, or one array of cells x rows x columns have them "
        f"({len(arrays)} arrays of three dimensions)"
    )


def _footprints(path: Path, holder: Mapping[str, Any], name: str) -> tuple[csr_matrix, tuple[int, int]]:
    """Footprints (K, H*W), of H x W x K, or of pixels x K with the field's size beside them."""
    array = holder[name]
    if issparse(array) or np.ndim(array) == 2:
        options = holder.get("options", {})
        size = [options.get(key) for key in ("d1", "d2")] if isinstance(options, Mapping) else [None]
        if name == "roifn":
            size = [holder.get(key) for key in ("pixh", "pixw")]
        picture = holder.get("Cn")
        shape = (
            np.shape(picture)
            if picture is not None
            else tuple(int(np.ravel(part)[0]) for part in size if part is not None)
        )
        if len(shape) == 2 and (binned := _binned(array.shape[0], shape)) is not None:
            return by_rows(array, *binned), binned
        if issparse(array) or name == "roifn":
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
