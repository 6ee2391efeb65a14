"""A cell that is two, split by what its file tells: how well, at once and without the recording?

    python experiments/benchmark/splits.py CELLS.h5 [CELLS.h5 ...] [--most 40]

Neighbours among the accepted cells of each file (copied before) are merged, and the merger is split again, as
by the keys ``m`` and ``s`` on the page. What comes out is held against the two that were: how far its centres
lie from theirs, and how alike the traces are; beside it how alike the merger's one trace is to them.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from calcium_lightning.core.cells import StreamedCells
from calcium_lightning.core.decisions import Merge, Split, Undo
from calcium_lightning.curation.ledger import Ledger, open_ledger
from calcium_lightning.curation.views import diameter_of


def pairs(cells: StreamedCells, most: int) -> np.ndarray:
    """Accepted cells less than a diameter apart, each in one pair at most, the nearest first, (P, 2)."""
    rows = np.flatnonzero(cells.accepted)
    near = cKDTree(cells.centers[rows]).query_pairs(diameter_of(cells), output_type="ndarray")
    apart = np.linalg.norm(np.diff(cells.centers[rows[near]], axis=1)[:, 0], axis=1)
    taken: set[int] = set()
    found = []
    for one, other in rows[near[np.argsort(apart)]].tolist():
        if taken.isdisjoint((one, other)):
            taken |= {one, other}
            found.append((one, other))
    return np.array(found[:most], int).reshape(-1, 2)


def split_again(ledger: Ledger, pair: tuple[int, int]) -> tuple[float, ...]:
    """Distance in diameters, likeness of both traces, of the merger's, and whether the parts overlap."""
    found = ledger.cells
    true = np.stack([found.denoised[slice(row, row + 1)][0] for row in pair])
    ledger.decide(Merge(pair))
    one = len(ledger.cells) - 1
    merged = ledger.cells.denoised[slice(one, one + 1)][0]
    ledger.decide(Split(one))
    cells, rows = ledger.cells, slice(one + 1, one + 3)
    parts = cells.denoised[rows]
    alike = np.corrcoef(np.concatenate([true, parts]))[:2, 2:]
    apart = np.linalg.norm(found.centers[list(pair), None] - cells.centers[None, rows], axis=2)
    chosen = linear_sum_assignment(apart)
    both = cells.footprints[[one + 1]].multiply(cells.footprints[[one + 2]]).nnz > 0
    before = np.corrcoef(np.concatenate([true, merged[None]]))[:2, 2].mean()
    for _ in range(2):
        ledger.decide(Undo())
    return (
        float(apart[chosen].mean() / diameter_of(found)),
        float(alike[chosen].mean()),
        float(before),
        float(both),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=40, help="pairs of a file")
    options = parser.parse_args()
    print(
        "| | pairs | told by localisations | centres off, diameters | r of the traces | r of the merger's |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for path in options.cells:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(shutil.copy(path, folder))
            with open_ledger(copy, "benchmark", background=False) as ledger:
                told = [
                    split_again(ledger, tuple(pair)) for pair in pairs(ledger.cells, options.most).tolist()
                ]
        apart, after, before = np.median(told, axis=0)[:3] if told else (np.nan,) * 3
        share = np.mean([row[3] for row in told]) if told else np.nan
        print(f"| {path.stem} | {len(told)} | {share:.2f} | {apart:.2f} | {after:.2f} | {before:.2f} |")


if __name__ == "__main__":
    main()
