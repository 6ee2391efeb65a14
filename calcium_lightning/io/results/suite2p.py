"""Results of Suite2p: a folder with ``stat.npy``, ``F.npy`` and their neighbours.

The trace is fluorescence less Suite2p's share of the neuropil, its median is the baseline. Pickles are read
without running what they might run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.npy import read_array
from calcium_lightning.io.readers.suite2p import read_object, read_ops
from calcium_lightning.io.results.build import Footprints, cells_of
from calcium_lightning.io.stored import check_frame

#: where Suite2p puts a plane, below the folder that it was given
PLACES = (".", "plane0", "suite2p/plane0")
#: its share of the neuropil, where its settings don't say
NEUROPIL = 0.7


def suits(path: Path) -> bool:
    """``stat.npy``, or a folder that holds it."""
    return _folder(path) is not None


def footprints(path: Path) -> Footprints:
    """Where a plane's cells are; traces needn't be there.

    Raises
    ------
    InputError
        If a file is missing, or the files don't fit each other.
    """
    folder = _folder(path)
    assert folder is not None
    if folder.name == "plane0" and (more := sorted(folder.parent.glob("plane[1-9]*"))) and folder != path:
        raise InputError(f"{path}: {len(more) + 1} planes; give one of them, as in {folder}")
    ops = read_ops(folder / "ops.npy")
    try:
        height, width = int(ops["Ly"]), int(ops["Lx"])
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"{folder / 'ops.npy'}: doesn't say the frames' size (Ly, Lx)") from error
    check_frame(str(folder / "ops.npy"), height, width)
    matrix = _footprints(folder / "stat.npy", height, width)
    decided = _decided(folder)
    return Footprints(matrix, (height, width), None if decided is None else decided[:, 0] > 0)


def read(path: Path) -> Cells:
    """The cells of a plane.

    Raises
    ------
    InputError
        As :func:`footprints`.
    """
    folder, where = _folder(path), footprints(path)
    assert folder is not None
    ops, decided = read_ops(folder / "ops.npy"), _decided(folder)
    fluorescence = _numbers(folder / "F.npy")
    neuropil = _numbers(folder / "Fneu.npy") if (folder / "Fneu.npy").is_file() else None
    if neuropil is not None and neuropil.shape == fluorescence.shape:
        share = ops.get("neucoeff", NEUROPIL)
        fluorescence = fluorescence - np.float32(share) * neuropil
    baseline = np.median(fluorescence, axis=1) if fluorescence.size else np.zeros(len(fluorescence))
    moved = [np.atleast_1d(ops.get(name, 0)) for name in ("yoff", "xoff")]
    shifts = np.stack(moved, 1) if all(part.shape == fluorescence.shape[1:] for part in moved) else None
    rate = ops.get("fs")
    # the footprint weighs pixels in an average: the trace is of the cell as a whole, not of its peak
    return cells_of(
        path,
        "Suite2p",
        where,
        fluorescence - baseline[:, None],
        spikes=_numbers(folder / "spks.npy") if (folder / "spks.npy").is_file() else None,
        baseline=baseline,
        quality={} if decided is None or decided.shape[1] < 2 else {"score": decided[:, 1]},
        fps=float(rate) if isinstance(rate, int | float | np.number) and rate > 0 else None,
        shifts=shifts,
        mean_image=ops.get("meanImg"),
        max_image=_placed(ops, *where.frame_shape),
    )


def _decided(folder: Path) -> np.ndarray | None:
    """``iscell.npy``: what counts, and mostly how probable that was (K, 1 or 2); None without it."""
    path = folder / "iscell.npy"
    if not path.is_file():
        return None
    decided = _numbers(path, (1, 2))
    return decided[:, None] if decided.ndim == 1 else decided


def _folder(path: Path) -> Path | None:
    """The folder of a plane."""
    if path.name == "stat.npy" and path.is_file():
        return path.parent
    if not path.is_dir():
        return None
    return next((path / place for place in PLACES if (path / place / "stat.npy").is_file()), None)


def _footprints(path: Path, height: int, width: int) -> csr_matrix:
    stat = read_object(path)
    rows, pixels, weights = [], [], []
    try:
        for k, one in enumerate(stat):
            y, x, weight = (np.asarray(one[name]).ravel() for name in ("ypix", "xpix", "lam"))
            if not (y.min(initial=0) >= 0 and y.max(initial=0) < height and x.max(initial=0) < width):
                raise InputError(f"{path}: cell {k} has pixels outside the field of {height} x {width}")
            rows.append(np.full(len(y), k))
            pixels.append(y * width + x)
            weights.append(weight / max(float(weight.max(initial=0)), 1e-9))
        count = len(stat)
        joined = [np.concatenate(part) if part else np.zeros(0) for part in (weights, rows, pixels)]
        return csr_matrix(
            (joined[0], (joined[1].astype(int), joined[2].astype(int))), (count, height * width)
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not Suite2p's footprints ({error})") from error


def _numbers(path: Path, dimensions: tuple[int, ...] = (2,)) -> np.ndarray:
    """An array of numbers, a row for each cell."""
    values = read_array(path)
    if values.dtype.kind not in "fiub":
        raise InputError(f"{path}: no array of numbers")
    if values.ndim not in dimensions or 0 in values.shape[1:]:
        raise InputError(f"{path}: has shape {values.shape}, a row for each cell is wanted")
    return values


def _placed(ops: Mapping[str, Any], height: int, width: int) -> np.ndarray | None:
    """The picture of maxima, which Suite2p crops to where all frames are valid, in the whole field."""
    image = ops.get("max_proj")
    try:
        (top, bottom), (left, right) = ops["yrange"], ops["xrange"]
        whole = np.zeros((height, width), np.float32)
        whole[top:bottom, left:right] = image
    except (KeyError, TypeError, ValueError):
        return None
    return whole
