"""What may not be read or written is told as that, in one line, before any work is done.

Root may do everything, so its rights are taken from it where the suite runs as root.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from calcium_lightning.io.session_writer import SessionWriter

#: runs command lines of a JSON list, and prints what became of each
RUN = """
import contextlib, importlib, io, json, os, sys
from calcium_lightning.command.start import run
results = []
for name, *arguments in json.loads(sys.argv[1]):
    main = importlib.import_module(f"calcium_lightning.{name}").main
    sys.argv[1:] = arguments
    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(told):
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code
    results.append([status, said.getvalue()])
print(json.dumps(results))
"""


def as_anyone(folder: Path, *lines: list[str]) -> list[tuple[int, str]]:
    """Run commands in a folder, without root's rights."""
    drop: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root's rights can't be taken away: no setpriv (util-linux)")
        drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    command = [*drop, sys.executable, "-c", RUN, json.dumps(lines)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [(status, said) for status, said in json.loads(done.stdout.splitlines()[-1])]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    noise = np.random.default_rng(0).integers(90, 110, (60, 48, 48), np.uint8)
    with SessionWriter(tmp_path / "a.h5", 48, 48, np.uint8, 20.0) as writer:
        writer.append(noise)
    for name in ("closed", "readonly"):
        (tmp_path / name).mkdir()
        shutil.copy(tmp_path / "a.h5", tmp_path / name / "b.h5")
    shutil.copy(tmp_path / "a.h5", tmp_path / "secret.h5")
    (tmp_path / "secret.safetensors").write_bytes(b"x" * 100)
    for name, mode in {"secret.h5": 0, "secret.safetensors": 0, "closed": 0, "readonly": 0o555}.items():
        (tmp_path / name).chmod(mode)
    yield tmp_path
    for name in ("closed", "readonly"):
        (tmp_path / name).chmod(0o755)


def test_what_may_not_be_read_or_written_is_said_as_that(folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    denied = [
        ["extract", "session=closed", "output=o/"],
        ["extract", "session=closed/*.h5", "output=o/"],
        ["extract", "session=closed/b.h5", "output=o.h5"],
        ["extract", "session=secret.h5", "output=o.h5"],
        ["extract", "session=a.h5", "output=readonly/o.h5"],
        ["extract", "session=a.h5", "output=o.h5", "checkpoint=secret.safetensors"],
        ["ingest", "input=closed/b.h5", "output=o.h5"],
        ["evaluate", "cells=secret.h5", "truth=a.h5"],
        ["simulate", "output=readonly/o.h5"],
    ]
    for line, (status, said) in zip(denied, as_anyone(folder, *denied), strict=True):
        assert status == 2, (line, said)
        assert said.count("\n") == 1, (line, said)
        assert "Permission denied" in said, (line, said)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_run_folder_that_can_be_none_is_refused_in_one_line(folder: Path) -> None:
    lines = [
        ["train", "data.sessions=[a.h5]", "hydra.run.dir=/dev/null"],
        ["train", "data.sessions=[a.h5]", "hydra.run.dir=/proc/out"],
        ["train", "data.sessions=[a.h5]", "hydra.run.dir=a.h5"],
        ["train", "data.sessions=[a.h5]", "hydra.run.dir=readonly"],
    ]
    for line, (status, said) in zip(lines, as_anyone(folder, *lines), strict=True):
        assert status == 2, (line, said)
        assert said.count("\n") == 1, (line, said)
