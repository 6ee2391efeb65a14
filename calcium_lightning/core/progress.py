"""Progress bars on stderr for whatever takes longer than two seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")
DELAY_S = 2.0
_SILENT: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """No bars from this thread: what it does goes on behind another's."""
    token = _SILENT.set(True)
    try:
        yield
    finally:
        _SILENT.reset(token)


@contextmanager
def progress(
    description: str, total: float | None = None, unit: str = "frames"
) -> Iterator[Callable[[float], None]]:
    """Give ``advance(n)``; a bar appears once the work has lasted two seconds.

    Parameters
    ----------
    description : str
        What is being done, for people.
    total : float, optional
        How many units there are; without it the bar pulses.
    unit : str
        What is counted.
    """
    bar = None
    task = None
    done = 0.0
    begin = time.monotonic()

    def advance(count: float) -> None:
        nonlocal bar, task, done
        done += count
        if bar is None and not _SILENT.get() and time.monotonic() - begin > DELAY_S:
            bar = _bar(unit)
            bar.start()
            task = bar.add_task(description, total=total)
        if bar is not None and task is not None:
            bar.update(task, completed=done)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.stop()


def track(
    items: Iterable[Item], description: str, total: float | None = None, unit: str = "frames"
) -> Iterator[Item]:
    """Yield ``items`` with a progress bar, one unit each."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    with progress(description, total, unit) as advance:
        for item in items:
            yield item
            advance(1)


def _bar(unit: str):  # type: ignore[no-untyped-def]
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
