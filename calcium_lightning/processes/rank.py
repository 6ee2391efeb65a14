"""One process of a job, as :mod:`~calcium_lightning.processes.launch` starts it.

Reads one line of JSON from standard input: the task, the job's composed config, its folder, the descriptor
of the file that a failure is told in. What the task does is not known here.
"""

from __future__ import annotations

import contextlib
import json
import os
import pkgutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from calcium_lightning.command.interrupts import heard
from calcium_lightning.core.garbage import loading


def main() -> int:
    """Run the task as one of several processes; the exit status is the command's."""
    try:
        with heard(ending=()):  # who waits for the other processes hears no Python
            with os.fdopen(os.dup(0), "rb", buffering=0) as orders:
                order = json.loads(orders.readline())
            watch_parent()
            return _run(order)
    except KeyboardInterrupt:
        return 130
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1


def _run(order: dict[str, Any]) -> int:
    from omegaconf import OmegaConf

    from calcium_lightning.core.parts import add_folders
    from calcium_lightning.processes.failure import Failure

    rank = int(os.environ["RANK"])
    add_folders(order["modules"])
    try:
        _join(order["listening"])
        task = pkgutil.resolve_name(order["task"])
        task(OmegaConf.create(order["config"]), Path(order["folder"]), order["job"], ranked=True)
    except Exception as error:
        with contextlib.suppress(OSError), os.fdopen(order["failure"], "wb") as told:
            told.write(Failure.of(error, rank).written())
        return 1
    return 0


def _join(listening: int | None) -> None:
    """Join the processes of this machine; Lightning does it where there are several machines.

    torch would let the store listen on all interfaces; here it gets a socket of process 0's that doesn't.
    """
    from datetime import timedelta

    with loading():
        from torch import cuda, distributed

    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if size > int(os.environ["LOCAL_WORLD_SIZE"]):
        return
    store = distributed.TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        size,
        is_master=rank == 0,
        timeout=timedelta(minutes=30),
        master_listen_fd=listening,
    )
    backend = "cpu:gloo,cuda:nccl" if cuda.is_available() and distributed.is_nccl_available() else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size)


def watch_parent() -> None:
    """End this process, and its own, when the one that started it is gone (the end of its standard input).

    Reads the descriptor itself: a fork copies the lock of ``sys.stdin`` as this thread would hold it, and a
    worker that reads ahead would wait for it for ever.
    """

    def wait() -> None:
        while os.read(0, 4096):
            pass
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="watch_parent").start()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # a process group that has lost a member may hang on its way out
