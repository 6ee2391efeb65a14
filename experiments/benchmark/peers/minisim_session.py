"""Simulate a Miniscope recording with minisim, for the benchmark: a session file with its truth.

    MINISIM_ENVIRONMENT/bin/python minisim_session.py ca1 101 SESSION.h5 [--seconds 60] [--fps 20]
        [--pixels 256] [--still] [--density 1] [--neuropil 1] [--light 1] [--busy 1] [--decay 0.5]

Runs in an environment of its own (``pip install minisim h5py``): minisim is GPL and no part of this project
imports it. A UCLA Miniscope V4 cropped to a square field, brain motion unless ``--still``; the truth holds
the cells that minisim calls detectable. It needs 32 bytes of memory for each pixel of each frame.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from minisim import BrainMotion, CellActivity, Recording, presets, simulate
from scipy.sparse import csr_matrix

#: share of its peak below which a footprint is cut off
LEAST = 0.01
#: what can be made more or less of
TIMES = {
    "density": "cells in a volume",
    "neuropil": "amplitude of the neuropil",
    "light": "photons",
    "busy": "how often cells become active",
}
#: minisim's own probability, frame by frame, that a quiet cell becomes active
USUAL_ONSET = CellActivity().p_quiescent_to_active


def record(options: argparse.Namespace) -> tuple[Recording, float]:
    """The recording, and the size of its pixels in micrometres."""
    scope = presets.miniscope_v4()
    side = {"n_px_height": options.pixels, "n_px_width": options.pixels}
    light = scope.photons_per_unit * options.light
    sensor = scope.image_sensor.model_copy(update=side)
    scope = scope.model_copy(update={"image_sensor": sensor, "photons_per_unit": light})
    spec = presets.build_spec(
        scope,
        tissue(getattr(presets, options.region)(), options),
        activity=CellActivity(p_quiescent_to_active=USUAL_ONSET * options.busy, tau_decay_s=options.decay),
        duration_s=options.seconds,
        fps=options.fps,
        seed=options.seed,
        extra_steps=[] if options.still else [BrainMotion()],
    )
    return simulate(spec), scope.pixel_size_um


def tissue(region: Any, options: argparse.Namespace) -> Any:
    """A region with more cells, or more neuropil, than usual."""
    density = region.population.density_per_mm3 * options.density
    amplitude = region.neuropil.amplitude * options.neuropil
    return region.model_copy(
        update={
            "population": region.population.model_copy(update={"density_per_mm3": density}),
            "neuropil": region.neuropil.model_copy(update={"amplitude": amplitude}),
        }
    )


def write(target: Path, recording: Recording, fps: float, pixel_size_um: float) -> str:
    """Write the session file, to another name first; gives what was written in words."""
    truth = recording.ground_truth
    cells = truth.detectable_subset()
    frames = np.asarray(recording.observed_movie)
    frames = frames.astype(np.uint8 if frames.max() < 256 else np.uint16)
    footprints = np.asarray(cells.A_observed, np.float32)
    peaks = footprints.max((1, 2))
    footprints = footprints / peaks[:, None, None]
    footprints[footprints < LEAST] = 0
    sparse = csr_matrix(footprints.reshape(len(footprints), -1))
    calcium = np.asarray(cells.C, np.float32)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with h5py.File(temporary, "w") as file:
            file.attrs.update(format="calcium-lightning-session", version=1)
            data = file.create_dataset(
                "frames", data=frames, chunks=(min(32, len(frames)), *frames.shape[1:])
            )
            data.attrs.update(fps=fps, pixel_size_um=pixel_size_um, kind="raw", motion_corrected=False)
            group = file.create_group("truth/footprints")
            group.attrs["shape"] = footprints.shape
            for name in ("data", "indices", "indptr"):
                group[name] = getattr(sparse, name)
            file["truth/traces"] = calcium
            file["truth/spikes"] = np.asarray(cells.S, np.float32)
            file["truth/amplitude"] = peaks * calcium.max(1)
            if truth.shifts is not None:
                file["truth/shifts"] = np.asarray(truth.shifts, np.float32)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return f"{target}: {frames.shape} {frames.dtype}, {len(footprints)} detectable cells of {truth.n_units}"


def main() -> None:
    """Read the command line and simulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("region", choices=["ca1", "cortex_l23"])
    parser.add_argument("seed", type=int)
    parser.add_argument("session", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fps", type=float, default=20.0, help="Hz")
    parser.add_argument("--pixels", type=int, default=256, help="along a side of the field")
    parser.add_argument("--still", action="store_true", help="without brain motion")
    for name, meaning in TIMES.items():
        parser.add_argument(f"--{name}", type=float, default=1.0, help=f"{meaning}, times the usual")
    parser.add_argument("--decay", type=float, default=0.5, help="of the calcium transient, seconds")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    recording, pixel_size_um = record(options)
    print(write(options.session, recording, options.fps, pixel_size_um))


if __name__ == "__main__":
    main()
