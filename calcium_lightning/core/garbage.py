"""Python's garbage collector, kept out of the way while a process loads what it works with.

Loading Torch and Lightning makes some 700,000 objects that stay. The collector goes through them again and
again while they come, and once more when the process ends: two fifths of what starting a training takes.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


class _State:
    loaded = False


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Collect nothing inside the block, and never go through what there is at its end.

    Only the first block of a process does so: what comes later is work, whose garbage is to be found. For
    processes of our own, as everything that exists at the end of the block stays.
    """
    if _State.loaded or not gc.isenabled():
        yield
        return
    _State.loaded = True
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
