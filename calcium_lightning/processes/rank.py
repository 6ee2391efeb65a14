"""One process of a job, as :mod:`~calcium_lightning.processes.launch` starts it.

Reads one line of JSON from standard input: the task, the job's composed config, its folder, where to tell a
failure. What the task does is not known here.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import pkgutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from calcium_lightning.command.interrupts import heard


def main() -> int:
    """Run the task as one of several processes; the exit status is the command's."""
    try:
        with heard(ending=()):  # who waits for the other processes hears no Python
            order = json.loads(sys.stdin.readline())
            watch_parent()
            return _run(order)
    except KeyboardInterrupt:
        return 130
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1


def _run(order: dict[str, Any]) -> int:
    from omegaconf import OmegaConf

    from calcium_lightning.core.parts import add_folders
    from calcium_lightning.processes.process import Failure

    rank = int(os.environ["RANK"])
    add_folders(order["modules"])
    try:
        task = pkgutil.resolve_name(order["task"])
        task(OmegaConf.create(order["config"]), Path(order["folder"]), order["job"], ranked=True)
    except Exception as error:
        told = Path(order["failure"])
        with contextlib.suppress(OSError):
            told.write_bytes(pickle.dumps(Failure.of(error, rank)))
        return 1
    return 0


def watch_parent() -> None:
    """End this process, and its own, when the one that started it is gone (the end of its standard input)."""

    def wait() -> None:
        sys.stdin.read()
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="watch_parent").start()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # a process group that has lost a member may hang on its way out
