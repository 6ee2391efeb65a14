"""Names of files that aren't UTF-8, as disks from elsewhere have them, work in every command."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.example_cells import make_example
from helpers.tiny_session import make_session

from calcium_lightning.io.cells_file import read_cells, write_cells
from calcium_lightning.io.tracks_file import read_tracks


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_folder_whose_name_is_no_text(run_command, tmp_path: Path) -> None:
    name = os.fsdecode(b"M\xe4use")
    folder = tmp_path / name
    folder.mkdir()
    make_session(folder / "s.h5")
    cells, _ = make_example(24, 60)
    for day in range(2):
        of_day = replace(cells, traces=cells.traces + day, session_sha256=f"{day}")
        write_cells(folder / f"day{day}{name}.h5", of_day)
    days = f"cells=[{name}/day0{name}.h5,{name}/day1{name}.h5]"
    lines = [
        ["extract", f"session={name}/s.h5", f"output={name}/c.h5", "detector=bandpass", "cell_diameter=6"],
        *[["export", f"cells={name}/c.h5", f"output={name}/{out}"] for out in ("c.nwb", "c.nc", "c.parquet")],
        ["report", days, f"output={name}/pages"],
        ["track", days, f"output={name}/t.h5", f"page={name}/t.html", f"csv={name}/t.csv"],
        ["compare", days, f"output={name}/c.html"],
    ]
    for command, *arguments in lines:
        done = run_command(command, *arguments)
        assert done.status == 0, (command, arguments, done.stderr)
    assert read_cells(folder / "c.h5").session == f"{name}/s.h5"
    assert [session.path for session in read_tracks(folder / "t.h5").sessions] == days[7:-1].split(",")
    assert "M?use" in (folder / "pages/index.html").read_text()
