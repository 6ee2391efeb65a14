"""How many true cells of a simulated recording could be told at all?

    python experiments/benchmark/reachable.py SESSION.h5 ...

A true cell counts as told where its deconvolved trace has r > 0.8 with its calcium. Three answers:

- **photons**: footprints, motion and background are known, and nothing limits traces but the noise of the
  session's own pixels. The variance of a trace is what the Cramér-Rao bound allows where all true cells are
  regressed together; noise of it is added to the true calcium. No method has better traces;
- **foreground**: all true footprints, regressed at once on this project's foreground (its motion, its
  background, its scale);
- **found**: the cells that were accepted.

Beside each, the F1 of a method that finds these cells, no others, and nothing false. ``noise`` is the
foreground's noise of traces over the photons' (median of the cells that are seen). A cell's brightness is
told by regressing the foreground on its calcium; where it is too dim for that, by how bright such cells are
there. Cells may be found whose traces fall short of r > 0.8, so an F1 without traces can be higher.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import convolve, gaussian_filter, shift
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import footprint_centers
from calcium_lightning.io.session import Session
from calcium_lightning.localize import stages
from calcium_lightning.localize.activity import Activity
from calcium_lightning.localize.upscale import from_session
from calcium_lightning.metrics.matching import match_after_offset
from calcium_lightning.pipeline import extract_streamed

#: pixels within which a cell is a true one, as everywhere in the benchmark
RADIUS = 6.0
#: a trace is told with this correlation; a brightness, with so many standard errors
TOLD, SURE = 0.8, 5.0
#: frames that are looked at for the noise, and for what moves out of sight
NOISE_FRAMES, MOTION_FRAMES = 60, 20
#: second differences along both axes: blind to what is smooth, whatever moves; variance 36 of white noise
LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
#: the noise's variance changes slowly over the field, pixels
SMOOTH = 6.0


@dataclass(frozen=True)
class Reached:
    """Correlation of each true cell's trace with its calcium, (K,) each.

    Attributes
    ----------
    photons, foreground, found : ndarray
        As the module tells them.
    noise : float
        Of the foreground's traces over the photons', median.
    """

    photons: np.ndarray
    foreground: np.ndarray
    found: np.ndarray
    noise: float


def correlations(traces: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Pearson's of rows, 0 where one is constant."""
    a, b = (values - values.mean(1, keepdims=True) for values in (traces, true))
    norm = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return np.where(norm > 0, (a * b).sum(1) / np.maximum(norm, 1e-12), 0.0)


def moved(footprints: csr_matrix, shape: tuple[int, int], offset: np.ndarray) -> csr_matrix:
    """Footprints moved by ``offset`` (2,), pixels; nothing below a hundredth of the peak."""
    images = footprints.toarray().reshape(-1, *shape)
    images = shift(images, (0.0, *offset), order=1, mode="nearest")
    return csr_matrix(np.where(images < 0.01, 0, images).reshape(footprints.shape).astype(np.float32))


def pixel_variance(session: Session) -> np.ndarray:
    """Variance of the noise of pixels, (H, W), told from neighbouring pixels of single frames."""
    index = np.unique(np.linspace(0, session.n_frames - 1, NOISE_FRAMES).astype(int))
    rough = [convolve(session.frames(i, i + 1)[0].astype(np.float32), LAPLACIAN) ** 2 / 36 for i in index]
    variance: np.ndarray = gaussian_filter(np.mean(rough, 0), SMOOTH)
    return np.maximum(variance, 1e-6)


