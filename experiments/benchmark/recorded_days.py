"""Cells across recordings of several days whose truth is known: tracked, and looked for where they lack.

    python -m calcium_lightning.simulate output=DAYS days=several simulation.seconds=60
    python -m calcium_lightning.extract session=DAYS output=CELLS
    python experiments/benchmark/recorded_days.py --days DAYS --cells CELLS [--search FOUND --drop 0.25]

Each cell that was found is the nearest true one of its day within half a diameter, or none. Pairs are right
where they are the same cell of the animal. Of the places that were looked through: how many hold a cell that
was active that day and that extraction had missed, how many of those were found, and how many were found
where the animal's cell was silent or gone. --drop takes a share of each day's accepted cells out before, as
if extraction had missed them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from calcium_lightning.core.cells import footprint_centers
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.tracks import Tracks
from calcium_lightning.io.cells_file import read_cells, write_cells
from calcium_lightning.io.session import Session
from calcium_lightning.metrics.matching import match_points
from calcium_lightning.tracking.search import wanted
from calcium_lightning.tracking.track import read_fields, track_fields, track_with_fields

#: places (K, 2) and identities (K,) of a day's active cells
Day = tuple[np.ndarray, np.ndarray]


def truths(paths: Sequence[Path]) -> list[Day]:
    """Of each day the places and identities of its active cells."""
    found = []
    for path in paths:
        with Session(path) as session:
            truth = session.truth
            assert truth is not None
            assert truth.footprints is not None
            assert truth.identity is not None
            found.append((footprint_centers(truth.footprints, session.shape[1:]), truth.identity))
    return found


def identities(
    fields: Sequence[FootprintSet], true: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[np.ndarray]:
    """Which of the animal's cells each row of each day's file is, -1 for none."""
    named = []
    for field, (places, identity) in zip(fields, true, strict=True):
        names = np.full(field.total, -1)
        match = match_points(field.centers, places, 0.5 * field.diameter)
        names[field.rows[match.first]] = identity[match.second]
        named.append(names)
    return named


def pairs(tracks: Tracks, named: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Precision, recall and F1 of pairs of cells that were both found."""
    right = said = there = 0
    for a, b in combinations(range(len(named)), 2):
        both = tracks.cell[(tracks.cell[:, a] >= 0) & (tracks.cell[:, b] >= 0)]
        one, other = named[a][both[:, a]], named[b][both[:, b]]
        known = (one >= 0) & (other >= 0)  # what extraction has made up is no matter of tracking
        right, said = right + int((one == other)[known].sum()), said + int(known.sum())
        there += len(np.intersect1d(one_of(named[a]), one_of(named[b])))
    return right / max(said, 1), right / max(there, 1), 2 * right / max(said + there, 1)


def dropped(paths: Sequence[Path], share: float, folder: Path) -> list[Path]:
    """Copies of cells files of which some accepted cells don't count any more."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths):
        cells = read_cells(path)
        lost = np.random.default_rng(number).random(len(cells)) < share
        write_cells(folder / path.name, replace(cells, accepted=cells.accepted & ~lost), overwrite=True)
    return [folder / path.name for path in paths]


def one_of(names: np.ndarray) -> np.ndarray:
    """Those that are known."""
    return names[names >= 0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--cells", type=Path, required=True, help="folder of their cells files")
    parser.add_argument("--search", type=Path, help="folder for cells files with what was looked for")
    parser.add_argument("--drop", type=float, default=0.0, help="share of cells to take out before")
    options = parser.parse_args()
    sessions = sorted(options.days.glob("*.h5"))
    paths = [options.cells / f"{path.stem}.cells.h5" for path in sessions]
    if options.drop:
        paths = dropped(paths, options.drop, options.search / "dropped")
    true = truths(sessions)
    fields = read_fields(paths)
    tracks = track_fields(fields)
    named = identities(fields, true)
    print(tracks.in_words())
    print("pairs: precision {:.3f}, recall {:.3f}, F1 {:.3f}".format(*pairs(tracks, named)))
    if options.search is None:
        return
    after, more = track_with_fields(paths, search=options.search, sessions=sessions, overwrite=True)
    found = identities(more, true)
    print(after.in_words())
    print("pairs with those: precision {:.3f}, recall {:.3f}, F1 {:.3f}".format(*pairs(after, found)))
    print("| day | places looked at | an active cell was missed there | found | found where none was |")
    print("| --- | --- | --- | --- | --- |")
    for day, (field, beside) in enumerate(zip(fields, more, strict=True)):
        places = wanted(tracks, fields, day).places
        reach = 0.5 * field.diameter
        missed = np.flatnonzero(~np.isin(true[day][1], one_of(named[day])))
        there = len(match_points(places, true[day][0][missed], reach).first)
        new = found[day][field.total :]
        print(f"| {day + 1} | {len(places)} | {there} | {int((new >= 0).sum())} | {int((new < 0).sum())} |")
        assert beside.total >= field.total


if __name__ == "__main__":
    main()
