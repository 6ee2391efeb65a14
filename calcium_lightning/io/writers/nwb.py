"""Cells as Neurodata Without Borders (NWB), to go on with in any of its tools.

Knows :class:`~calcium_lightning.core.cells.Cells` and pynwb. NWB's axes are (x, y) and (time, ...), ours
(y, x) and (cell, time): every turn between the two is in this file and in ``nwb_series``, and is tested on a
field that is not square.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.behavior import distinct
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.core.glossary import described
from calcium_lightning.io.behavior import read_behavior
from calcium_lightning.io.hdf5_output import create_file
from calcium_lightning.io.writers.measures import decisions
from calcium_lightning.io.writers.nwb_series import (
    add_behavior,
    add_images,
    add_localizations,
    add_motion,
    add_responses,
)
from calcium_lightning.io.writers.nwb_session import NwbSettings, began, imaging_plane, session_file
from calcium_lightning.io.writers.table import Export, chosen_cells

if TYPE_CHECKING:
    from pynwb.ophys import ImagingPlane, PlaneSegmentation

MASKS = ("pixel", "image")


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write an NWB file, as :func:`export_nwb` does."""
    export_nwb(
        cells,
        target,
        NwbSettings(**export.settings),
        source=export.source,
        overwrite=export.overwrite,
        numbers=export.numbers(cells),
        behavior=export.behavior,
    )


def export_nwb(
    cells: Cells,
    path: Path | str,
    settings: NwbSettings | None = None,
    *,
    source: Path | None = None,
    overwrite: bool = False,
    numbers: np.ndarray | None = None,
    behavior: Sequence[Path] = (),
) -> None:
    """Write an NWB file, atomically.

    In the processing module ``ophys``: ``ImageSegmentation/PlaneSegmentation`` (one row per cell: mask,
    centre, accepted, quality), ``Fluorescence`` (``traces``, ``denoised``), ``Deconvolved`` (``spikes``),
    ``DfOverF`` where a baseline is known, ``xy_translation`` (motion), ``SummaryImages`` (mean, max).

    Parameters
    ----------
    cells : Cells
        What to write; all of it, rejected cells too.
    path : path-like
        The file to make.
    settings : NwbSettings, optional
        Facts that a cells file doesn't hold.
    source : Path, optional
        The cells file, for the time of a session that is gone and for the record.
    overwrite : bool
        Replace an existing file.
    numbers : ndarray of int (K,), optional
        The cells' numbers, which are the ids of their rows; default 0 to K - 1.
    behavior : sequence of Path
        Time stamps of behaviour cameras, or tables of events, beside those that the cells have: the module
        ``behavior``, in the same clock.

    Raises
    ------
    InputError
        If the target exists, a setting makes no sense, or there are no cells.
    """
    from pynwb import NWBHDF5IO

    settings = settings or NwbSettings()
    if settings.masks not in MASKS:
        raise InputError(f"nwb.masks={settings.masks}: {' or '.join(MASKS)}")
    if not len(cells):
        raise InputError(f"{source or path}: no cells to export")
    file = session_file(cells, settings, source)
    plane = imaging_plane(file, cells, settings)
    module = file.create_processing_module("ophys", "cells found by calcium-lightning, and what they did")
    numbers = np.arange(len(cells)) if numbers is None else numbers
    segmentation = _segmentation(module, plane, cells, settings.masks, numbers)
    add_responses(module, segmentation, cells)
    add_motion(module, cells)
    add_images(module, cells)
    if settings.localizations:
        add_localizations(module, cells, numbers)
    told = distinct([*cells.behavior, *(read_behavior(path, began(cells, settings)) for path in behavior)])
    if told:
        add_behavior(file, told)
    with (
        atomic_path(path, overwrite) as temporary,
        create_file(temporary) as opened,
        NWBHDF5IO(file=opened, mode="w") as stream,
    ):
        stream.write(file)


def to_nwb(
    cells: Cells, path: Path | str, *, rejected: bool = False, overwrite: bool = False, **facts: Any
) -> None:
    """Write accepted cells, or all, as NWB; the facts are fields of :class:`NwbSettings`.

    Raises
    ------
    InputError
        If a fact isn't one, with those that resemble it; and as :func:`export_nwb`.
    """
    known = [field.name for field in fields(NwbSettings)]
    for name in facts:
        if name not in known:
            raise InputError(f"to_nwb: {name}= is no fact that NWB takes{nearest(name, known)}")
    chosen, rows = chosen_cells(cells, rejected)
    export_nwb(chosen, path, NwbSettings(**facts), overwrite=overwrite, numbers=rows)


def _segmentation(
    module: Any, plane: ImagingPlane, cells: Cells, masks: str, numbers: np.ndarray
) -> PlaneSegmentation:
    from hdmf.backends.hdf5 import H5DataIO
    from hdmf.common import VectorData, VectorIndex
    from pynwb.ophys import ImageSegmentation, PlaneSegmentation

    height, width = cells.frame_shape
    matrix = cells.footprints
    if masks == "pixel":
        y, x = np.divmod(matrix.indices, width)
        pixels = np.empty(matrix.nnz, [("x", "<u4"), ("y", "<u4"), ("weight", "<f4")])
        pixels["x"], pixels["y"], pixels["weight"] = x, y, matrix.data
        mask = VectorData(
            name="pixel_mask", description="x, y and weight of each pixel; the peak weighs 1", data=pixels
        )
        ends = VectorIndex(name="pixel_mask_index", data=matrix.indptr[1:].astype(np.uint64), target=mask)
        columns: list[Any] = [mask, ends]
    else:
        images = matrix.toarray().reshape(-1, height, width).transpose(0, 2, 1)  # NWB's images are (x, y)
        wrapped = H5DataIO(images, compression="gzip", chunks=(1, width, height))
        columns = [VectorData(name="image_mask", description="weight of each pixel, (x, y)", data=wrapped)]
    facts = {
        "accepted": (np.asarray(cells.accepted, bool), "passed the quality tests"),
        "center": (cells.centers[:, ::-1], "(x, y) of the footprint's bright part, pixels"),
        "center_std": (cells.center_std[:, ::-1], "standard error of the centre (x, y), pixels"),
        "baseline": (cells.baseline, "F0, the frames' units"),
    }
    for name, values in cells.quality.items():
        column = re.sub(r"\W", "_", name)
        column = f"quality_{column}" if column in facts or column == "id" else column
        facts[column] = (values, described(name))
    facts |= decisions(cells)
    columns += [
        VectorData(
            name=name,
            description=text,
            data=list(values) if values.dtype == object else np.ascontiguousarray(values),
        )
        for name, (values, text) in facts.items()
    ]
    segmentation = PlaneSegmentation(
        name="PlaneSegmentation",
        description=f"demixed footprints of single cells; they may overlap{_told(cells)}",
        imaging_plane=plane,
        id=numbers,
        columns=columns,
        colnames=[column.name for column in columns if not isinstance(column, VectorIndex)],
    )
    module.add(ImageSegmentation(plane_segmentations=[segmentation]))
    return segmentation


def _told(cells: Cells) -> str:
    """How many of the accepted cells are expected to be false, where that is known."""
    accepted = int(np.count_nonzero(cells.accepted))
    return (
        f"; of the accepted, {cells.false_discovery.in_words(accepted)}"
        if cells.false_discovery and accepted
        else ""
    )
