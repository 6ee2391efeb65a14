"""Small slices of the campaigns: the same seeds each time. All of them: ``make fuzz``, ``make kill``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize("campaign", [("fuzz", "--count=20", "--seed=11"), ("kill", "--count=3", "--seed=5")])
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
