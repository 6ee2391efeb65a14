"""Every command that goes on from cells takes other programs' results, as typed."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.example_cells import make_example, take, write_truth

from calcium_lightning.io.cells_file import read_cells, write_cells
from calcium_lightning.io.writers.table import Export, find_writer

#: format of ours, as those programs write it -> what the file or folder is called
OTHERS = {
    "caiman": "cnm.hdf5",
    "suite2p": "suite2p/plane0",
    "minian": "minian",
    "mat": "cnmfe.mat",
    "nwb": "x.nwb",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Results of five programs, our own, and the truth of the recording."""
    place = tmp_path_factory.mktemp("results")
    cells, truth = make_example()
    cells = replace(cells, session="session.h5")
    write_cells(place / "ours.h5", take(cells, np.arange(9)))
    (place / "suite2p").mkdir()
    for format, name in OTHERS.items():
        find_writer(format).write(cells, place / name, Export())
    write_truth(place / "session.h5", cells, truth)
    return place


@pytest.fixture
def here(folder, tmp_path) -> Path:
    """The same, in the folder that the command runs in."""
    for item in folder.iterdir():
        (tmp_path / item.name).symlink_to(item)
    return tmp_path


@pytest.mark.parametrize("name", OTHERS.values())
def test_each_is_evaluated_reported_and_curated(here, run_command, name):
    done = run_command("evaluate", f"cells={name}", "truth=session.h5", "output=figures.json")
    assert done.status == 0, done.stderr
    done = run_command("report", f"cells={name}", "output=page.html", "metrics=figures.json")
    assert done.status == 0, done.stderr
    assert "Against the truth" in (here / "page.html").read_text()
    stem = Path(name).stem
    for _ in range(2):  # the second time decisions are there already
        done = run_command("curate", f"cells={name}", "serve=false")
        assert (done.status, f"decisions are kept in {stem}.cells.h5" in done.stdout) == (0, True), (
            done.stderr
        )
    assert len(read_cells(here / f"{stem}.cells.h5")) == 12
    (here / "elsewhere").mkdir()
    other = here / "elsewhere" / Path(name).name
    other.symlink_to((here / name).resolve())
    refused = run_command("curate", f"cells=elsewhere/{other.name}", "serve=false")
    assert (refused.status, "isn't made of" in refused.stderr) == (2, True)


def test_all_are_compared_with_ours_and_the_truth(here, run_command):
    listed = ",".join(["ours.h5", *OTHERS.values()])
    done = run_command("compare", f"cells=[{listed}]", "truth=session.h5", "output=page.html")
    assert done.status == 0, done.stderr
    with (here / "page.csv").open(newline="") as stream:
        lines = list(csv.reader(stream))
    blank = lines.index([])
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:blank]]
    assert [row["result"] for row in rows] == ["ours.h5", *(Path(n).name for n in OTHERS.values())]
    accepted = int(make_example()[0].accepted.sum())
    ours = int(make_example()[0].accepted[:9].sum())
    assert {row["cells"] for row in rows[2:3]} == {str(accepted)}
    pairs = [dict(zip(lines[blank + 1], line, strict=True)) for line in lines[blank + 2 :]]
    assert len(pairs) == 15
    first = next(pair for pair in pairs if (pair["first"], pair["second"]) == ("ours.h5", "cnm.hdf5"))
    assert (first["in both"], first["distance px"], first["trace correlation r"]) == (
        str(ours),
        "0.00",
        "1.00",
    )
    assert float(rows[0]["precision"]) == 1
    page = (here / "page.html").read_text()
    assert page.count("<svg") == 6
    for overrides, complaint in (
        (["cells=ours.h5"], "one result"),
        (["cells=[ours.h5,cnm.hdf5]", "runs=x"], "one of them"),
        (["cells=[ours.h5,gone.h5]"], "gone.h5: no such file"),
        (["cells=[ours.h5,cnm.hdf5]", "radius=-1"], "above 0"),
    ):
        refused = run_command("compare", *overrides, "output=other.html")
        assert (refused.status, complaint in refused.stderr) == (2, True), refused.stderr
        assert not (here / "other.html").exists()


def test_fields_of_different_sizes_are_refused(here, run_command):
    write_cells(here / "small.h5", make_example(height=48, width=60)[0])
    refused = run_command("compare", "cells=[ours.h5,small.h5]", "output=other.html")
    assert (refused.status, "48 x 60 pixels" in refused.stderr) == (2, True), refused.stderr


def test_folders_of_others_are_tracked(here, run_command):
    """Two programs' results of one recording are the same cells."""
    done = run_command("track", "cells=[suite2p/plane0,minian,cnm.hdf5]", "output=t.h5", "rejected=true")
    assert done.status == 0, done.stderr
    assert "12 cells in two sessions or more" in done.stdout or "12 of 12" in done.stdout, done.stdout
