"""Does the told number of false cells hold?

    python experiments/quality/discovery.py CELLS.h5 CELLS.h5=SESSION.h5 CELLS.h5=TWIN.cells.h5 ...

For each cells file: how many cells are accepted, how many of them are expected to be false, and how that is
known. With a session that has a truth, also how many are false; with the cells of the same recording upside
down (extracted like any recording), how many are accepted there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from calcium_lightning.core.cells import Cells, footprint_centers
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session import Session
from calcium_lightning.metrics.matching import match_after_offset

RADIUS = 6.0  # pixels, as the scorecard's


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="+", metavar="CELLS[=SESSION|TWIN]")
    print("| recording | accepted of found | decoys | expected false | by | false | accepted upside down |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for pair in parser.parse_args().pairs:
        path, _, other = pair.partition("=")
        cells = read_cells(path)
        false, twin = beside(cells, Path(other)) if other else ("", "")
        accepted, chance = int(cells.accepted.sum()), cells.false_discovery
        told = (
            ("", "", "") if chance is None else (chance.decoys, f"{chance.expected_false:.1f}", chance.basis)
        )
        row = (Path(path).stem, f"{accepted} of {len(cells)}", *told, false, twin)
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def beside(cells: Cells, path: Path) -> tuple[str, str]:
    """How many accepted cells are false by a session's truth; how many are accepted in the twin."""
    try:
        return "", str(int(read_cells(path).accepted.sum()))
    except InputError:
        pass  # a session
    with Session(path) as session:
        truth = session.truth
        if truth is None or truth.footprints is None:
            raise SystemExit(f"{path}: no true footprints")
        centers = footprint_centers(truth.footprints, session.shape[1:]).astype(np.float64)
    found = cells.centers[cells.accepted].astype(np.float64)
    match, _ = match_after_offset(found, centers, RADIUS)
    return str(len(found) - len(match.first)), ""


if __name__ == "__main__":
    main()
