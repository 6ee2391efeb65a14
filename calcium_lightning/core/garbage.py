"""Python's garbage collector, kept out of the way while a process loads what it works with.

Loading Torch and Lightning makes very many objects that stay. The collector goes through them again and again
while they come, and once more when the process ends.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

#: modules; who loads fewer has worked before, and its garbage is not to be kept
MANY = 200


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Collect nothing inside the block, and never go through what there is at its end if it loaded much.

    For imports, in processes of our own, as everything that exists then stays.
    """
    if not gc.isenabled():
        yield
        return
    before = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) - before > MANY:
            gc.freeze()
        gc.enable()
