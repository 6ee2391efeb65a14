"""A test whose processes hang says where they do."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from helpers.tiny_training import finish, processes_in, start

WAITS = """
import pathlib, time

def waits_for_ever():
    pathlib.Path("waiting").touch()
    time.sleep(99)

waits_for_ever()
"""
HANGS = f"""
import subprocess, sys

def waits_for_the_other():
    subprocess.run([sys.executable, "-c", {WAITS!r}])

waits_for_the_other()
print("went on")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_hangs_and_what_it_has_started_are_ended_and_shown(tmp_path: Path) -> None:
    process = start("-c", HANGS, cwd=tmp_path)
    while not (tmp_path / "waiting").exists():
        assert process.poll() is None
        time.sleep(0.01)
    with pytest.raises(AssertionError, match=r"hangs after 0\.1 s") as told:
        finish(process, seconds=0.1)
    for place in ("waits_for_the_other", "waits_for_ever"):
        assert f"in {place}" in str(told.value)
    assert processes_in(tmp_path) == []
