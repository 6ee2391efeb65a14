"""Does a lab's acceptance get better by its own decisions? Sessions left out in turn.

    python experiments/benchmark/curated.py CELLS.h5:SESSION.h5 [CELLS.h5:SESSION.h5 ...]
    python experiments/benchmark/curated.py CELLS.h5:MASK.npy [...]
    python experiments/benchmark/curated.py 'CELLS.h5:elongation<1.3' [...]

Decisions are made by the truth (a candidate is accepted where it is the surest one at a true cell, within
half a diameter), by an annotator's mask (where its centre lies inside), or by a rule of a lab's own (accepted
before, and below a quality's bound), about candidates drawn at random, as many of each session as --decisions
says, and anew --draws times. The score learns from all sessions but one, whose candidates are judged anew by
it and by all other tests; the table compares with the acceptance before.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from calcium_lightning.core.cells import Cells, footprint_centers
from calcium_lightning.core.decisions import Entry, Verdict
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.standing import Standing
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session import Session
from calcium_lightning.localize.lab import LabScore
from calcium_lightning.localize.own_test import settings_of
from calcium_lightning.localize.quality import accept


def labels(cells: Cells, truth: Path) -> np.ndarray:
    """Which candidates a person who knows would accept, bool (K,)."""
    good = np.zeros(len(cells), bool)
    quality, rule, bound = truth.name.partition("<")
    if rule:
        return cells.accepted & (cells.quality[quality] < float(bound))
    if truth.suffix == ".npy":
        mask = np.load(truth)
        scale = np.array(mask.shape) / cells.frame_shape
        row, column = np.clip(((cells.centers + 0.5) * scale).astype(int), 0, np.array(mask.shape) - 1).T
        return mask[row, column] > 0
    with Session(truth) as session:
        known = session.truth
        assert known is not None
        assert known.footprints is not None
        places = footprint_centers(known.footprints, session.shape[1:])
    diameter = FootprintSet.of(cells, rejected=True).diameter
    # Of two candidates at one cell the surer one is it.
    order = np.argsort(-cells.quality["score"], kind="stable")
    taken = np.zeros(len(places), bool)
    for cell in order:
        free = np.flatnonzero(~taken)
        if not len(free):
            break
        near = free[np.linalg.norm(places[free] - cells.centers[cell], axis=1).argmin()]
        if np.linalg.norm(places[near] - cells.centers[cell]) < 0.5 * diameter:
            good[cell] = taken[near] = True
    return good


def decided(cells: Cells, good: np.ndarray, count: int, rng: np.random.Generator) -> Cells:
    """The same, with decisions about some of them."""
    rows = rng.permutation(len(cells))[:count]
    log = [
        Entry(number + 1, "truth", "", "", Verdict((int(row),), bool(good[row])))
        for number, row in enumerate(rows)
    ]
    return replace(cells, curation=Standing.of(cells.accepted, log))


def agreement(accepted: np.ndarray, good: np.ndarray) -> float:
    """F1 of acceptance among candidates."""
    return 2 * int((accepted & good).sum()) / max(int(accepted.sum()) + int(good.sum()), 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sessions", nargs="+", help="CELLS.h5:SESSION.h5, or CELLS.h5:MASK.npy")
    parser.add_argument("--decisions", type=int, default=60, help="of each session")
    parser.add_argument("--draws", type=int, default=10, help="of which candidates are decided about")
    options = parser.parse_args()
    paths = [tuple(map(Path, item.rsplit(":", 1))) for item in options.sessions]
    cells = [read_cells(path) for path, _ in paths]
    good = [labels(one, truth) for one, (_, truth) in zip(cells, paths, strict=True)]
    after = np.zeros((options.draws, len(cells)))
    for draw in range(options.draws):
        rng = np.random.default_rng(draw)
        curated = [decided(one, yes, options.decisions, rng) for one, yes in zip(cells, good, strict=True)]
        for row, (one, yes) in enumerate(zip(cells, good, strict=True)):
            lab = LabScore.of([other for number, other in enumerate(curated) if number != row])
            again = {**one.quality, "score": lab.rescored(one.quality)}
            after[draw, row] = agreement(accept(again, settings_of(one), one.kind), yes)
    columns = ("left out", "candidates", "good", "accepted", "F1 before", "after, mean", "worst draw", "best")
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for row, (one, yes) in enumerate(zip(cells, good, strict=True)):
        told = [agreement(one.accepted, yes), *(how(after[:, row]) for how in (np.mean, np.min, np.max))]
        counts = f"{len(one)} | {int(yes.sum())} | {int(one.accepted.sum())}"
        print(f"| {paths[row][0].stem} | {counts} | " + " | ".join(f"{value:.3f}" for value in told) + " |")


if __name__ == "__main__":
    main()
