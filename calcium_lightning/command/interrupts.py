"""Ctrl-C and SIGTERM that are heard, wherever Python happened to be.

Knows signals; knows nothing of commands.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, NoReturn

#: s until a swallowed signal is given again: the callback that swallowed it has returned by then
AGAIN_S = 0.05
#: what ends a process in good order: the batch system's or Docker's notice, a terminal that is closed
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(SystemExit):
    """A signal asks the process to end; ``finally`` clauses run, and its exit status is 128 + the signal."""

    def __init__(self, number: int) -> None:
        self.number, self.status = number, 128 + number
        super().__init__(self.status)


@contextlib.contextmanager
def heard(ending: Iterable[signal.Signals] = ENDING) -> Iterator[list[int]]:
    """Let Ctrl-C raise ``KeyboardInterrupt`` inside the block, and SIGTERM :class:`Terminated`, for certain.

    An exception in a destructor or in a weak reference's callback is printed by Python and dropped, so that
    a signal that comes just then would be lost: it is given again. A signal that the process was started to
    ignore (``nohup``) stays ignored. Outside the main thread, where signals are somebody else's, nothing is
    done.

    Parameters
    ----------
    ending : iterable of Signals
        Those besides Ctrl-C.

    Yields
    ------
    list of int
        The signals that came: what was being imported just then may have made another error of one.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        came.append(number)
        raise Terminated(number)

    handlers = {signal.SIGINT: signal.signal(signal.SIGINT, interrupt)}
    for number in ending:
        if signal.getsignal(number) is not signal.SIG_IGN:
            handlers[number] = signal.signal(number, leave)
    hook = sys.unraisablehook
    timers: list[threading.Timer] = []

    def again(dropped: Any) -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            number = signal.SIGINT
        elif issubclass(dropped.exc_type, Terminated):
            number = signal.Signals(getattr(dropped.exc_value, "number", signal.SIGTERM))
        else:
            hook(dropped)
            return
        timer = threading.Timer(AGAIN_S, _give, (number,))
        timer.daemon = True
        timers.append(timer)
        timer.start()

    sys.unraisablehook = again
    try:
        yield came
    finally:
        sys.unraisablehook = hook
        for timer in timers:  # who is ending already isn't told again
            timer.cancel()
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _give(number: signal.Signals) -> None:
    """Give the main thread a signal; where threads have none of their own (Windows), the process."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


@contextlib.contextmanager
def held_back(ending: Iterable[signal.Signals] = ENDING) -> Iterator[None]:
    """Let signals wait until the end of the block, which imports libraries written in C++.

    C++ can't pass on an exception that a handler raises while such a library is loaded: the process would
    abort. A second signal doesn't wait. What Python doesn't handle itself goes on as it does. Outside the
    main thread nothing is done.

    Parameters
    ----------
    ending : iterable of Signals
        Those besides Ctrl-C.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers: dict[int, Any] = {}

    def wait(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            handlers[number](number, frame)

    for one in (signal.SIGINT, *ending):
        if callable(handler := signal.getsignal(one)):
            handlers[one] = handler
            signal.signal(one, wait)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if len(came) == 1:
            signal.raise_signal(came[0])
