"""Tracks that are there already: exported as a person left them, and taken over when a day is added."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.drawn_days import draw
from helpers.html_page import Page
from helpers.written_days import write_day

from calcium_lightning.core.decisions import Draw, Verdict
from calcium_lightning.curation.ledger import open_ledger
from calcium_lightning.curation.links import Links
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.footprints import read_footprints
from calcium_lightning.io.tracks_file import read_tracks, write_tracks
from calcium_lightning.track import main
from calcium_lightning.tracking.track import track


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("days")
    fields = draw(days=3, seed=5, density=2.0).fields
    return [write_day(folder / f"day {n}.cells.h5", field) for n, field in enumerate(fields)]


@pytest.fixture(scope="module")
def tracked(files) -> Path:
    path = files[0].parent / "tracks.h5"
    write_tracks(path, track(files))
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["track", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def listed(files: list[Path]) -> str:
    return "cells=[" + ",".join(f'"{file}"' for file in files) + "]"


def corrected(path: Path, cells: Path) -> int:
    """Set one cell apart by hand, and tell which."""
    links = Links(path, cells)
    cell = int(links.tracks.cell[0, links.session])
    links.decide("apart", cell, who="ann")
    return cell


def test_tables_and_pages_of_tracks_corrected_by_hand(run, files, tracked, tmp_path) -> None:
    """What is exported is what stands in the tracks file, and not what was found."""
    shutil.copy(tracked, tmp_path / "t.h5")
    cell = corrected(tmp_path / "t.h5", files[1])
    content = (tmp_path / "t.h5").read_bytes()
    outputs = [
        f"{key}={tmp_path}/t.{end}" for key, end in (("page", "html"), ("csv", "csv"), ("cellreg", "mat"))
    ]
    status, out, err = run(f"tracks={tmp_path}/t.h5", *outputs)
    assert status == 0, err
    assert "table: " in out
    tracks = read_tracks(tmp_path / "t.h5")
    with (tmp_path / "t.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["day 1"]) for row in rows] == tracks.cell[:, 1].tolist()
    by_hand = [row for row in rows if row["day 1 by hand"] == "True"]
    assert [(row["sessions"], row["day 1"]) for row in by_hand] == [("1", str(cell))]
    with h5py.File(tmp_path / "t.mat") as file:
        struct = file["cell_registered_struct"]
        index = struct["cell_to_index_map"][...].T
        assert ((index > 0) == (tracks.cell >= 0)).all()
        assert file[struct["spatial_footprints"][1, 0]].shape[-1] == (tracks.cell[:, 1] >= 0).sum()
    assert Page((tmp_path / "t.html").read_text()).count("g", **{"class": "layer"}) == 3
    assert (tmp_path / "t.h5").read_bytes() == content


def test_cells_files_that_were_moved_are_found_or_asked_for(run, files, tracked, tmp_path) -> None:
    days = [Path(shutil.copy(file, tmp_path / file.name)) for file in files]
    found = read_tracks(tracked)
    sessions = [replace(item, path=str(day)) for item, day in zip(found.sessions, days, strict=True)]
    write_tracks(tmp_path / "t.h5", replace(found, sessions=tuple(sessions)))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for day in days:
        day.rename(elsewhere / day.name)
    status, _, err = run(f"tracks={tmp_path}/t.h5", f"csv={tmp_path}/t.csv")
    assert status == 2
    assert "cells=[" in err
    assert sorted(item.name for item in tmp_path.iterdir()) == ["elsewhere", "t.h5"]
    assert run(f"tracks={tmp_path}/t.h5", f"csv={tmp_path}/t.csv", f"cells={elsewhere}")[0] == 0
    (tmp_path / "t.h5").rename(elsewhere / "t.h5")
    assert run(f"tracks={elsewhere}/t.h5", f"csv={tmp_path}/u.csv")[0] == 0


def test_a_day_that_is_added_keeps_links_decided_by_hand(run, files, tmp_path) -> None:
    write_tracks(tmp_path / "two.h5", track(files[:2]))
    cell = corrected(tmp_path / "two.h5", files[1])
    status, out, err = run(listed(files[::-1]), f"output={tmp_path}/all.h5", f"from={tmp_path}/two.h5")
    assert status == 0, err
    assert "1 links decided by hand taken over" in out
    tracks = read_tracks(tmp_path / "all.h5")
    (row,) = tracks.cell[tracks.cell[:, 1] == cell]
    assert (row >= 0).sum() == 1
    links = Links(tmp_path / "all.h5", files[1])
    assert links.undoable().who == "ann"
    assert run(listed(files), f"output={tmp_path}/two.h5", "overwrite=true")[2].count("from=") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to write"),
        (["csv=a.csv", "output=b.h5"], "output= doesn't go with tracks="),
        (["csv=a.csv", "p=0.9"], "p= doesn't go with tracks="),
    ],
)
def test_nothing_is_tracked_beside_tracks_that_are_there(run, tmp_path, arguments, words: str) -> None:
    status, _, err = run(f"tracks={tmp_path}/t.h5", *arguments)
    assert status == 2
    assert words in err


def test_without_cells_or_tracks_a_line_says_what_is_wanted(run) -> None:
    status, _, err = run()
    assert status == 2
    assert "cells= is required" in err


def test_what_a_page_has_decided_counts_before_it_is_written(files, tmp_path) -> None:
    """While the page is open, or after it was killed: as for whatever else reads the file."""
    path = Path(shutil.copy(files[0], tmp_path / "day.h5"))
    outline = ((5.0, 5.0), (5.0, 12.0), (12.0, 12.0), (12.0, 5.0))
    with open_ledger(path, "Ada", background=False) as ledger:
        ledger.decide_all([Verdict((2,), False), Draw(outline)])
        (before,) = read_footprints(path)
        now = read_cells(path)
        assert before.rows.tolist() == np.flatnonzero(now.accepted).tolist()
        assert before.total == len(now)
    (after,) = read_footprints(path)
    assert (before.found, before.log) == (after.found, after.log)
    assert after.rows.tolist() == before.rows.tolist()
    assert (after.footprints != before.footprints).nnz == 0


def test_a_copy_that_was_decided_on_is_no_session_of_its_own(run, files, tmp_path) -> None:
    path = Path(shutil.copy(files[0], tmp_path / "copy.h5"))
    with open_ledger(path, "Ada", background=False) as ledger:
        ledger.decide_all([Verdict((2,), False)])
    status, _, err = run(listed([*files, path]), f"output={tmp_path}/t.h5")
    assert status == 2
    assert "copy: the same cells as day 0" in err
