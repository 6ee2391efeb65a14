"""What Windows lacks is taken away, as far as that can be done on another system: commands still do their work."""

from __future__ import annotations

import ast
import errno
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.tiny_session import make_session
from omegaconf import OmegaConf

from calcium_lightning.command.interrupts import heard
from calcium_lightning.command.paths import as_typed
from calcium_lightning.core import system
from calcium_lightning.core.decisions import Verdict
from calcium_lightning.core.errors import InputError
from calcium_lightning.curation.ledger import open_ledger
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.processes.environment import rank_count, started_by_others

PACKAGE = Path(__file__).resolve().parents[2] / "calcium_lightning"
MISSING = {
    os: (
        "pwrite",
        "preadv",
        "pread",
        "sysconf",
        "statvfs",
        "getuid",
        "killpg",
        "getpgrp",
        "sched_getaffinity",
    ),
    select: ("poll",),
    signal: ("pthread_kill", "SIGHUP", "SIGKILL", "SIGUSR1"),
}
#: modules that Windows' Python hasn't
UNIX = {"fcntl", "grp", "pwd", "resource", "termios"}


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take functions away that Windows hasn't, and the opening of folders."""
    for module, names in MISSING.items():
        for name in names:
            monkeypatch.delattr(module, name, raising=False)
    monkeypatch.setattr(system, "WINDOWS", True)
    monkeypatch.setenv("USERNAME", "somebody")
    opened = os.open

    def refuse(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if isinstance(path, str | Path) and Path(path).is_dir() and "dir_fd" not in more:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)


def test_no_module_needs_what_only_unix_has() -> None:
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:  # at its top: what a command imports
            names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
            if UNIX & {*names, *([node.module] if isinstance(node, ast.ImportFrom) else [])}:
                found.append(str(path))
    assert found == []


@pytest.mark.usefixtures("bare")
def test_a_recording_becomes_cells_a_page_and_decisions(
    run_command: Callable[..., Any], tmp_path: Path
) -> None:
    np.save(tmp_path / "frames.npy", np.random.default_rng(0).integers(0, 99, (20, 24, 24), np.uint8))
    assert run_command("ingest", "input=frames.npy", "output=other.h5", "fps=20").status == 0
    make_session(tmp_path / "session.h5")
    extracted = run_command("extract", "session=session.h5", "output=cells.h5", "cell_diameter=6")
    assert (extracted.status, extracted.stderr.count("Traceback")) == (0, 0)
    assert run_command("report", "cells=cells.h5", "output=report.html").status == 0
    assert run_command("export", "cells=cells.h5", "output=cells.csv", "format=csv").status == 0
    with open_ledger(tmp_path / "cells.h5", "Ada", background=False) as ledger:
        accepted = bool(ledger.cells.accepted[0])
        ledger.decide(Verdict((0,), not accepted))
    assert bool(read_cells(tmp_path / "cells.h5").accepted[0]) != accepted


def test_places_in_a_file_without_pread(tmp_path: Path, bare: None) -> None:
    with (tmp_path / "scratch").open("w+b", buffering=0) as file:
        assert system.write_at(file.fileno(), memoryview(b"abcdef"), 4) == 6
        buffer = bytearray(8)
        assert system.read_at(file.fileno(), memoryview(buffer), 6) == 4
        assert bytes(buffer) == b"cdef\0\0\0\0"


def test_a_folder_that_cannot_be_opened_is_no_failure(tmp_path: Path, bare: None) -> None:
    system.sync(tmp_path)
    (tmp_path / "file").write_bytes(b"1")
    system.sync(tmp_path / "file")


def test_ctrl_c_that_was_swallowed_is_given_again_without_threads_signals(bare: None) -> None:
    class Swallows:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def swallow_and_wait() -> None:
        with heard():
            Swallows()
            for _ in range(6000):
                time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        swallow_and_wait()


def test_a_lock_is_one_process_s(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("ab") as ours, (tmp_path / "lock").open("ab") as theirs:
        assert system.lock(ours.fileno())
        assert not system.lock(theirs.fileno(), wait=False)
    with (tmp_path / "lock").open("ab") as theirs:
        assert system.lock(theirs.fileno(), wait=False)


@pytest.mark.parametrize("devices", [2, [0, 1], "2"])
def test_several_processes_are_refused_on_windows(
    devices: Any, bare: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="2 processes: one run has one process on Windows"):
        rank_count(OmegaConf.create({"devices": devices}))
    assert rank_count(OmegaConf.create({"devices": 1})) == 1
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="WSL 2"):
        started_by_others()


@pytest.mark.parametrize(
    "path", [r"C:\data\rec.avi", r"\\server\share\a b.h5", r"C:\data\(old)\x.h5", r"D:\[1]\x.h5"]
)
def test_a_path_with_backslashes_is_that_path(path: str, bare: None) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    typed = as_typed("extract", [f"session={path}"], sweeping=False)
    assert OverridesParser.create().parse_override(typed[0]).value() == path
