"""Write what CaImAn saved as a cells file, for the benchmark.

    python caiman_cells.py RESULTS.hdf5 SESSION.h5 CELLS.h5

RESULTS is what ``cnmf.save("RESULTS.hdf5")`` wrote of a run on the session's frames, all of them and at their
own size. The adapter needs no CaImAn: its file is HDF5 with the footprints as a sparse matrix of (pixels,
cells), the pixels in Fortran order. Cells that its quality tests rejected (not in ``idx_components``) are
written as not accepted. The file doesn't hold the motion.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import h5py
import numpy as np
from cells_file import FoundCells, recording_of, write
from scipy.sparse import csc_matrix, csr_matrix


def read(results: Path, session: Path) -> FoundCells:
    """CaImAn's estimates in C order, traces in units of the frames at the peak pixel.

    Raises
    ------
    SystemExit
        If it isn't CaImAn's file, or isn't of this session.
    """
    (length, height, width), _, _ = recording_of(session)
    with h5py.File(results) as file:
        estimates = file.get("estimates")
        if not isinstance(estimates, h5py.Group) or "A" not in estimates or "C" not in estimates:
            sys.exit(f"{results}: no /estimates/A and C; save the fitted model with cnmf.save(FILE.hdf5)")
        parts = estimates["A"]
        shape = tuple(int(n) for n in parts["shape"][()])
        by_cell = csc_matrix((parts["data"][()], parts["indices"][()], parts["indptr"][()]), shape)
        count = shape[1]
        dims = _array(file.get("dims"))
        calcium, spikes, noise, chosen = (
            _array(estimates.get(name)) for name in ("C", "S", "YrA", "idx_components")
        )
    if dims is not None and tuple(dims.tolist()) != (height, width):
        seen = tuple(dims.tolist())
        sys.exit(f"{results}: of frames of {seen} pixels; those of {session} have {height, width}")
    if shape[0] != height * width or calcium is None or calcium.shape != (count, length):
        sys.exit(
            f"{results}: {shape[0]} pixels and traces of {np.shape(calcium)}; {session} has "
            f"{length} frames of {height, width}, all of which must be analysed at their own size"
        )
    peaks = np.ravel(by_cell.max(axis=0).toarray()) if count else np.zeros(0)
    scale = peaks[:, None]
    accepted = np.zeros(count, bool)
    accepted[slice(None) if chosen is None else chosen.astype(int)] = True
    return FoundCells(
        footprints=c_order(by_cell, height, width),
        traces=scale * (calcium + (0 if noise is None else noise)),
        denoised=scale * calcium,
        spikes=scale * (np.zeros_like(calcium) if spikes is None else spikes),
        accepted=accepted,
    )


def c_order(by_cell: csc_matrix, height: int, width: int) -> csr_matrix:
    """Footprints (pixels in Fortran order, K) as (K, pixels in C order)."""
    x, y = np.divmod(by_cell.indices, height)
    count = by_cell.shape[1]
    return csr_matrix((by_cell.data, y * width + x, by_cell.indptr), shape=(count, height * width))


def _array(node: h5py.Dataset | None) -> np.ndarray | None:
    """A dataset; None where there is none, or CaImAn's text for none."""
    if not isinstance(node, h5py.Dataset) or node.dtype.kind not in "fiub":
        return None
    return np.asarray(node[()])


def main() -> None:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("session", type=Path)
    parser.add_argument("cells", type=Path)
    arguments = parser.parse_args()
    write(arguments.cells, read(arguments.results, arguments.session), arguments.session, "caiman")


if __name__ == "__main__":
    main()
