"""A batch of sessions: one that fails stops no other, and the end says how it went with each."""

from __future__ import annotations

import errno
import shutil
import time

import pytest
from helpers.tiny_session import make_session

from calcium_lightning.command.batch import NOTES, run_batch
from calcium_lightning.command.failures import EXIT_FAILURE, EXIT_INPUT, BatchFailed
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.cells_file import read_cells

BANDPASS = ("detector=bandpass", "cell_diameter=6")


def items(*names: str) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


def test_one_item_is_done_as_if_there_were_no_batch(capsys):
    run_batch("extract", items("a"), lambda _: {"cells": "3"})
    assert capsys.readouterr() == ("", "")

    def fail(_):
        raise InputError("a: bad")

    with pytest.raises(InputError, match="a: bad"):
        run_batch("extract", items("a"), fail)


def test_failures_are_told_at_once_and_named_at_the_end(capsys):
    done = []

    def look(name):
        if name == "b":
            raise InputError("b: damaged")

    def work(name):
        if name == "c":
            raise InputError("c: too short")
        done.append(name)
        return {"cells": f"{len(done)} of 9", "false discoveries": "5 %", NOTES: "2 hot pixels"}

    with pytest.raises(BatchFailed) as failed:
        run_batch("extract", items("a", "b", "c", "d"), work, look=look)
    assert (failed.value.status, str(failed.value)) == (EXIT_INPUT, "2 of 4 sessions failed: b, c")
    assert done == ["a", "d"]
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert lines[:2] == ["error: b: damaged", "[1 of 3] a"]
    assert lines[2].startswith("[2 of 3] c, about ")
    assert lines[2].endswith(" left")
    assert "error: c: too short" in lines
    rows = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in out.splitlines()
        if line.startswith("│")
    }
    assert "false discoveries" in out  # a column of the row's own
    assert rows["a"][:2] == ["1 of 9", "5 %"]
    assert rows["b"][0] == "failed"
    assert rows["b"][-1] == "b: damaged"
    assert rows["d"][-1] == "2 hot pixels"


def test_a_mistake_of_ours_has_its_traceback_and_status(capsys):
    def work(name):
        if name == "b":
            raise KeyError("our own mistake")
        return {}

    with pytest.raises(BatchFailed) as failed:
        run_batch("extract", items("a", "b", "c"), work)
    assert failed.value.status == EXIT_FAILURE
    assert capsys.readouterr().err.count("Traceback") == 1


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full", "c.h5"), BrokenPipeError()]
)
def test_what_would_stop_the_others_too_ends_the_batch(error):
    done = []

    def work(name):
        done.append(name)
        raise error

    with pytest.raises(type(error)):
        run_batch("extract", items("a", "b"), work)
    assert done == ["a"]


def test_what_remains_is_told_in_minutes_where_it_is_long(capsys, monkeypatch):
    clock = iter([0.0, 0.0, 0.0, 60.0, 60.0, 60.0, 120.0, 120.0, 120.0, 180.0, 180.0, 180.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock, 180.0))
    run_batch("extract", items("a", "b", "c"), lambda _: {})
    assert "[2 of 3] b, about 2 min left" in capsys.readouterr().err


def test_a_tree_of_sessions_in_one_command(run_command, tmp_path):
    """Some broken, two of one name; what is there already is not done again."""
    good = make_session(tmp_path / "good.h5")
    for place in ("m1/day 1.h5", "m1/day2.h5", "m2/day 1.h5", "m2/deep/2026_03_04.h5"):
        (tmp_path / "data" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(good, tmp_path / "data" / place)
    (tmp_path / "data/m2/empty.h5").touch()
    (tmp_path / "data/m2/cut.h5").write_bytes(good.read_bytes()[:5000])
    command = ("session=data", "output=cells", *BANDPASS)
    outcome = run_command("extract", *command)
    assert outcome.status == 2
    written = sorted((tmp_path / "cells").rglob("*.h5"))
    assert [path.relative_to(tmp_path / "cells").as_posix() for path in written] == [
        "m1/day 1.cells.h5",
        "m1/day2.cells.h5",
        "m2/day 1.cells.h5",
        "m2/deep/2026_03_04.cells.h5",
    ]
    told = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
    assert told[0].startswith("error: data/m2/cut.h5: ")
    assert told[1].startswith("error: data/m2/empty.h5: ")
    assert told[2:] == ["error: 2 of 6 sessions failed: m2/cut, m2/empty"]
    assert "4 of 6 sessions" in outcome.stdout
    for heading in ("session", "cells", "motion", "seconds", "warnings"):
        assert heading in outcome.stdout
    cells = read_cells(written[0])
    assert f"{cells.accepted.sum()} of {len(cells)}" in outcome.stdout
    before = [path.stat().st_mtime_ns for path in written]
    again = run_command("extract", *command)
    assert again.status == 2
    assert again.stdout.count("there already, of this session with these settings") == 4
    assert [path.stat().st_mtime_ns for path in written] == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells", "data", "good.h5"]
    # The cells of a folder, in one command too.
    assert run_command("report", "cells=cells", "output=pages").status == 0
    assert len(list((tmp_path / "pages").rglob("*.html"))) == 5  # and one of them all
    assert run_command("export", "cells=cells/**/*.h5", "output=tables", "format=csv").status == 0
    assert (tmp_path / "tables/m2/day 1.cells_csv/cells.csv").is_file()
