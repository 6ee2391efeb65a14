"""Cells in a notebook: what can be done with them, and what is seen."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from helpers.example_cells import HOSTILE, make_example, take
from matplotlib.collections import LineCollection
from matplotlib.path import Path as Outline
from pynwb import NWBHDF5IO

from calcium_lightning.core.errors import InputError


@pytest.fixture(autouse=True)
def _no_window():
    from matplotlib import pyplot

    matplotlib.use("agg")
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def cells():
    found = make_example()[0]
    accepted = np.ones(len(found), bool)
    accepted[[2, 5, 7]] = False
    return replace(found, accepted=accepted)


def test_outlines_lie_around_the_cells(cells):
    axes = cells.plot()
    (lines,) = (part for part in axes.collections if isinstance(part, LineCollection))
    outlines = [Outline(vertices) for vertices in lines.get_segments()]
    rows = np.flatnonzero(cells.accepted)
    assert len(outlines) == len(rows)
    for row, outline in zip(rows, outlines, strict=True):
        inside = outline.contains_points(cells.centers[:, ::-1])  # (x, y)
        assert np.flatnonzero(inside).tolist() == [row]
    assert [text.get_text() for text in axes.texts] == [str(row) for row in rows]
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), cells.peak_image)
    assert axes.get_ylim() == (59.5, -0.5)  # y points down, the first pixel's centre is (0, 0)
    assert axes.get_title() == f"{len(rows)} cells accepted of {len(cells)} found"


def test_rejected_cells_and_labels_are_a_choice(cells):
    from matplotlib import pyplot

    _, given = pyplot.subplots()
    axes = cells.plot(given, rejected=True, labels=False)
    assert axes is given
    rejected, accepted = axes.collections
    assert (len(rejected.get_segments()), len(accepted.get_segments())) == (3, len(cells) - 3)
    assert not axes.texts
    assert not take(cells, np.zeros(0, int)).plot().texts


def test_what_a_notebook_shows_is_short_and_harmless(cells):
    text = replace(cells, session=HOSTILE)._repr_html_()
    assert "<b>9 cells accepted of 12 found</b>" in text
    assert "300 frames of 60 × 84 px at 20 Hz" in text
    assert text.count("<tr>") == 6
    assert "<script>" not in text
    assert "<table>" not in take(cells, np.zeros(0, int))._repr_html_()
    assert repr(cells) == "Cells(9 accepted of 12, (300, 60, 84) at 20 Hz)"


def test_cells_are_written_by_the_writers(cells, tmp_path):
    cells.to_csv(tmp_path / "a.csv")
    assert len(pd.read_csv(tmp_path / "a.csv")) == cells.accepted.sum()
    cells.to_csv(tmp_path / "all.csv", rejected=True)
    assert len(pd.read_csv(tmp_path / "all.csv")) == len(cells)
    cells.to_nwb(tmp_path / "a.nwb", subject_id="m7", species="Mus musculus")
    with NWBHDF5IO(tmp_path / "a.nwb", "r") as stream:
        file = stream.read()
        assert file.subject.subject_id == "m7"
    with pytest.raises(InputError, match=r"a\.nwb: exists"):
        cells.to_nwb(tmp_path / "a.nwb")
    cells.to_nwb(tmp_path / "a.nwb", overwrite=True)
    with pytest.raises(InputError, match="to_nwb: subject= is no fact that NWB takes; nearest: subject_id"):
        cells.to_nwb(tmp_path / "b.nwb", subject="m7")
    assert not (tmp_path / "b.nwb").exists()


def test_the_methods_are_there_whatever_is_imported():
    """Nothing but the type itself: who fills the table is the package, not a room."""
    code = """
import sys
from calcium_lightning.core.cells import Cells
assert "matplotlib" not in sys.modules and "pynwb" not in sys.modules
from calcium_lightning.core.conveniences import convenience
print(*(callable(convenience(name)) for name in ("to_nwb", "to_csv", "plot", "html")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "True True True True\n", done.stderr
