"""A recording of few cells, and a cells file that has one of them twice, two as one, one not at all."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import Cells, Localizations, footprint_centers
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.session_writer import SessionWriter

#: frames, height, width, Hz
SHAPE, FPS = (400, 64, 80), 20.0
#: full width at half maximum, pixels
DIAMETER = 9.0
SIGMA = DIAMETER / 2.3548
#: (y, x) of the true cells. 0: found as one; 1: found in two halves; 2 and 3: found as one; 4: missed; 5 to 8
PLACES = np.array(
    [(14, 14), (14, 40), (40, 17), (40, 24), (44, 60), (14, 64), (56, 40), (30, 68), (30, 44)], float
)
MISSED, HALVES, TOGETHER = 4, 1, (2, 3)


@dataclass(frozen=True)
class Made:
    """Files, and the truth.

    Attributes
    ----------
    cells, session : Path
        The files.
    traces : ndarray (N, T)
        Of the true cells.
    footprints : ndarray (N, H, W)
        Peak 1.
    whole, halves, both : int, (int, int), int
        Rows of the file: the cell that is right, the two halves of one, the two that are one.
    """

    cells: Path
    session: Path
    traces: np.ndarray
    footprints: np.ndarray
    whole: int = 0
    halves: tuple[int, int] = (1, 2)
    both: int = 3

    def copied(self, folder: Path) -> Made:
        cells = Path(shutil.copy(self.cells, folder / "cells.h5"))
        session = folder / "session.h5"
        session.symlink_to(self.session)
        return Made(cells, session, self.traces, self.footprints)


def make_curated(folder: Path, seed: int = 3) -> Made:
    random = np.random.default_rng(seed)
    count, (length, height, width) = len(PLACES), SHAPE
    y, x = np.mgrid[:height, :width]
    shapes = np.exp(
        -((y - PLACES[:, 0, None, None]) ** 2 + (x - PLACES[:, 1, None, None]) ** 2) / (2 * SIGMA**2)
    )
    shapes[shapes < 0.02] = 0
    spikes = (random.random((count, length)) < 0.02) * random.uniform(0.7, 1.5, (count, length))
    decay = np.exp(-np.arange(80) / (0.5 * FPS))
    calcium = np.stack([np.convolve(row, decay)[:length] for row in spikes]) * 30
    tissue = 200 + 40 * np.cos(x / 9) * np.sin(y / 7)  # frames without texture would pass for black ones
    movie = tissue + np.einsum("kt,kyx->tyx", calcium, shapes) + random.normal(0, 2, SHAPE)
    session = folder / "session.h5"
    with SessionWriter(session, height, width, "float32", FPS, motion_corrected=True) as writer:
        writer.append(movie.astype(np.float32))

    def half(image: np.ndarray, left: bool) -> np.ndarray:
        part = np.where((x < PLACES[HALVES, 1]) == left, image, 0)
        return part / part.max()

    images, traces = [shapes[0], half(shapes[HALVES], True), half(shapes[HALVES], False)], [0, HALVES, HALVES]
    images.append(np.minimum(shapes[TOGETHER[0]] + shapes[TOGETHER[1]], 1))
    found = np.stack([*(calcium[row] for row in traces), calcium[list(TOGETHER)].sum(0) / 1.2])
    rest = [row for row in range(count) if row not in (0, HALVES, MISSED, *TOGETHER)]
    images += [shapes[row] for row in rest]
    found = np.concatenate([found, calcium[rest]]).astype(np.float32)
    footprints = csr_matrix(np.stack(images).reshape(len(images), -1).astype(np.float32))
    rows = len(images)
    quality = {
        "score": np.array([0.9, 0.55, 0.45, 0.8, 0.95, 0.3, 0.85, 0.41], np.float32)[:rows],
        "snr": np.linspace(12, 5, rows).astype(np.float32),
        "fdr": np.full(rows, 0.01, np.float32),
        "consistency": np.full(rows, 0.8, np.float32),
        "width": np.ones(rows, np.float32),
        "contrast": np.full(rows, 4, np.float32),
        "localizations": np.full(rows, 20, np.float32),
    }
    centers = footprint_centers(footprints, (height, width))
    events = np.argwhere(spikes[[0, HALVES, *TOGETHER, *rest]] > 0)
    owner = np.array([0, 1, 3, 3, *range(4, rows)])[events[:, 0]]
    places = PLACES[np.array([0, HALVES, *TOGETHER, *rest])[events[:, 0]]].astype(np.float32)
    real = np.full(len(events), 0.3, np.float32)
    localizations = Localizations(
        frame=events[:, 1].astype(np.int32), y=places[:, 0], x=places[:, 1],
        amplitude=real * 60, y_std=real, x_std=real, cell=owner.astype(np.int32),
    )  # fmt: skip
    order = np.argsort(localizations.frame, kind="stable")
    localizations = Localizations(
        *(getattr(localizations, name)[order] for name in localizations.__dataclass_fields__)
    )
    cells = Cells(
        centers=centers,
        center_std=np.full((rows, 2), 0.2, np.float32),
        footprints=footprints,
        frame_shape=(height, width),
        traces=found + random.normal(0, 0.4, found.shape).astype(np.float32),
        denoised=found,
        spikes=np.maximum(np.diff(found, axis=1, prepend=0), 0).astype(np.float32),
        accepted=quality["score"] >= 0.4,
        quality=quality,
        shifts=np.zeros((length, 2), np.float32),
        baseline=np.full(rows, 200, np.float32),
        mean_image=movie.mean(0).astype(np.float32),
        max_image=movie.max(0).astype(np.float32),
        timestamps=np.arange(length) / FPS,
        localizations=localizations,
        session=str(session),
        session_sha256="0" * 64,
        fps=FPS,
        config=f"cell_diameter: {DIAMETER}\npreprocess:\n  repair_stretch: false\n",
        package_version="0.1.0",
    )
    write_cells(folder / "cells.h5", cells)
    return Made(folder / "cells.h5", session, calcium, shapes)
