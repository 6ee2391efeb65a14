"""What a page on one cells file works with: its ledger, its links, its recording, and news of all of them.

Must not know: requests, nor how anything is drawn, found or kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import numpy as np

from calcium_lightning.core.decisions import Entry, action_as_json
from calcium_lightning.core.links import LinkEntry
from calcium_lightning.curation import views
from calcium_lightning.curation.frames import RawMovie
from calcium_lightning.curation.history import Timed, next_turns
from calcium_lightning.curation.ledger import Ledger
from calcium_lightning.curation.links import Links
from calcium_lightning.curation.regressor import Regressor
from calcium_lightning.curation.worker import News, Worker
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.io.same_recording import check_recording

#: seconds after which a silent stream of news says that it is still there
ALIVE_S = 15.0


class Curator:
    """A page on one cells file.

    Parameters
    ----------
    ledger : Ledger
        What is decided.
    session : BaseSession, optional
        For the movie and the regression.
    links : Links, optional
        Which cells of other days these are.
    ended : callable, optional
        Called when the page says that it is done.
    """

    def __init__(
        self,
        ledger: Ledger,
        session: BaseSession | None = None,
        ended: Callable[[], None] | None = None,
        links: Links | None = None,
    ) -> None:
        self.ledger, self.links = ledger, links
        self.ended = ended or (lambda: None)
        self.raw: RawMovie | None = None
        self.worker: Worker | None = None
        self.regressor: Regressor | None = None
        if session is not None:
            check_recording(session, ledger.found)
            self.raw = RawMovie(session)
            self.worker = Worker(ledger.path, session.path)
            self.regressor = Regressor(ledger, self.worker, self.changed)
        self.facts = views.facts(ledger.found)
        self._waiting: set[asyncio.Event] = set()
        self._hung_up = False
        self._loop: asyncio.AbstractEventLoop | None = None
        ledger.listen(self.changed)

    def start(self) -> None:
        """Begin what goes on in the background."""
        if self.worker is not None and self.regressor is not None:
            self.worker.start(self.changed, self.regressor.start if self.ledger.writable else lambda: None)

    def end(self) -> None:
        """End it."""
        if self.worker is not None and self.regressor is not None:
            self.worker.end()
            self.regressor.end()

    def finish_regressions(self) -> None:
        """Have all regressed that isn't, and come back when it is done."""
        if self.worker is None or self.regressor is None or not self.regressor.waiting():
            return
        settled = threading.Event()
        self.worker.start(
            lambda: settled.set() if self.news_of_worker().progress.state == "failed" else None, settled.set
        )
        settled.wait()
        for number in self.regressor.waiting():
            self.regressor.work(number)
        self.worker.end()

    def news_of_worker(self) -> News:
        """How far the work on the recording is."""
        return News() if self.worker is None else self.worker.news

    def changed(self) -> None:
        """Tell all pages, from whichever thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._wake)

    def hang_up(self) -> None:
        """End the streams of news; called in the server's loop."""
        self._hung_up = True
        self._wake()

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()

    def state(self) -> dict[str, Any]:
        """How things stand now, in plain values."""
        ledger = self.ledger
        logs: list[Sequence[Timed]] = [ledger.log]
        undo = redo = None
        if self.links is not None:
            logs.append(self.links.log)
            undo, redo = self.links.undoable(), self.links.redoable()
        to_undo, to_redo = next_turns(logs)
        return {
            "revision": ledger.revision,
            "who": ledger.who,
            "remade": ledger.stamp[1],
            "writable": ledger.writable,
            "standing": views.standing_of(ledger.standing),
            "made": views.rows_of(ledger.cells, range(len(ledger.found), len(ledger.cells))),
            "undo": _turned(to_undo, ledger.undoable(), undo),
            "redo": _turned(to_redo, ledger.redoable(), redo),
            "tracks": None if self.links is None else self.links.state(),
            "layers": list(self.layers()),
            **self.news(),
        }

    def layers(self) -> dict[str, np.ndarray]:
        """The backgrounds of the field of view: the file's, and the recording's once they are known."""
        return {**views.layers(self.ledger.found), **self.news_of_worker().images}

    def news(self) -> dict[str, Any]:
        """What changes by itself."""
        told, regressor = self.news_of_worker(), self.regressor
        return {
            "revision": self.ledger.revision,
            "links": 0 if self.links is None else len(self.links.log),
            "folded": not self.ledger.unfolded,
            "unwritten": self.ledger.unwritten,
            "modes": [] if self.raw is None else ["raw", *told.modes],
            "recording": None if self.raw is None else vars(told.progress),
            "regressing": 0 if regressor is None else len(regressor.waiting()),
            "busy": None if regressor is None else regressor.busy,
            "failures": [] if regressor is None else sorted(regressor.failures),
        }

    def regression(self, row: int) -> str:
        """What became of a cell that was made by hand, where it isn't regressed; empty otherwise."""
        made_by = self.ledger.standing.made_by
        if row >= len(made_by):  # it was undone meanwhile
            return ""
        number = int(made_by[row])
        if number not in {entry.number for entry in self.ledger.unregressed()}:
            return ""
        if self.regressor is None:
            return "Not regressed: its recording isn't here, start the page with session=."
        why = self.regressor.failures.get(number)
        if why is not None:
            return f"Not regressed, its trace is no measurement: {why}."
        state = self.news_of_worker().progress
        if state.state == "failed":
            return f"Not regressed, its trace is no measurement: {state.words}."
        return "Not regressed yet: its trace is put together from what was known."

    async def stream(self) -> AsyncGenerator[dict[str, Any], None]:
        """The news whenever they change, and now and then."""
        self._loop = asyncio.get_running_loop()
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            while not self._hung_up:
                event.clear()
                yield self.news()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), ALIVE_S)
        finally:
            self._waiting.discard(event)


def _turned(log: int | None, cells: Entry | None, tracks: LinkEntry | None) -> dict[str, Any] | None:
    """What undo or redo would turn, and whether that is about cells or about tracks."""
    if log == 0 and cells is not None:
        return {"of": "cells", **action_as_json(cells.action)}
    if log == 1 and tracks is not None:
        return {"of": "tracks", **tracks.as_json()}
    return None
