"""Ctrl-C is heard wherever it comes."""

import signal
import sys
import threading
import time
import weakref

import pytest

from calcium_lightning.command.interrupts import heard


class Thing:
    pass


def test_ctrl_c_raises():
    def work():
        with heard():
            signal.raise_signal(signal.SIGINT)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        work()


def test_ctrl_c_in_a_weak_references_callback_is_given_again():
    """Python prints "Exception ignored in" there and goes on: an ingest once ran on for ever."""
    swallowed = []

    def callback(_):
        swallowed.append(True)
        signal.raise_signal(signal.SIGINT)

    things = [Thing()]
    reference = weakref.ref(things[0], callback)
    went_on = []

    def work():
        with heard():
            things.clear()
            went_on.append(reference() is None)  # the first one was dropped
            time.sleep(20)

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        work()
    assert swallowed == [True]
    assert went_on == [True]
    assert time.monotonic() - begin < 10


def test_other_dropped_exceptions_are_printed_as_ever(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: seen.append(dropped.exc_type))

    class Falls:
        def __del__(self):
            raise ArithmeticError

    with heard():
        Falls()
    assert seen == [ArithmeticError]


def test_everything_is_as_before_afterwards():
    handler, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    with heard() as came:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert came == [signal.SIGINT]
        assert sys.unraisablehook is not hook
    assert signal.getsignal(signal.SIGINT) is handler
    assert sys.unraisablehook is hook


def test_outside_the_main_thread_nothing_is_done():
    hook, inside = sys.unraisablehook, []

    def work():
        with heard():
            inside.append(sys.unraisablehook)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [hook]
