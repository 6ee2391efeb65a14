"""Which cells are regressed next, and what becomes of it. Knows the ledger and the worker, and no arrays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from calcium_lightning.core.remade import Remade
from calcium_lightning.curation.ledger import Ledger


class Regresses(Protocol):
    """What can regress an action's cells: :class:`~calcium_lightning.curation.worker.Worker`."""

    def regress(self, number: int, target: Path) -> Remade | str:
        """Regress what an action made; in words why, where nothing comes of it."""
        ...


class Regressor:
    """Has what the ledger has not regressed yet regressed, one action after the other, in a thread.

    Parameters
    ----------
    ledger : Ledger
        What was decided; it gets the results.
    worker : Regresses
        Does it.
    changed : callable
        Called when it begins or ends something.
    """

    def __init__(self, ledger: Ledger, worker: Regresses, changed: Callable[[], None]) -> None:
        self.ledger, self.worker, self._changed = ledger, worker, changed
        self.busy: int | None = None
        #: why actions can't be regressed, by their numbers
        self.failures: dict[int, str] = {}
        self._wake, self._ended = threading.Event(), False
        self._stop: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, with what was left before."""
        self._stop = self.ledger.listen(self._wake.set)
        self._wake.set()
        self._thread = threading.Thread(target=self._run, name="regressing", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Take no more; the worker must have ended."""
        self._ended = True
        self._stop()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def waiting(self) -> list[int]:
        """Numbers of the actions that are to be regressed."""
        numbers = (entry.number for entry in self.ledger.unregressed())
        return [number for number in numbers if number not in self.failures]

    def _run(self) -> None:
        while not self._ended:
            self._wake.wait()
            self._wake.clear()
            while not self._ended and (waiting := self.waiting()):
                self.busy = waiting[0]
                self._changed()
                self.work(waiting[0])
                self.busy = None
                self._changed()

    def work(self, number: int) -> None:
        """Have one action regressed."""
        target = self.ledger.scratch(number)
        part = self.worker.regress(number, target)
        if isinstance(part, str):
            if not self._ended:
                self.failures[number] = part
        else:
            self.ledger.replace(number, part)
        target.unlink(missing_ok=True)
