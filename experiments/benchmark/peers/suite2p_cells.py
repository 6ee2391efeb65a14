"""Run Suite2p on a session file and write what it found as a cells file, for the benchmark.

    PEER_ENVIRONMENT/bin/python suite2p_cells.py SESSION.h5 CELLS.h5 [--scratch FOLDER]

Runs in an environment of its own (``pip install suite2p oasis-deconv h5py``): Suite2p is GPL and no part of
this project imports it. Its documented one-photon settings (smooth_sigma 4, spatial_taper 10 for the
registration), its neuropil correction, its iscell classifier, and OASIS on the corrected traces.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np


def run(session: Path, scratch: Path) -> dict[str, np.ndarray]:
    """Suite2p from raw frames to traces."""
    import suite2p

    with h5py.File(session) as file:
        fps = float(file["frames"].attrs["fps"])
    settings = suite2p.default_settings()
    settings.update(fs=fps, torch_device="cpu")
    settings["run"]["do_regmetrics"] = False
    settings["registration"].update(smooth_sigma=4.0, spatial_taper=10.0)
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
    return {
        "stat": cells,
        "accepted": np.load(plane / "iscell.npy")[:, 0] > 0,
        "traces": fluorescence - settings["extraction"]["neuropil_coefficient"] * neuropil,
    }


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


def write(target: Path, found: dict[str, np.ndarray], session: Path) -> None:
    """A cells file with what Suite2p knows; the rest is zero."""
    with h5py.File(session) as file:
        length, *field = file["frames"].shape
        fps = float(file["frames"].attrs["fps"])
    count = len(found["stat"])
    data, indices, indptr = [], [], [0]
    centers = np.zeros((count, 2), np.float32)
    for row, cell in enumerate(found["stat"]):
        weight = cell["lam"] / cell["lam"].max()
        bright = weight > 0.3
        centers[row] = [np.average(cell[axis][bright], weights=weight[bright]) for axis in ("ypix", "xpix")]
        pixel = cell["ypix"] * field[1] + cell["xpix"]
        order = np.argsort(pixel)
        indices.append(pixel[order])
        data.append(weight[order])
        indptr.append(indptr[-1] + len(order))
    denoised, spikes = deconvolve(found["traces"])
    with h5py.File(target, "w") as file:
        file.attrs.update(format="calcium-lightning-cells", version=1, session=str(session), fps=fps)
        file.attrs.update(kind="raw", config="", package_version="suite2p", session_sha256="")
        for name, values in (("traces", found["traces"]), ("denoised", denoised), ("spikes", spikes)):
            file[name] = values.astype(np.float32)
        file["centers"], file["center_std"] = centers, np.zeros_like(centers)
        file["accepted"] = found["accepted"]
        file["shifts"] = np.zeros((length, 2), np.float32)
        file["baseline"] = np.zeros(count, np.float32)
        file["timestamps"] = np.arange(length) / fps
        file["quality/score"] = found["accepted"].astype(np.float32)
        for name in ("mean", "max"):
            file[f"images/{name}"] = np.zeros(field, np.float32)
        for name in ("frame", "y", "x", "amplitude", "y_std", "x_std", "cell"):
            file[f"localizations/{name}"] = np.zeros(0, np.int32 if name in ("frame", "cell") else np.float32)
        footprints = file.create_group("footprints")
        footprints.attrs["shape"] = (count, *field)
        footprints["data"] = np.concatenate([np.zeros(0), *data]).astype(np.float32)
        footprints["indices"] = np.concatenate([np.zeros(0, int), *indices])
        footprints["indptr"] = np.array(indptr)


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
        write(arguments.cells, run(arguments.session.resolve(), scratch), arguments.session)
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
