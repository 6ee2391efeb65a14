"""Whether batches fit into memory, and those that workers read ahead into what processes share.

Of the latter, containers have 64 MB unless they are told otherwise; a worker that finds none is killed, or
waits for ever.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from calcium_lightning.core.errors import InputError

#: where Linux has it
PLACE = Path("/dev/shm")
#: batches that each worker reads ahead (Torch's own), and one in the making
AHEAD = 3


def check_batch(setting: str, batch_bytes: int) -> None:
    """Refuse batches of which this machine could not hold two.

    Parameters
    ----------
    setting : str
        What makes them so large, as typed.
    batch_bytes : int
        Of a batch.

    Raises
    ------
    InputError
        Saying how much there is.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if batch_bytes > memory / 2:
        raise InputError(
            f"{setting}: a batch has {batch_bytes / 1e9:.3g} GB, this machine {memory / 1e9:.3g} GB of memory"
        )


def workers_that_fit(workers: int, batch_bytes: int) -> int:
    """As many workers as were asked for, or none where shared memory is too small for what they hold.

    Parameters
    ----------
    workers : int
        Asked for.
    batch_bytes : int
        Of a batch.
    """
    if not workers or not PLACE.is_dir():
        return workers
    state = os.statvfs(PLACE)
    free, needed = state.f_bavail * state.f_frsize, workers * AHEAD * batch_bytes
    if free >= needed:
        return workers
    print(
        f"{PLACE}: {free >> 20} MB are free, data.workers={workers} would need {max(1, needed >> 20)}: "
        "goes on without workers (docker run --shm-size=1g gives more)",
        file=sys.stderr,
    )
    return 0
