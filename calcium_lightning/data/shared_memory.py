"""Whether the batches that workers read ahead fit into the memory that processes share.

Containers have 64 MB of it unless they are told otherwise; a worker that finds none is killed, or waits for
ever.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: where Linux has it
PLACE = Path("/dev/shm")
#: batches that each worker reads ahead (Torch's own), and one in the making
AHEAD = 3


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
