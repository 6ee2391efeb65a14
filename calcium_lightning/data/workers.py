"""Processes that read batches ahead and are no more: killed for memory, by a person, or by a crash.

For: one line in place of what Torch says of it, which depends on what the training was just waiting for, and
no training that waits for a batch that will never come.
Must not know: what is read, or trained.
"""

from __future__ import annotations

import multiprocessing.queues
import os
import re
import traceback
from typing import Any

#: a loader's own words for it, and those of the kernel's signal
TOLD = re.compile(r"DataLoader worker \(pid(?:\(s\))? ?[\d, ]*\) (?P<how>[^.]{1,80})")
#: where a batch is taken over from a worker: a socket that is closed, or gone, raises there
HANDED_OVER = "torch.multiprocessing.reductions"
#: what Torch says where shared memory is full
FULL = "shared memory(shm)"
#: what a queue's thread does with an error; the standard library keeps it for its own executors
HOOK = "_on_queue_feeder_error"
ADVICE = "the same command with data.workers=0 goes on without such processes"


def lost_worker(error: BaseException) -> str:
    """What the user is told where an error means that a worker is gone; empty where it means anything else.

    Examples
    --------
    >>> lost_worker(RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "))[:67]
    'a process that reads batches ahead has ended (is killed by signal: '
    >>> lost_worker(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    ''
    """
    how = ""
    if isinstance(error, RuntimeError) and (told := TOLD.search(str(error))):
        how = told["how"]
    elif isinstance(error, OSError | EOFError) and _came_through(error, HANDED_OVER):
        how = "in the middle of a batch"
    if not how:
        return ""
    return f"a process that reads batches ahead has ended ({how}): is memory, or /dev/shm, short? {ADVICE}"


def end_when_full() -> None:
    """Let this process end if it can't hand a batch over, as where shared memory is full.

    A queue's own thread would print what happened and drop the batch, and the training would wait for it for
    ever. To be called in a worker.
    """
    setattr(multiprocessing.queues.Queue, HOOK, staticmethod(_end))


def _end(error: Exception, _: Any) -> None:
    if FULL not in str(error):
        traceback.print_exception(error)
    os._exit(1)


def _came_through(error: BaseException, module: str) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == module:
            return True
        trace = trace.tb_next
    return False
