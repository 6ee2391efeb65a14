"""A peer's result as a cells file. Runs in the peer's environment: h5py, NumPy and SciPy, nothing of ours."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from scipy.sparse import csr_matrix

#: a centre is the centroid of the part of a footprint above this share of its peak
CENTER_LEVEL = 0.3


@dataclass(frozen=True)
class FoundCells:
    """What a peer knows of K cells in T frames of (H, W) pixels.

    Attributes
    ----------
    footprints : csr_matrix (K, H*W)
        In C order, not negative, of any scale.
    traces, denoised, spikes : ndarray (K, T)
        Fluorescence, the fitted calcium trace and the deconvolved activity, in any unit.
    accepted : ndarray, bool (K,)
        Passed the peer's own quality tests.
    shifts : ndarray (T, 2) or None
        The motion that it removed, sign as in the session; None where it doesn't tell.
    """

    footprints: csr_matrix
    traces: np.ndarray
    denoised: np.ndarray
    spikes: np.ndarray
    accepted: np.ndarray
    shifts: np.ndarray | None = None


def recording_of(session: Path) -> tuple[tuple[int, int, int], float, bool]:
    """(T, H, W), frames per second and whether the motion is corrected, of a session file."""
    with h5py.File(session) as file:
        frames = file["frames"]
        length, height, width = (int(n) for n in frames.shape)
        still = bool(frames.attrs.get("motion_corrected", False))
        return (length, height, width), float(frames.attrs["fps"]), still


def write(target: Path, found: FoundCells, session: Path, peer: str) -> None:
    """Write a cells file, to another name first; what no peer knows is zero, and an untold motion NaN."""
    (length, height, width), fps, _ = recording_of(session)
    footprints = _to_peak_one(found.footprints)
    count = footprints.shape[0]
    shifts = np.full((length, 2), np.nan) if found.shifts is None else found.shifts
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with h5py.File(temporary, "w") as file:
            file.attrs.update(format="calcium-lightning-cells", version=1, session=str(session), fps=fps)
            file.attrs.update(kind="raw", config="", package_version=peer, session_sha256="")
            for name in ("traces", "denoised", "spikes"):
                file[name] = getattr(found, name).astype(np.float32)
            file["centers"] = _centers(footprints, width).astype(np.float32)
            file["center_std"] = np.zeros((count, 2), np.float32)
            file["accepted"] = found.accepted.astype(bool)
            file["shifts"] = shifts.astype(np.float32)
            file["baseline"] = np.zeros(count, np.float32)
            file["timestamps"] = np.arange(length) / fps
            file["quality/score"] = found.accepted.astype(np.float32)
            for name in ("mean", "max"):
                file[f"images/{name}"] = np.zeros((height, width), np.float32)
            for name in ("frame", "y", "x", "amplitude", "y_std", "x_std", "cell"):
                kind = np.int32 if name in ("frame", "cell") else np.float32
                file[f"localizations/{name}"] = np.zeros(0, kind)
            group = file.create_group("footprints")
            group.attrs["shape"] = (count, height, width)
            for name in ("data", "indices", "indptr"):
                group[name] = getattr(footprints, name)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _to_peak_one(footprints: csr_matrix) -> csr_matrix:
    scaled = csr_matrix(footprints, dtype=np.float32, copy=True)
    scaled.sum_duplicates()
    peaks = np.ravel(scaled.max(axis=1).toarray()) if scaled.shape[0] else np.zeros(0)
    scaled.data /= np.repeat(np.where(peaks > 0, peaks, 1), np.diff(scaled.indptr))
    return scaled


def _centers(footprints: csr_matrix, width: int) -> np.ndarray:
    """(y, x) of each footprint, (K, 2); NaN for an empty one."""
    centers = np.full((footprints.shape[0], 2), np.nan)
    for row, center in enumerate(centers):
        part = slice(footprints.indptr[row], footprints.indptr[row + 1])
        weight, pixel = footprints.data[part], footprints.indices[part]
        bright = weight > CENTER_LEVEL
        if bright.any():
            center[:] = np.average(np.divmod(pixel[bright], width), axis=1, weights=weight[bright])
    return centers
