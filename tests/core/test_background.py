"""Threads that are waited for."""

from __future__ import annotations

import signal
import threading

import pytest

from calcium_lightning.core.background import BackgroundThread


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
