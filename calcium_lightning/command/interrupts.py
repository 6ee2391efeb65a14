"""Ctrl-C that is heard, wherever Python happened to be.

Knows signals; knows nothing of commands.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

#: s until a swallowed Ctrl-C is given again: the callback that swallowed it has returned by then
AGAIN_S = 0.05


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Let Ctrl-C raise ``KeyboardInterrupt`` inside the block, for certain.

    An exception in a destructor or in a weak reference's callback is printed by Python and dropped, so that
    a Ctrl-C that comes just then would be lost: it is given again. Outside the main thread, where signals
    are somebody else's, nothing is done.
    """
    try:
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    except ValueError:
        yield
        return
    hook = sys.unraisablehook

    def again(dropped: Any) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            hook(dropped)
            return
        timer = threading.Timer(AGAIN_S, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
        timer.daemon = True
        timer.start()

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, handler)
