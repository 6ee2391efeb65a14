"""Cells as a folder that Suite2p's window opens, and everything that reads its output.

``stat.npy`` (pixels of each footprint), ``F.npy``, ``Fneu.npy``, ``spks.npy`` (cells, frames), ``iscell.npy``
(decision, probability) and ``ops.npy`` (field, rate, pictures, motion). Traces are demixed already: ``F`` is
the trace over its baseline, and the neuropil that Suite2p would subtract is nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.gaps import without_gaps
from calcium_lightning.io.writers.folder import export_folder
from calcium_lightning.io.writers.measures import footprint_shapes, patch_of
from calcium_lightning.io.writers.table import Export

FILES = ("stat.npy", "F.npy", "Fneu.npy", "spks.npy", "iscell.npy", "ops.npy")
#: frames of a movie that Suite2p's window averages for its pictures of correlation, seconds of decay
TAU = 1.0


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write the folder, atomically.

    Raises
    ------
    InputError
        If the target exists or holds other files, or there are no cells.
    """
    if not len(cells):
        raise InputError(f"{export.source or target}: no cells to export")
    whole = without_gaps(cells)
    fluorescence = (whole.traces + np.maximum(whole.baseline, 0)[:, None]).astype(np.float32)
    stat = _stat(whole, export.numbers(cells))
    score = whole.quality.get("score", np.ones(len(whole)))
    decided = np.stack([np.asarray(whole.accepted, float), np.nan_to_num(score)], 1)
    with export_folder(target, FILES, export.overwrite) as folder:
        np.save(folder / "stat.npy", np.array(stat, object))
        np.save(folder / "F.npy", fluorescence)
        np.save(folder / "Fneu.npy", np.zeros_like(fluorescence))
        np.save(folder / "spks.npy", np.asarray(whole.spikes, np.float32))
        np.save(folder / "iscell.npy", decided)
        np.save(folder / "ops.npy", np.array(_ops(whole, stat, target)))


def _stat(cells: Cells, numbers: np.ndarray) -> list[dict[str, Any]]:
    """Of each cell its pixels, their weights, and what Suite2p's window draws and sorts by."""
    covered = np.asarray((cells.footprints > 0).sum(0)).ravel()
    width = cells.frame_shape[1]
    shapes = footprint_shapes(cells)
    counts = np.diff(cells.footprints.indptr)
    usual = max(float(np.mean(counts)), 1.0)
    deviation = cells.traces.std(1)
    skew = ((cells.traces - cells.traces.mean(1, keepdims=True)) ** 3).mean(1) / np.maximum(
        deviation, 1e-9
    ) ** 3
    found = []
    for k in range(len(cells)):
        y, x, weights = patch_of(cells, k)
        major, minor = shapes["major_axis_px"][k], shapes["minor_axis_px"][k]
        middle = np.nan_to_num(cells.centers[k])
        found.append(
            {
                "ypix": y.astype(np.int32),
                "xpix": x.astype(np.int32),
                "lam": weights.astype(np.float32),
                "overlap": covered[y * width + x] > 1,
                "med": [round(float(middle[0])), round(float(middle[1]))],
                "npix": len(y),
                "npix_norm": len(y) / usual,
                "radius": float(np.nan_to_num(shapes["diameter_px"][k] / 2, nan=1.0)),
                "aspect_ratio": float(np.nan_to_num(2 * major / max(major + minor, 1e-9), nan=1.0)),
                "compact": float(np.nan_to_num(1 / max(shapes["solidity"][k], 1e-9), nan=1.0)),
                "footprint": 0.0,
                "std": float(deviation[k]),
                "skew": float(skew[k]),
                "chan2_prob": -1.0,
                "inmerge": 0,
                "cell_id": int(numbers[k]),
            }
        )
    return found


def _ops(cells: Cells, stat: list[dict[str, Any]], target: Path) -> dict[str, Any]:
    """What Suite2p's window wants to know of the recording."""
    height, width = cells.frame_shape
    change = cells.max_image - cells.mean_image
    moved = np.rint(cells.shifts).astype(np.int32)
    diameter = 2 * float(np.median([one["radius"] for one in stat]))
    return {
        "Ly": height,
        "Lx": width,
        "yrange": [0, height],
        "xrange": [0, width],
        "nframes": cells.n_frames,
        "fs": float(cells.fps),
        "tau": TAU,
        "nplanes": 1,
        "nchannels": 1,
        "functional_chan": 1,
        "diameter": [diameter, diameter],
        "aspect": 1.0,
        "chan2_thres": 0.6,
        "neucoeff": 0.0,
        "meanImg": cells.mean_image,
        "meanImgE": cells.mean_image,
        "max_proj": cells.max_image,
        "Vcorr": change,
        "yoff": moved[:, 0],
        "xoff": moved[:, 1],
        "yoff_subpixel": cells.shifts[:, 0],
        "xoff_subpixel": cells.shifts[:, 1],
        "badframes": np.zeros(cells.n_frames, bool) if cells.bad_frames is None else cells.bad_frames,
        "save_path": str(target.resolve()),
        "reg_file": str(target.resolve() / "data.bin"),
        "data_path": [cells.session],
        "pixel_size_um": cells.pixel_size_um,
        "made_by": f"calcium-lightning {cells.package_version}",
    }
