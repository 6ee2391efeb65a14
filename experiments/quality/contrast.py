"""How far must a cell of a ΔF/F session stand out in time? Sessions left out in turn.

    python experiments/quality/contrast.py A.cells.h5=A.npy B.cells.h5=B.npy C.cells.h5=C.npy

Each threshold is worth κ plus the share of the mask's parts that are hit, in the mean over sessions. For each
session: the threshold that is best for the others, and what it gives there.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session import Truth
from calcium_lightning.localize.quality import QualitySettings, accept
from calcium_lightning.metrics.scorecard import Scorecard

THRESHOLDS = np.round(np.arange(2.0, 6.01, 0.1), 1)
SHOWN = (2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="+", metavar="CELLS=MASK")
    options = parser.parse_args()
    pairs = [tuple(map(Path, pair.rsplit("=", 1))) for pair in options.pairs]
    figures = np.array([course(*pair) for pair in pairs])  # (sessions, thresholds, (κ, parts hit, parts))
    worth = figures[:, :, 0] + figures[:, :, 1] / figures[:, :, 2]
    print("| left out | threshold of the others | κ | parts |\n| --- | --- | --- | --- |")
    for index, (cells, _) in enumerate(pairs):
        best = np.delete(worth, index, 0).mean(0).argmax()
        kappa, hit, parts = figures[index, best]
        print(f"| {cells.stem} | {THRESHOLDS[best]:.1f} | {kappa:.3f} | {hit:.0f}/{parts:.0f} |")
    print("\n| threshold | mean κ | parts |\n| --- | --- | --- |")
    for threshold in SHOWN:
        kappa, hit, parts = figures[:, np.searchsorted(THRESHOLDS, threshold)].T
        print(f"| {threshold:.1f} | {kappa.mean():.3f} | {hit.sum():.0f}/{parts.sum():.0f} |")


def course(cells: Path, mask: Path) -> list[tuple[float, float, float]]:
    """κ, parts that are hit and parts of the mask, for each threshold."""
    found = read_cells(cells)
    true = Truth(mask=np.load(mask))
    rows = []
    for threshold in THRESHOLDS:
        accepted = accept(found.quality, QualitySettings(contrast=float(threshold)), found.kind)
        told = Scorecard().add(replace(found, accepted=accepted), true)
        rows.append((told["mask_kappa"], told["mask_parts_hit"], told["mask_parts"]))
    return rows


if __name__ == "__main__":
    main()
