"""Where on the way from frames to accepted cells are true ones lost?

    python experiments/benchmark/losses.py SESSION.h5 ...

Each session with a truth is extracted with nothing given, and its localisations are gathered once more. Every
true cell that no accepted one is matched with gets one fate, the first that holds: hardly ever localised; no
candidate gathers at it; its candidate is gone in the end (given to a neighbour, or too little of its own); no
form or place of its own; or rejected, with the tests that it failed. Beside each fate: how bright such cells
are and how near the next true one is (medians). Figures of one recording are uncertain by about one in a
hundred cells: noise of a thousandth added to the foreground changes as much.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from calcium_lightning.core.cells import StreamedCells, footprint_centers
from calcium_lightning.core.scale import NETWORK_DIAMETER
from calcium_lightning.io.session import Session
from calcium_lightning.localize import stages
from calcium_lightning.localize.gather import assign
from calcium_lightning.localize.quality import LEAST_CONTRAST, QualitySettings
from calcium_lightning.metrics.matching import match_after_offset
from calcium_lightning.pipeline import extract_streamed, load_model
from calcium_lightning.preprocess.prepared import Prepared

#: pixels within which a cell is a true one, as everywhere in the benchmark
RADIUS = 6.0
#: fewer localisations than this are no place
FEW = 3


@dataclass(frozen=True)
class Stages:
    """What a session's true cells can be compared with, stage by stage, session pixels.

    Attributes
    ----------
    localizations : ndarray (N, 2)
    gathered : ndarray (C, 2)
        Candidates of the first search.
    cells : StreamedCells
        In the end, accepted or not.
    diameter : float
        Of a cell.
    """

    localizations: np.ndarray
    gathered: np.ndarray
    cells: StreamedCells
    diameter: float


def fates(true: np.ndarray, found: Stages) -> np.ndarray:
    """What has become of each true cell (M, 2), str (M,)."""
    accepted = found.cells.centers[found.cells.accepted]
    match, offset = match_after_offset(accepted, true, RADIUS)
    result = np.full(len(true), "gone: nothing of it is left", dtype=object)
    there = true - offset
    claimed = assign(found.localizations, there, found.diameter / 2)
    count = np.bincount(claimed[claimed >= 0], minlength=len(true))
    rejected = found.cells.centers[~found.cells.accepted]
    near, _ = cKDTree(accepted).query(there) if len(accepted) else (np.full(len(true), np.inf), 0)
    result[near < found.diameter / 2] = "gone: a neighbour has its place"
    gathered, _ = match_after_offset(found.gathered, true, RADIUS)
    result[np.setdiff1d(np.arange(len(true)), gathered.second)] = "not gathered"
    result[count < FEW] = "hardly localised"
    lost = np.setdiff1d(np.arange(len(true)), match.second)
    if len(rejected) and len(lost):
        pairs, _ = match_after_offset(rejected, there[lost], RADIUS)
        rows = np.flatnonzero(~found.cells.accepted)[pairs.first]
        for place, row in zip(lost[pairs.second], rows, strict=True):
            result[place] = f"rejected: {failed(found.cells, int(row))}"
    result[match.second] = "found"
    return result


def failed(cells: StreamedCells, row: int) -> str:
    """The tests that one cell has failed."""
    settings, own = QualitySettings(), {name: values[row] for name, values in cells.quality.items()}
    least: dict[str, float] = {
        name: getattr(settings, name) for name in ("score", "snr", "consistency", "focus", "localizations")
    }
    least["contrast"] = LEAST_CONTRAST[cells.kind]
    names = [name for name, bound in least.items() if own[name] < bound]
    if own["fdr"] > settings.fdr:
        names.append("fdr")
    if not settings.width[0] <= own["width"] <= settings.width[1]:
        names.append("width")
    return ", ".join(names) or "where no tissue shows"


def stages_of(path: Path) -> tuple[np.ndarray, np.ndarray, Stages]:
    """Places (M, 2) and brightness (M,) of a session's true cells, and what was found, stage by stage."""
    session, model = Session(path), load_model()
    truth = session.truth
    if truth is None or truth.footprints is None:
        raise SystemExit(f"{path}: no true footprints")
    true = footprint_centers(truth.footprints, session.shape[1:])
    brightness = np.full(len(true), np.nan) if truth.amplitude is None else truth.amplitude
    with extract_streamed(session, detector=model) as extraction:
        prepared: Prepared = extraction.prepared
        movie, _ = stages.foreground(prepared, model.device)
        spots = stages.detect(movie, model, prepared.fps)
        gathered = prepared.scale.to_session(stages.gather(spots, prepared.fps))
        table = spots.table()
        points = prepared.scale.to_session(np.stack([table["y"], table["x"]], 1).astype(float))
        diameter = NETWORK_DIAMETER / float(prepared.scale.factor.mean())
        return true, brightness, Stages(points, gathered, extraction.cells, diameter)


def report(path: Path, say: Callable[[str], None] = print) -> None:
    """Print the account of one session."""
    true, brightness, found = stages_of(path)
    fate = fates(true, found)
    near = (
        cKDTree(true).query(true, 2)[0][:, 1] / found.diameter
        if len(true) > 1
        else np.full(len(true), np.inf)
    )
    say(f"{path.name}: {len(true)} true, {int(found.cells.accepted.sum())} accepted")
    for name in sorted(set(fate), key=lambda name: -(fate == name).sum()):
        mine = fate == name
        say(
            f"  {int(mine.sum()):4d}  {name:44s} brightness {np.median(brightness[mine]):7.3g}"
            f"   next cell {np.median(near[mine]):.2f} diameters"
        )


def main() -> None:
    """Account for the sessions that are given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sessions", nargs="+", type=Path)
    for path in parser.parse_args().sessions:
        report(path)


if __name__ == "__main__":
    main()
