"""Results of CaImAn: ``estimates`` in an HDF5 file, as ``cnm.save`` writes them.

``A`` is sparse by columns, pixels go down the columns of the picture; ``C + YrA`` is the demixed trace.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.sparse import csc_matrix, csr_matrix

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.results.build import Footprints, cells_of, numbers
from calcium_lightning.io.sparse import checked
from calcium_lightning.io.stored import open_results, open_stored, whole

#: CaImAn's name of a quality -> ours
QUALITY = {"SNR_comp": "snr", "r_values": "r_values", "cnn_preds": "cnn"}


def suits(path: Path) -> bool:
    """An HDF5 file with ``estimates/A``."""
    if not path.is_file() or path.suffix.lower() not in (".hdf5", ".h5"):
        return False
    try:
        with open_stored(path) as file:
            return isinstance(file.get("estimates/A"), h5py.Group)
    except (OSError, RuntimeError):
        return False


def footprints(path: Path) -> Footprints:
    """Where CaImAn's cells are.

    Raises
    ------
    InputError
        If they are of a volume, or parts are missing.
    """
    with open_results(path) as file:
        estimates = file["estimates"]
        dims = _array(file, "dims", "estimates/dims", "params/data/dims")
        if dims is None or dims.size != 2:
            raise InputError(
                f"{path}: CaImAn's results of {dims} pixels; a field of two dimensions is wanted"
            )
        height, width = (int(size) for size in dims.ravel())
        parts = [_array(estimates, f"A/{name}") for name in ("data", "indices", "indptr", "shape")]
        kept = _array(estimates, "idx_components")
    if any(part is None for part in parts):
        raise InputError(f"{path}: CaImAn's results without footprints (estimates/A)")
    data, indices, indptr, shape = parts
    try:
        columns = checked(csc_matrix((data, indices, indptr), tuple(np.asarray(shape).ravel())), path)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: footprints (estimates/A) that don't fit together ({error})") from error
    count = columns.shape[1]
    if columns.shape[0] != height * width:
        raise InputError(f"{path}: footprints of {columns.shape[0]} pixels in a field of {height} x {width}")
    accepted = None if kept is None else np.isin(np.arange(count), kept)
    return Footprints(by_rows(columns, height, width), (height, width), accepted)


def read(path: Path) -> Cells:
    """The cells of CaImAn's results.

    Raises
    ------
    InputError
        As :func:`footprints`.
    """
    where = footprints(path)
    count = where.matrix.shape[0]
    with open_results(path) as file:
        estimates = file["estimates"]
        denoised, rest = _array(estimates, "C"), _array(estimates, "YrA")
        traces = (
            denoised if denoised is None or rest is None or rest.shape != denoised.shape else denoised + rest
        )
        rate = _array(file, "params/data/fr")
        quality = {
            ours: values
            for theirs, ours in QUALITY.items()
            if (values := _array(estimates, theirs)) is not None and values.shape == (count,)
        }
        return cells_of(
            path,
            "CaImAn",
            where,
            traces,
            denoised=denoised,
            spikes=_array(estimates, "S"),
            quality=quality,
            fps=None if rate is None else float(numbers(path, "frame rate", rate).ravel()[0]),
            max_image=_array(estimates, "Cn"),
        )


def by_rows(columns: Any, height: int, width: int) -> csr_matrix:
    """Footprints (H*W, K) with pixels down the columns of the picture, as rows of pixels along its rows."""
    matrix = csc_matrix(columns).tocoo()
    x, y = np.divmod(matrix.row, height)
    return csr_matrix((matrix.data, (matrix.col, y * width + x)), (matrix.shape[1], height * width))


def _array(group: h5py.Group, *names: str) -> np.ndarray | None:
    """The first dataset of numbers among some names; None where there is none (CaImAn writes NoneType)."""
    for name in names:
        node = group.get(name)
        if isinstance(node, h5py.Dataset) and node.dtype.kind in "fiub":
            return np.asarray(whole(node))
    return None