def least_noise(footprints: csr_matrix, shifts: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Least standard deviation of each trace's noise where all true cells are regressed together, (K,)."""
    height, width = variance.shape
    index = np.unique(np.linspace(0, len(shifts) - 1, MOTION_FRAMES).astype(int))
    information = np.zeros((footprints.shape[0],) * 2)
    y, x = np.mgrid[:height, :width]
    for dy, dx in np.round(shifts[index]).astype(int):
        inside = (y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
        there = variance[np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)]
        weight = (inside / there).reshape(1, -1)
        information += (footprints.multiply(weight) @ footprints.T).toarray() / len(index)
    ridge = 1e-9 * np.trace(information) / len(information)
    spread: np.ndarray = np.sqrt(np.diag(np.linalg.inv(information + ridge * np.eye(len(information)))))
    return spread


def brightness(
    calcium: np.ndarray, amplitude: np.ndarray, centers: np.ndarray, traces: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """Frames' units per unit of calcium of each cell, (K,): regressed, or as such cells have it there."""
    level = calcium - calcium.mean(1, keepdims=True)
    energy = np.maximum(np.square(level).sum(1), 1e-12)
    slope, error = (traces * level).sum(1) / energy, noise / np.sqrt(energy)
    unit = amplitude / np.maximum(calcium.max(1), 1e-12)
    sure = slope > SURE * error
    y, x = ((centers - centers.mean(0)) / np.maximum(np.ptp(centers, axis=0), 1e-9)).T
    basis = np.stack([np.ones_like(y), y, x, y * y, x * x, y * x], 1)
    share, weight = slope[sure] / unit[sure], np.ones(int(sure.sum()))
    for _ in range(5):  # robustly: some cells lie under vessels
        fitted = np.linalg.lstsq(basis[sure] * weight[:, None], share * weight, rcond=None)[0]
        rest = np.abs(share - basis[sure] @ fitted)
        weight = 1 / np.sqrt(1 + np.square(rest / max(1.5 * np.median(rest), 1e-9)))
    return np.where(sure, slope, np.maximum(basis @ fitted, 0) * unit)


def reached(path: Path, seed: int = 0) -> Reached:
    """Measure one session."""
    session = Session(path)
    truth, shape = session.truth, session.shape[1:]
    if truth is None or truth.footprints is None or truth.traces is None or truth.amplitude is None:
        raise SystemExit(f"{path}: no true footprints, traces and brightness")
    centers, calcium = footprint_centers(truth.footprints, shape), np.asarray(truth.traces)
    with extract_streamed(session) as extraction:
        cells, prepared = extraction.cells, extraction.prepared
        rows = np.flatnonzero(cells.accepted)
        match, offset = match_after_offset(cells.centers[rows], centers, RADIUS)
        found = np.zeros(len(centers))
        own = np.stack([cells.denoised[slice(row, row + 1)][0] for row in rows[match.first]])
        found[match.second] = correlations(own, calcium[match.second])
        movie, _ = stages.foreground(prepared)
        here = from_session(moved(truth.footprints, shape, -offset), prepared.scale)
        told = stages.activity(stages.traces(movie, here, prepared), prepared.fps)
    shifts = np.zeros((1, 2)) if truth.shifts is None else truth.shifts
    least = least_noise(truth.footprints, shifts, pixel_variance(session))
    unit = brightness(calcium, np.asarray(truth.amplitude), centers, told.traces, told.noise)
    noise = least[:, None] * np.random.default_rng(seed).standard_normal(calcium.shape)
    ideal: Activity = stages.activity((unit[:, None] * calcium + noise).astype(np.float32), prepared.fps)
    seen = told.denoised.max(1) > SURE * told.noise
    return Reached(
        correlations(ideal.denoised, calcium),
        correlations(told.denoised, calcium),
        found,
        float(np.median(told.noise[seen] / least[seen])),
    )


def main() -> None:
    """Measure the sessions that are given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sessions", nargs="+", type=Path)
    print("| session | true | photons: told (F1) | foreground | found | noise |")
    print("| --- " * 6 + "|")
    for path in parser.parse_args().sessions:
        result = reached(path)
        count = len(result.photons)
        told = [int((r > TOLD).sum()) for r in (result.photons, result.foreground, result.found)]
        columns = " | ".join(f"{number} ({2 * number / (number + count):.3f})" for number in told)
        print(f"| {path.stem} | {count} | {columns} | {result.noise:.2f} |", flush=True)


if __name__ == "__main__":
    main()
