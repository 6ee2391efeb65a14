"""Cells that the commands after extraction read: decided by hand, of three days, of other programs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from helpers.example_cells import make_example, take
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import Cells, footprint_centers
from calcium_lightning.core.decisions import Draw, Label, Merge, Note, Split, Verdict
from calcium_lightning.curation.ledger import open_ledger
from calcium_lightning.curation.transfer import decisions_of
from calcium_lightning.io.cells_file import write_cells

#: a place without cells, to draw one in
SQUARE = ((2.0, 2.0), (2.0, 9.0), (9.0, 9.0), (9.0, 2.0))


def write_all(folder: Path, cells: Cells) -> None:
    """Write them into a folder that holds ``session.h5``."""
    filmed, _ = make_example(4, 60, 40, 48)
    for name in ("filmed.h5", "decided.h5"):
        write_cells(folder / name, replace(filmed, session="session.h5"))
    with open_ledger(folder / "decided.h5", "Ada", background=False) as ledger:
        ledger.decide_all([Verdict((0,), False), Merge((1, 2))])
    np.save(folder / "session_field.npy", np.ones((40, 48), bool))
    rows = [f"{0.05 * number:.3f},{number % 3}" for number in range(0, 120, 7)]
    (folder / "behavior.csv").write_text("time,lick\n" + "\n".join(rows) + "\n")
    _curated(folder, cells)
    _results(folder, _days(folder, cells.n_frames))


def _curated(folder: Path, cells: Cells) -> None:
    """``curated.h5``, what was decided as the page saves it, and a journal that a killed page left."""
    path = folder / "curated.h5"
    write_cells(path, cells)
    with open_ledger(path, "Ada", background=False) as ledger:
        ledger.decide_all([Verdict((0,), False), Note(1, "odd"), Label((1, 2), "edge"), Merge((1, 2))])
        (folder / "decisions.json").write_text(json.dumps(decisions_of(ledger.cells, ledger.log)))
    later = folder / "later.h5"
    shutil.copy2(path, later)
    y, x = cells.centers[3].tolist()
    with open_ledger(later, "Ada", background=False) as ledger:
        ledger.decide_all([Verdict((4,), True), Draw(SQUARE), Split(3, ((y - 9, x), (y + 9, x)))])
        kept = shutil.ignore_patterns("lock")
        shutil.copytree(folder / "later.h5.curation", folder / "curated.h5.curation", ignore=kept)
    later.unlink()


def _days(folder: Path, length: int) -> list[Cells]:
    """Three sessions of the same cells, a few pixels further each day, and their tracks."""
    from calcium_lightning.io.tracks_file import write_tracks
    from calcium_lightning.tracking.track import read_fields, track_fields

    cells, _ = make_example(24, length)
    days = []
    for day in range(3):
        present = take(cells, np.delete(np.arange(24), 5 * day))
        images = present.footprints.toarray().reshape(-1, *cells.frame_shape)
        moved = csr_matrix(np.roll(images, (2 * day, -day), (1, 2)).reshape(len(images), -1))
        accepted = np.ones(len(images), bool)
        centers = footprint_centers(moved, cells.frame_shape)
        days.append(replace(present, footprints=moved, centers=centers, accepted=accepted))
        write_cells(folder / f"day{day}.h5", days[day])
    fields = read_fields([folder / f"day{day}.h5" for day in range(3)])
    write_tracks(folder / "tracks.h5", track_fields(fields))
    return days


def _results(folder: Path, days: list[Cells]) -> None:
    """The same as other programs write them."""
    from calcium_lightning.io.writers.table import Export, find_writer

    names = {
        "caiman": "caiman.hdf5",
        "suite2p": "plane0",
        "cellreg": "footprints.mat",
        "minian": "minian",
        "mat": "cells.mat",
        "nwb": "cells.nwb",
    }
    for number, (format, name) in enumerate(names.items()):
        find_writer(format).write(days[number % 3], folder / name, Export())
    cells = days[0]
    height, width = cells.frame_shape
    images = cells.footprints.toarray()
    footer = {
        "type": 1,
        "CellNames": [f"C{row}" for row in range(len(cells))],
        "CellStatuses": [0] * len(cells),
        "spacingInfo": {
            "numPixels": {"x": width, "y": height},
            "pixelSize": {"x": {"num": 3, "den": 1}, "y": {"num": 3, "den": 1}},
        },
        "timingInfo": {"numTimes": cells.n_frames, "period": {"num": 50, "den": 1000}},
    }
    text = json.dumps(footer).encode()
    body = np.concatenate([images, cells.traces], 1).astype("<f4").tobytes()
    (folder / "cellset.isxd").write_bytes(body + text + b"\0" + len(text).to_bytes(8, "little"))
