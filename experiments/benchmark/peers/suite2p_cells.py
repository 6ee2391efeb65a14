"""Run Suite2p on a session file and write what it found as a cells file, for the benchmark.

    PEER_ENVIRONMENT/bin/python suite2p_cells.py SESSION.h5 CELLS.h5 [--scratch FOLDER]

Runs in an environment of its own (``pip install suite2p oasis-deconv h5py``): Suite2p is GPL and no part of
this project imports it. Its documented one-photon settings (smooth_sigma 4, spatial_taper 10 for the
registration; none where the session is motion corrected already, rigid only where the field isn't larger
than one of its blocks), its neuropil correction, its iscell classifier, and OASIS on the corrected traces.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from cells_file import FoundCells, recording_of, write
from scipy.sparse import csr_matrix


def run(session: Path, scratch: Path) -> FoundCells:
    """Suite2p from raw frames to traces, and OASIS."""
    import suite2p

    (length, height, width), fps, still = recording_of(session)
    settings = suite2p.default_settings()
    settings.update(fs=fps, torch_device="cpu")
    settings["run"].update(do_regmetrics=False, do_registration=int(not still))
    registration = settings["registration"]
    registration.update(smooth_sigma=4.0, spatial_taper=10.0)
    if min(height, width) <= min(registration["block_size"]):  # it fails on a field of a single block
        registration["nonrigid"] = False
    database = {
        "data_path": [str(session.parent)],
        "file_list": [session.name],
        "input_format": "h5",
        "h5py_key": "frames",
        "save_path0": str(scratch),
    }
    suite2p.run_s2p(db=database, settings=settings)
    plane = scratch / "suite2p" / "plane0"
    cells = np.load(plane / "stat.npy", allow_pickle=True)  # this run's own file
    fluorescence, neuropil = np.load(plane / "F.npy"), np.load(plane / "Fneu.npy")
    traces = fluorescence - settings["extraction"]["neuropil_coefficient"] * neuropil
    denoised, spikes = deconvolve(traces)
    accepted = np.load(plane / "iscell.npy")[:, 0] > 0
    motion = np.zeros((length, 2)) if still else shifts(plane)
    return FoundCells(footprints(cells, height, width), traces, denoised, spikes, accepted, motion)


def footprints(cells: np.ndarray, height: int, width: int) -> csr_matrix:
    """The weights of each cell's pixels, (K, H*W)."""
    rows = np.repeat(np.arange(len(cells)), [len(cell["lam"]) for cell in cells])
    pixels = np.concatenate([cell["ypix"] * width + cell["xpix"] for cell in cells])
    weights = np.concatenate([cell["lam"] for cell in cells])
    return csr_matrix((weights, (rows, pixels)), shape=(len(cells), height * width))


def shifts(plane: Path) -> np.ndarray:
    """The motion that it removed, (T, 2): the whole field's and, where it has blocks, the mean of theirs."""
    moved = np.load(plane / "reg_outputs.npy", allow_pickle=True).item()
    motion = np.stack([moved["yoff"], moved["xoff"]], axis=1).astype(np.float64)
    if moved.get("yoff1") is not None:
        motion += np.stack([moved["yoff1"].mean(1), moved["xoff1"].mean(1)], axis=1)
    return motion


def deconvolve(traces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """OASIS with a kernel per cell, as its documentation proposes: denoised traces and spikes."""
    from oasis.functions import deconvolve

    denoised, spikes = np.zeros_like(traces), np.zeros_like(traces)
    for row, trace in enumerate(traces.astype(np.float64)):
        try:
            denoised[row], spikes[row] = deconvolve(trace, penalty=1)[:2]
        except Exception:  # a trace that OASIS can't fit stays as it is
            denoised[row] = trace
    return denoised, spikes


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("session", type=Path)
    parser.add_argument("cells", type=Path)
    parser.add_argument("--scratch", type=Path, help="folder of Suite2p's own files")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(dir=arguments.scratch, prefix="suite2p-"))
    try:
        write(arguments.cells, run(arguments.session.resolve(), scratch), arguments.session, "suite2p")
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
