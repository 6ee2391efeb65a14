"""Tests fork their commands from a process that has loaded the libraries: it makes no difference to a command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.forked import Forked

PLACE = (
    "import os, sys; print(os.getcwd(), os.environ.get('PLACE'), sys.argv, sys.path, __name__, file=sys.{})"
)
ENDS = "import atexit; atexit.register(print, 'at the end'); raise SystemExit('a word')"
FAILS = "print('begun'); raise ValueError('no more')"
KILLED = "import os; print('begun', flush=True); os.kill(os.getpid(), 15)"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere tests start each command anew")
@pytest.mark.parametrize("code", [PLACE.format("stdout"), PLACE.format("stderr"), ENDS, FAILS, KILLED])
def test_a_forked_module_is_like_one_that_python_starts(code: str, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/module.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}/own", "PLACE": "here"}
    forked = Forked("module", ["a=1", "ü"], tmp_path, environment)
    command = [sys.executable, "-m", "module", "a=1", "ü"]
    started = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    stdout, stderr = forked.communicate(timeout=60)
    below = [line for line in stderr.splitlines() if "forked.py" not in line and "fork_commands" not in line]
    above = started.stderr.splitlines()
    assert (forked.returncode, stdout) == (started.returncode, started.stdout)
    assert below[-1:] == above[-1:]
    assert set(above) <= set(below) or code != FAILS
    assert stdout or stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere tests start each command anew")
def test_a_forked_command_is_told_to_stop_and_waited_for(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("import time; print('begun', flush=True); time.sleep(99)")
    forked = Forked("module", [], tmp_path, os.environ)
    assert forked.stdout.readline() == "begun\n"
    assert forked.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        forked.communicate(timeout=0.1)
    forked.send_signal(signal.SIGTERM)
    assert forked.communicate(timeout=60) == ("", "")
    assert forked.returncode == -signal.SIGTERM
