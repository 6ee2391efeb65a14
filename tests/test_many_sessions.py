"""A lab's tree of sessions, three of them broken, in one command."""

from __future__ import annotations

import shutil

from helpers.tiny_session import make_session

from calcium_lightning.io.cells_file import read_cells

BANDPASS = ("detector=bandpass", "cell_diameter=6", "fdr=1")


def test_twenty_sessions_of_which_three_are_broken(run_command, tmp_path):
    one = make_session(tmp_path / "one.h5", frames=24, size=(32, 32), cells=2)
    tree = tmp_path / "tree"
    sessions = [tree / f"mouse{k // 4}" / f"day {k % 4}" / "session.h5" for k in range(20)]
    for path in sessions:
        path.parent.mkdir(parents=True)
        shutil.copyfile(one, path)
    sessions[7].write_bytes(one.read_bytes()[:2000])
    sessions[12].write_bytes(b"")
    sessions[17].write_bytes(b"not HDF5 at all" * 100)
    outcome = run_command("extract", "session=tree", "output=cells", *BANDPASS)
    assert outcome.status == 2
    made = sorted((tmp_path / "cells").rglob("*.cells.h5"))
    assert len(made) == 17
    assert len(read_cells(made[0]).traces.T) == len(read_cells(made[-1]).traces.T)
    errors = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 4
    assert [str(sessions[k].relative_to(tmp_path)) in "".join(errors[:3]) for k in (7, 12, 17)] == [True] * 3
    assert errors[3].startswith("error: 3 of 20 sessions failed: ")
    assert "17 of 20 sessions" in outcome.stdout
    assert outcome.stdout.count("failed") == 3
    # the same again makes only what is missing
    shutil.copyfile(one, sessions[7])
    stamps = {path: path.stat().st_mtime_ns for path in made}
    again = run_command("extract", "session=tree", "output=cells", *BANDPASS)
    assert "18 of 20 sessions" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in made} == stamps
    assert len(list((tmp_path / "cells").rglob("*.cells.h5"))) == 18
