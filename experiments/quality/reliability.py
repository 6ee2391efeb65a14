"""Do scores and standard errors mean what they say, on recordings with a truth?

    python experiments/quality/reliability.py --output PICTURE.png CELLS.h5=SESSION.h5 ...

A score of 0.8 should be a cell in eight cases of ten; errors over their standard errors should have unit
variance, of cells' centres and of single localisations. All candidates count, accepted or not, after the
session's global offset. Medians of squares leave out what was matched with a neighbour.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from calcium_lightning.core.cells import footprint_centers
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session import Session
from calcium_lightning.metrics.calibration import LocalizationCalibration
from calcium_lightning.metrics.matching import match_after_offset
from calcium_lightning.training.callbacks.localizations import draw

RADIUS = 6.0  # pixels, as the scorecard's
MEDIAN_OF_SQUARES = 0.4549  # of a standard Gaussian


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="+", metavar="CELLS=SESSION")
    parser.add_argument("--output", type=Path, default=Path("reliability.png"))
    options = parser.parse_args()
    metric = LocalizationCalibration(RADIUS, bins=10)
    centers, localizations = [], []
    for pair in options.pairs:
        found, _, recording = pair.partition("=")
        of_centers, of_spots = add(metric, Path(found), Path(recording))
        centers.append(of_centers)
        localizations.append(of_spots)
    result = metric.compute()
    draw(result).savefig(options.output)
    print("| score | candidates | mean score | share that are cells |\n| --- | --- | --- | --- |")
    for low, number, score, share in zip(
        np.arange(10) / 10, result.number, result.probability, result.share, strict=True
    ):
        print(f"| {low:.1f} to {low + 0.1:.1f} | {number} | {score:.2f} | {share:.2f} |")
    print(f"\nmean difference of score and share: {result.calibration_error:.3f}")
    for name, parts in (("centres", centers), ("localisations", localizations)):
        z = np.concatenate(parts)
        print(
            f"{name}, errors over standard errors: root mean square {np.sqrt(np.mean(z**2)):.2f}, "
            f"by the median of squares {np.sqrt(np.median(z**2) / MEDIAN_OF_SQUARES):.2f}, {len(z)} in all"
        )


def add(metric: LocalizationCalibration, path: Path, recording: Path) -> tuple[np.ndarray, np.ndarray]:
    """Count a recording's cells; gives z of matched centres, and of the localisations that they claim."""
    cells = read_cells(path)
    with Session(recording) as session:
        truth = session.truth
        if truth is None or truth.footprints is None:
            raise SystemExit(f"{recording}: no true footprints")
        centers = footprint_centers(truth.footprints, session.shape[1:]).astype(np.float64)
    match, offset = match_after_offset(cells.centers.astype(np.float64), centers, RADIUS)
    place, spread, score, true = (
        torch.from_numpy(np.asarray(part, np.float64))[None]
        for part in (cells.centers + offset, cells.center_std, cells.quality["score"], centers)
    )
    metric.update(place, spread, score, true)
    off = (cells.centers[match.first] + offset - centers[match.second]) / cells.center_std[match.first]
    partner = np.full(len(cells), -1)
    partner[np.asarray(match.first)] = np.asarray(match.second)
    localizations = cells.localizations
    owner = np.where(localizations.cell >= 0, partner[localizations.cell], -1)
    mine = owner >= 0
    error = np.stack([localizations.y, localizations.x], 1)[mine] + offset - centers[owner[mine]]
    return off.ravel(), (error / np.stack([localizations.y_std, localizations.x_std], 1)[mine]).ravel()


if __name__ == "__main__":
    main()
