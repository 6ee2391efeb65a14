"""Tracks as CellReg writes them: ``cell_to_index_map`` and the footprints of each session, for MATLAB.

Knows :class:`~calcium_lightning.core.tracks.Tracks` and HDF5 (a ``.mat`` of version 7.3 is HDF5).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.tracks import Tracks
from calcium_lightning.core.version import __version__

#: what a MATLAB file of version 7.3 begins with, in a block of 512 bytes before the HDF5
BLOCK = 512
HEADER = b"MATLAB 7.3 MAT-file, written by calcium-lightning " + __version__.encode()
VERSION = b"\x00\x02IM"


def export_cellreg(
    tracks: Tracks, fields: Sequence[FootprintSet], path: Path | str, *, overwrite: bool = False
) -> None:
    """Write a ``.mat`` of version 7.3.

    ``cell_registered_struct.cell_to_index_map`` (N, S) has for each track the cell of each session, from 1,
    and 0 for none; the cells are those of ``spatial_footprints`` {S} (K x H x W): only the ones that were
    tracked, whose rows in the cells files are in ``rows`` {S}. ``p_same_registered_pairs`` is not known;
    ``cell_scores`` is the mean probability of a track's members.

    Raises
    ------
    InputError
        If the target exists.
    """
    with atomic_path(path, overwrite) as temporary:
        with h5py.File(temporary, "w", userblock_size=BLOCK) as file:
            group = file.create_group("cell_registered_struct")
            group.attrs["MATLAB_class"] = np.bytes_("struct")
            _matrix(group, "cell_to_index_map", _index_map(tracks, fields))
            probability = np.where(np.isnan(tracks.probability), 0, tracks.probability)
            score = probability.sum(1) / np.maximum(tracks.days, 1)
            _matrix(group, "cell_scores", score[:, None])
            hidden = file.create_group("#refs#")
            images, rows = [], []
            for number, field in enumerate(fields):
                height, width = field.frame_shape
                dense = np.zeros((len(field), height * width), np.float32)
                # A session at a time is dense.
                dense[:] = field.footprints.toarray()
                name = f"footprints_{number}"
                _matrix(hidden, name, dense.reshape(-1, height, width))
                images.append(hidden[name].ref)
                _matrix(hidden, f"rows_{number}", field.rows[:, None] + 1.0)
                rows.append(hidden[f"rows_{number}"].ref)
            _cells(group, "spatial_footprints", images)
            _cells(group, "rows", rows)
        with temporary.open("r+b") as stream:
            stream.write(HEADER.ljust(124) + VERSION)


def _index_map(tracks: Tracks, fields: Sequence[FootprintSet]) -> np.ndarray:
    result = np.zeros(tracks.cell.shape)
    for column, field in enumerate(fields):
        place = np.zeros(field.total + 1)
        place[field.rows] = np.arange(len(field)) + 1
        result[:, column] = place[tracks.cell[:, column]]  # the last entry is what -1 finds
    return result


def _matrix(group: h5py.Group, name: str, values: np.ndarray) -> None:
    """A MATLAB array: HDF5 sees its axes reversed."""
    kind = "single" if values.dtype == np.float32 else "double"
    turned = np.ascontiguousarray(values.T)
    node = group.create_dataset(name, data=turned, compression="gzip" if turned.size > 4096 else None)
    node.attrs["MATLAB_class"] = np.bytes_(kind)


def _cells(group: h5py.Group, name: str, references: list[h5py.Reference]) -> None:
    """A MATLAB cell array, one row."""
    node = group.create_dataset(name, (len(references), 1), h5py.ref_dtype)
    for row, reference in enumerate(references):
        node[row, 0] = reference
    node.attrs["MATLAB_class"] = np.bytes_("cell")
