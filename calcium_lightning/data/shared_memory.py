"""Whether batches fit into memory, and those that workers read ahead into what processes share.

Of the latter, containers have 64 MB unless they are told otherwise; a worker that finds none is killed, or
waits for ever.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from calcium_lightning.core import system
from calcium_lightning.core.errors import InputError

#: where Linux has it
PLACE = Path("/dev/shm")
#: batches that each worker reads ahead (Torch's own), and one in the making
AHEAD = 3
#: processes that keep a graphics card fed, about
GPU_WORKERS = 4


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
    memory = system.memory()
    if batch_bytes > memory / 2:
        raise InputError(
            f"{setting}: a batch has {batch_bytes / 1e9:.3g} GB, this machine {memory / 1e9:.3g} GB of memory"
        )


def workers_that_fit(workers: int | None, device: str, batch_bytes: int) -> int:
    """As many workers as were asked for, or are usual; none if shared memory has no room.

    Parameters
    ----------
    workers : int, optional
        Asked for.
    device : str
        What is trained on: ``"cpu"``, ``"cuda"``.
    batch_bytes : int
        Of a batch, over all processes of this machine.
    """
    if workers is None:
        workers = min(GPU_WORKERS, (os.cpu_count() or 1) - 1) if device == "cuda" else 0
    if not workers or not hasattr(os, "statvfs") or not PLACE.is_dir():
        return workers
    state = os.statvfs(PLACE)
    free, needed = state.f_bavail * state.f_frsize, workers * AHEAD * batch_bytes
    if free >= needed:
        return workers
    print(
        f"{PLACE}: {free / 1e6:.3g} MB are free, data.workers={workers} would need {needed / 1e6:.3g}: "
        "goes on without workers (docker run --shm-size=1g gives more)",
        file=sys.stderr,
    )
    return 0
