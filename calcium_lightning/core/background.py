"""A thread that is really waited for, Ctrl-C while waiting included.

Knows threads; nothing of what they do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class BackgroundThread(threading.Thread):
    """A daemon thread whose :meth:`join` may be interrupted and given again.

    Python up to 3.12 takes a thread for ended when Ctrl-C comes during ``join``; the next ``join`` then
    returns at once, and a thread that is in Torch's code while the interpreter ends aborts the process.

    Parameters
    ----------
    work : callable
        What it does.
    name : str
        For debuggers.
    """

    def __init__(self, work: Callable[[], object], name: str) -> None:
        super().__init__(target=work, name=name, daemon=True)
        self._over = threading.Event()

    def run(self) -> None:
        """Work."""
        try:
            super().run()
        finally:
            self._over.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the work is done, or for so many seconds."""
        if self._over.wait(timeout):
            super().join()
