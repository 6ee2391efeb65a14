"""Whole processes, those that they start included: how long they take, and the most memory that they hold.

A process is started by a small one, this file run as a script: Linux counts the memory of whoever starts a
process as the process's own, until it runs something else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Run:
    """What one process took.

    Attributes
    ----------
    seconds : float
        From its start to its end.
    cpu_seconds : float
        Of all its threads, and of the processes that it started.
    peak_mb : float
        Largest resident set, megabytes; of it and those that it started together, as seen ten times a second.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float


def run(command: Sequence[str]) -> Run:
    """Run a command to its end.

    Raises
    ------
    SystemExit
        If it fails, with what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        report, said = Path(folder) / "report.json", Path(folder) / "said"
        with said.open("wb") as output:
            starter = [sys.executable, "-I", __file__, str(report), *command]
            status = subprocess.run(starter, stdout=output, stderr=output, check=False).returncode
        if status:
            told = said.read_text(errors="replace")
            sys.exit(f"{' '.join(command)} ended with {status}:\n{told}")
        return Run(**json.loads(report.read_text()))


def _start(report: Path, command: Sequence[str]) -> int:
    start = time.perf_counter()
    process = subprocess.Popen(command)
    ended, together = threading.Event(), [0.0]
    looking = threading.Thread(target=_look, args=(process.pid, ended, together))
    looking.start()
    _, status, usage = os.wait4(process.pid, 0)
    ended.set()
    looking.join()
    took = {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        # Linux counts in kilobytes, macOS in bytes.
        "peak_mb": max(usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3), together[0]),
    }
    report.write_text(json.dumps(took), encoding="utf-8")
    return os.waitstatus_to_exitcode(status)


def _look(pid: int, ended: threading.Event, together: list[float]) -> None:
    """Keep the largest sum of the resident sets of a process and those below it, megabytes."""
    while not ended.wait(0.1):
        total = 0
        with suppress(psutil.Error):
            one = psutil.Process(pid)
            for each in (one, *one.children(recursive=True)):
                with suppress(psutil.Error):
                    total += each.memory_info().rss
        together[0] = max(together[0], total / 1e6)


if __name__ == "__main__":
    sys.exit(_start(Path(sys.argv[1]), sys.argv[2:]))
