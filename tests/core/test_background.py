"""Threads that are waited for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from calcium_lightning.core.background import BackgroundThread, ahead


def test_a_thread_is_waited_for_after_ctrl_c_while_waiting() -> None:
    released, done = threading.Event(), []
    thread = BackgroundThread(lambda: done.append(released.wait(10)), "work")
    thread.start()
    main = threading.main_thread().ident
    threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        thread.join()
    threading.Timer(0.05, released.set).start()
    thread.join()
    assert done == [True]


def test_it_is_waited_for_as_long_as_is_said() -> None:
    released = threading.Event()
    thread = BackgroundThread(released.wait, "work")
    thread.start()
    thread.join(0.01)
    assert thread.is_alive()
    released.set()
    thread.join()
    assert not thread.is_alive()


def test_items_made_ahead_come_in_order_and_errors_with_them() -> None:
    def read(span: tuple[int, int]) -> list[int]:
        if span[0] == 6:
            raise OSError("gone")
        return list(range(*span))

    items = ahead(map(read, [(0, 3), (3, 6), (6, 9)]))
    assert [next(items) for _ in range(2)] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(OSError, match="gone"):
        next(items)
    assert list(ahead([])) == []


def test_the_next_item_is_made_while_one_is_used() -> None:
    begun = threading.Event()

    def made() -> Iterator[int]:
        yield 0
        begun.set()
        yield 1

    items = ahead(made())
    assert next(items) == 0
    assert begun.wait(10)
    assert list(items) == [1]


def test_who_stops_early_closes_what_makes_the_items() -> None:
    closed = []

    def made() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            closed.append(threading.current_thread() is not threading.main_thread())

    items = ahead(made())
    next(items)
    items.close()
    assert closed == [True]
