"""Work in another thread: one that is really waited for, Ctrl-C included, and the next item of a stream.

Knows threads; nothing of what they do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

Item = TypeVar("Item")


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


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items in order, the next one made in another thread while one is used.

    Errors come where the item would. Whoever stops early waits until the item that is being made is there,
    and closes the generator that makes them.
    """
    iterator, end, context = iter(items), object(), copy_context()

    def following() -> Any:
        return next(iterator, end)

    with ThreadPoolExecutor(1, "ahead") as pool:
        try:
            waiting = pool.submit(context.run, following)
            while (item := waiting.result()) is not end:
                waiting = pool.submit(context.run, following)
                yield item
                del item  # not held while the next one is waited for
        finally:
            if close := getattr(iterator, "close", None):
                pool.submit(context.run, close).result()
