"""Cells as CaImAn's results: an HDF5 file that its ``load_CNMF`` reads.

CaImAn flattens pixels column by column (Fortran's order), names traces ``C`` (denoised) and residuals ``YrA``
(so that ``C + YrA`` is the demixed trace), and ``A @ C`` is the foreground in the units of the frames. There
is no background in it.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from scipy.sparse import csc_matrix

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.events import residual_noise
from calcium_lightning.core.gaps import without_gaps
from calcium_lightning.io.hdf5_output import create_file
from calcium_lightning.io.writers.measures import dff
from calcium_lightning.io.writers.table import Export

#: how CaImAn writes that there is nothing
NOTHING = np.bytes_("NoneType")
#: of its ``Estimates``, what isn't ours to say
UNKNOWN = ("b", "f", "R", "W", "b0", "sn", "bl", "c1", "lam", "r_values", "cnn_preds", "discarded_components")


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write the results, atomically.

    Raises
    ------
    InputError
        If the target exists, or there are no cells.
    """
    if not len(cells):
        raise InputError(f"{export.source or target}: no cells to export")
    whole = without_gaps(cells)
    accepted = np.asarray(whole.accepted, bool)
    values = {
        "C": np.asarray(whole.denoised, np.float64),
        "S": np.asarray(whole.spikes, np.float64),
        "YrA": np.asarray(whole.traces - whole.denoised, np.float64),
        "F_dff": np.asarray(dff(whole), np.float64),
        "neurons_sn": residual_noise(whole.traces, whole.denoised),
        "center": np.asarray(whole.centers, np.float64),
        "dims": np.array(whole.frame_shape),
        "idx_components": np.flatnonzero(accepted),
        "idx_components_bad": np.flatnonzero(~accepted),
        "SNR_comp": np.asarray(whole.quality.get("snr", np.full(len(whole), np.nan)), np.float64),
        "Cn": whole.max_image - whole.mean_image,
        "shifts": whole.shifts,
        "nr": len(whole),
        "cell_id": export.numbers(cells),
    }
    with atomic_path(target, export.overwrite) as temporary, create_file(temporary) as file:
        estimates = file.create_group("estimates")
        _sparse(estimates.create_group("A"), column_major(whole))
        for name, value in values.items():
            estimates[name] = value
        for name in UNKNOWN:
            estimates[name] = NOTHING
        file["dims"] = np.array(whole.frame_shape)
        file["params/data/dims"] = np.array(whole.frame_shape)
        file["params/data/fr"] = float(whole.fps)
        file["dview"] = NOTHING
        file["mmap_file"] = NOTHING
        file.attrs["made_by"] = f"calcium-lightning {whole.package_version}"


def column_major(cells: Cells) -> csc_matrix:
    """Footprints as columns of a (H*W, K) matrix whose pixels go down the columns of the picture."""
    height, width = cells.frame_shape
    matrix = cells.footprints.tocoo()
    y, x = np.divmod(matrix.col, width)
    return csc_matrix((matrix.data, (x * height + y, matrix.row)), (height * width, len(cells)))


def _sparse(group: h5py.Group, matrix: csc_matrix) -> None:
    matrix.sort_indices()
    for name in ("data", "indices", "indptr"):
        group[name] = getattr(matrix, name)
    group["shape"] = np.array(matrix.shape)
