"""Processes that read batches ahead and are no more: killed for memory, by a person, or by a crash.

For: one line in place of what Torch says of it, which depends on what the training was just waiting for.
Must not know: what is read, or trained.
"""

from __future__ import annotations

import re

#: a loader's own words for it, and those of the kernel's signal
TOLD = re.compile(r"DataLoader worker \(pid(?:\(s\))? ?[\d, ]*\) (?P<how>[^.]{1,80})")
#: where a batch is taken over from a worker: a socket that is closed, or gone, raises there
HANDED_OVER = "torch.multiprocessing.reductions"
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
    short = "shared memory" if "Bus error" in how else "memory"
    return f"a process that reads batches ahead has ended ({how}): is {short} short? {ADVICE}"


def _came_through(error: BaseException, module: str) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == module:
            return True
        trace = trace.tb_next
    return False
