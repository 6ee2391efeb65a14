"""A test whose processes hang says where they do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from helpers.tiny_training import finish, processes_in, start

HANGS = """
import subprocess, sys, time

def waits_for_the_other():
    subprocess.run([sys.executable, "-c", "import time\\ndef waits_for_ever(): time.sleep(99)\\nwaits_for_ever()"])

waits_for_the_other()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_hangs_and_what_it_has_started_are_ended_and_shown(tmp_path: Path) -> None:
    process = start("-c", HANGS, cwd=tmp_path)
    with pytest.raises(AssertionError, match="hangs after 2 s") as told:
        finish(process, seconds=2)
    for place in ("waits_for_the_other", "waits_for_ever"):
        assert f"in {place}" in str(told.value)
    assert processes_in(tmp_path) == []
