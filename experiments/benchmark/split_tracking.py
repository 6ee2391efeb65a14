"""A split test of tracking on any recording: its two halves, of which the second is moved, turned and bent.

    python experiments/benchmark/split_tracking.py SESSION.h5 [SESSION.h5 ...] [--drift 12 --bending 3]
        [--keep FOLDER]

Cells of each half are found on their own and tracked. How the second half lies is known, so it is told how
far off the alignment is, and how many of the tracked cells lie, by that, within half a diameter of each
other. Which cells are active in both halves nobody knows: the share of the smaller half that is tracked is a
lower bound of recall. A recording whose own halves lie apart (a registration that drifts) is off by that: the
shift that all cells are off by is told, what is left without it, and the halves' own shift by their brightest
pictures, which the cells have no part in. --keep writes the halves' cells there, and reads them from there
another time.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.registration import phase_cross_correlation

import calcium_lightning
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.io.cells_file import read_cells, write_cells
from calcium_lightning.simulation.days import DaysSettings
from calcium_lightning.simulation.displacement import Displacement

WHICH = ("first", "second")


def halves(path: Path, lies: Displacement, keep: Path | None) -> list[Cells]:
    """The cells of each half, the second half lying as it is told."""
    kept = [] if keep is None else [keep / f"{path.stem} {which} half.cells.h5" for which in WHICH]
    if kept and all(place.exists() for place in kept):
        return [read_cells(place) for place in kept]
    with calcium_lightning.Session(path) as session:
        half = session.n_frames // 2
        first, second = session.frames(0, half), session.frames(half, session.n_frames)
        told: dict[str, Any] = {
            "fps": session.fps,
            "kind": session.kind,
            "motion_corrected": session.motion_corrected,
        }
    size = first.shape[1:]
    axes = [np.arange(n, dtype=float) for n in size]
    at = lies.invert(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)).T
    moved = np.stack([map_coordinates(frame, at, order=1, mode="nearest").reshape(size) for frame in second])
    found = []
    for frames in (first, moved.astype(first.dtype)):
        found.append(calcium_lightning.extract(calcium_lightning.ArraySession(frames, **told)))
    for place, cells in zip(kept, found, strict=False):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_cells(place, cells)
    return found


def split(path: Path, days: DaysSettings, seed: int, rejected: bool, keep: Path | None) -> str:
    """One recording's line of the table."""
    with calcium_lightning.Session(path) as session:
        size = session.shape[1:]
    most = days.drift_px, days.rotation_deg, days.scale, days.bending_px
    lies = Displacement.draw(*most, size, np.random.default_rng(seed))
    found = halves(path, lies, keep)
    fields = [
        FootprintSet.of(cells, f"{which} half", rejected) for cells, which in zip(found, WHICH, strict=True)
    ]
    try:
        tracks = calcium_lightning.track(fields)
    except InputError as error:
        return f"| {path.stem} | {len(fields[0])}, {len(fields[1])} | {error} |"
    maps = [item.transform or FieldTransform.identity() for item in tracks.sessions]
    places = [field.centers for field in fields]
    index = [dict(zip(field.rows.tolist(), range(len(field)), strict=True)) for field in fields]
    both = tracks.cell[(tracks.cell >= 0).all(1)]
    one = np.array([places[0][index[0][row]] for row in both[:, 0]]).reshape(-1, 2)
    other = np.array([places[1][index[1][row]] for row in both[:, 1]]).reshape(-1, 2)
    apart = np.linalg.norm(one - lies.invert(other), axis=1)
    off = np.linalg.norm(maps[0].invert(maps[1].apply(other)) - lies.invert(other), axis=1)
    diameter = float(np.median([field.diameter for field in fields]))
    chance = _by_chance(places[0], lies.invert(places[1]), 0.5 * diameter)
    near = (apart < 0.5 * diameter).mean()
    told = tracks.expected_false / 2 / max(len(both), 1)
    counts = f"{len(fields[0])}, {len(fields[1])} | {len(both)}"
    wrong = maps[0].invert(maps[1].apply(other)) - lies.invert(other)
    rest = np.median(np.linalg.norm(wrong - np.median(wrong, 0), axis=1))
    all_, own = np.median(wrong, 0), drift(path, diameter)
    shifts = f"{all_[0]:+.1f}, {all_[1]:+.1f} | {own[0]:+.1f}, {own[1]:+.1f} | {rest:.2f} px"
    shares = f"{near:.3f} | {chance:.3f} | {told:.3f}"
    return f"| {path.stem} | {counts} | {np.median(off):.2f} px | {shifts} | {shares} |"


def drift(path: Path, diameter: float) -> np.ndarray:
    """How far the second half lies back from the first, (dy, dx), pixels, by what is bright in either."""
    with calcium_lightning.Session(path) as session:
        frames = session.frames(0, session.n_frames).astype(np.float32)
    frames -= frames.mean((1, 2), keepdims=True)
    frames /= np.maximum(frames.std((1, 2), keepdims=True), 1e-6)
    pictures = []
    for half in np.array_split(frames, 2):
        bright = np.percentile(half, 97, axis=0) - np.median(half, axis=0)
        detail = gaussian_filter(bright, 0.1 * diameter) - gaussian_filter(bright, diameter)
        pictures.append(detail - detail.mean())
    shift: np.ndarray = phase_cross_correlation(*pictures, upsample_factor=10, normalization=None)[0]
    return shift


def _by_chance(one: np.ndarray, other: np.ndarray, radius: float) -> float:
    """Share of cells that have one of the other half so near where the halves lie wrongly."""
    from scipy.spatial import cKDTree

    wrong = other[:, ::-1] * (other.max(0) / other.max(0)[::-1])
    return float((cKDTree(one).query(wrong)[0] < radius).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sessions", nargs="+", type=Path)
    parser.add_argument("--drift", type=float, default=12.0, help="pixels")
    parser.add_argument("--rotation", type=float, default=3.0, help="degrees")
    parser.add_argument("--bending", type=float, default=3.0, help="pixels")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rejected", action="store_true", help="take the cells that failed the tests too")
    parser.add_argument("--keep", type=Path, help="folder for the halves' cells")
    options = parser.parse_args()
    days = DaysSettings(drift_px=options.drift, rotation_deg=options.rotation, bending_px=options.bending)
    columns = ["recording", "cells", "tracked", "off", "all of them by", "halves' own shift", "rest"]
    columns += ["near the truth", "near by chance", "told false"]
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for path in options.sessions:
        print(split(path, days, options.seed, options.rejected, options.keep), flush=True)


if __name__ == "__main__":
    main()
