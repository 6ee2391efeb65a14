"""Ctrl-C is heard wherever it comes."""

import signal
import sys
import threading
import time
import weakref

import pytest

from calcium_lightning.command.interrupts import Terminated, heard, held_back


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


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_while_libraries_are_imported_a_signal_waits(number, raised):
    """An exception in the middle of one written in C++ ends the process with an abort."""
    went_on = []

    def load():
        with held_back():
            signal.raise_signal(number)
            went_on.append(len(came))
            raise ImportError  # whatever else happens, the signal is what is told

    with heard() as came, pytest.raises(raised):
        load()
    assert went_on == [0]
    assert came == [number]


def test_who_asks_twice_does_not_wait():
    went_on = []

    def load():
        with held_back():
            signal.raise_signal(signal.SIGINT)
            went_on.append(True)
            signal.raise_signal(signal.SIGINT)
            went_on.append(True)

    with heard() as came, pytest.raises(KeyboardInterrupt):
        load()
    assert (went_on, came) == ([True], [signal.SIGINT])


def test_what_was_ignored_stays_ignored_while_libraries_are_imported():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with heard(), held_back():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
