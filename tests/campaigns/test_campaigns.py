"""Small slices of the campaigns, the same each time. All of them: ``make fuzz``, ``make kill``, ``campaigns.each``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import h5py
import pytest
from campaigns import each
from campaigns.damage import every
from helpers.example_cells import make_example

from calcium_lightning.io.cells_file import write_cells

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize("campaign", [("fuzz", "--count=8", "--seed=11"), ("kill", "--count=2", "--seed=5")])
def test_a_slice_finds_no_fault(tmp_path: Path, campaign: tuple[str, ...]) -> None:
    name, *arguments = campaign
    keep = [f"--keep={tmp_path}"] if name == "fuzz" else []
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", f"campaigns.{name}", *arguments, *keep],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_slice_of_each_damage_to_cells_is_read_or_refused(tmp_path: Path) -> None:
    write_cells(tmp_path / "whole.h5", make_example(4, 30)[0])
    place, said = tmp_path / "a.h5", set()
    for _, change in islice(every.of_hdf5(tmp_path / "whole.h5"), 7, None, 61):
        shutil.copy2(tmp_path / "whole.h5", place)
        with h5py.File(place, "r+") as file:
            change(file)
        said.add(each.outcome(each.cells, place))
    assert said == {"read", "refused"}
