"""What the page asks for and sends, and the process that answers.

Each answer is made by :mod:`~calcium_lightning.curation.views` or the recording, each action goes to the
ledger; who may ask is :mod:`~calcium_lightning.curation.guard`'s to say. The only files that are served are
the package's own, by name. Must not know: how anything is drawn, found or kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from calcium_lightning import pages
from calcium_lightning.core.decisions import LONGEST_NAME, Draw, Entry, Redo, Undo, action_as_json, action_of
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.glossary import described
from calcium_lightning.core.links import LinkEntry
from calcium_lightning.curation import views
from calcium_lightning.curation.frames import RawMovie
from calcium_lightning.curation.history import Timed, next_turns
from calcium_lightning.curation.ledger import Ledger, Stale
from calcium_lightning.curation.links import Links
from calcium_lightning.curation.regressor import Regressor
from calcium_lightning.curation.requests import broken, failed, integer, integers, is_whole, json_of, refused
from calcium_lightning.curation.worker import News, Worker
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.localize.own_test import settings_of

#: files that are served, and under which name: folders, and the drawing code that reports hold too
PAGES = Path(pages.__file__).parent
FOLDERS = {"": Path(__file__).parent / "static", "vendor/": PAGES / "vendor"}
DRAWING = {"drawing.js": PAGES / "drawing.js"}
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
#: seconds after which a silent stream of events says that it is still there
ALIVE_S = 15.0
#: what turns the log of links
TURNS: dict[str, Undo | Redo] = {"undo": Undo(), "redo": Redo()}
#: how many actions, and cells, one request may name
MOST_ACTIONS, MOST_CELLS = 1000, 32


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
            shape = (ledger.found.n_frames, *ledger.found.frame_shape)
            if session.shape != shape:
                raise InputError(f"{session.path}: has frames {session.shape}, the cells are of {shape}")
            self.raw = RawMovie(session)
            self.worker = Worker(ledger.path, session.path)
            self.regressor = Regressor(ledger, self.worker, self.changed)
        self.settings = settings_of(ledger.found)
        self.facts = views.facts(ledger.found)
        self._found_rows = views.rows_of(ledger.found, range(len(ledger.found)))
        self._peaks: np.ndarray | None = None
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

    def app(self) -> Starlette:
        """The ASGI application, without its guard."""
        return Starlette(
            routes=[
                Route("/", self.page),
                Route("/static/{name:path}", self.static),
                Route("/api/start", self.begin),
                Route("/api/standing", self.standing),
                Route("/api/cell/{cell:int}", self.cell),
                Route("/api/traces", self.traces),
                Route("/api/activity", self.activity),
                Route("/api/layer/{name:int}", self.layer),
                Route("/api/frames/{mode}", self.frames),
                Route("/api/events", self.events),
                Route("/api/decide", self.decide, methods=["POST"]),
                Route("/api/tracks/{cell:int}", self.track),
                Route("/api/link", self.link, methods=["POST"]),
                Route("/api/decisions.json", self.decisions),
                Route("/api/end", self.finish, methods=["POST"]),
            ],
            exception_handlers={InputError: refused, OSError: failed, Exception: broken},
        )

    def page(self, request: Request) -> Response:
        """The page itself; without the slash at its end its addresses would lead elsewhere."""
        return self._file("index.html")

    def static(self, request: Request) -> Response:
        """A file of the page."""
        return self._file(request.path_params["name"])

    def _file(self, name: str) -> Response:
        known = {
            f"{prefix}{path.relative_to(folder).as_posix()}": path
            for prefix, folder in FOLDERS.items()
            for path in folder.rglob("*")
            if path.is_file()
        } | DRAWING
        if name not in known:
            return Response("no such file", 404)
        kind = TYPES.get(known[name].suffix, "text/plain")
        return Response(known[name].read_bytes(), media_type=kind)

    def begin(self, request: Request) -> Response:
        """All that the page needs to be drawn first."""
        ledger = self.ledger
        layers = [*views.layers(ledger.found), *self._late_layers()]
        return JSONResponse(
            {
                "file": ledger.path.name,
                "facts": self.facts,
                "meanings": {name: described(name) for name in ledger.found.quality},
                "layers": layers,
                "rows": self._found_rows,
                **self._state(),
            }
        )

    def standing(self, request: Request) -> Response:
        """How things stand now."""
        return JSONResponse(self._state())

    def _state(self) -> dict[str, Any]:
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
            "folded": not ledger.unfolded,
            "standing": views.standing_of(ledger.standing),
            "made": views.rows_of(ledger.cells, range(len(ledger.found), len(ledger.cells))),
            "undo": _turned(to_undo, ledger.undoable(), undo),
            "redo": _turned(to_redo, ledger.redoable(), redo),
            "tracks": None if self.links is None else self.links.state(),
            "layers": [*views.layers(ledger.found), *self._late_layers()],
            **self._news(),
        }

    def _late_layers(self) -> dict[str, np.ndarray]:
        return self.news_of_worker().images

    def _news(self) -> dict[str, Any]:
        told, regressor = self.news_of_worker(), self.regressor
        return {
            "revision": self.ledger.revision,
            "links": 0 if self.links is None else len(self.links.log),
            "folded": not self.ledger.unfolded,
            "modes": [] if self.raw is None else ["raw", *told.modes],
            "recording": None if self.raw is None else vars(told.progress),
            "regressing": 0 if regressor is None else len(regressor.waiting()),
            "busy": None if regressor is None else regressor.busy,
            "failures": [] if regressor is None else sorted(regressor.failures),
        }

    def cell(self, request: Request) -> Response:
        """What is shown of a chosen cell."""
        cells, row = self.ledger.cells, request.path_params["cell"]
        if row >= len(cells):
            raise InputError(f"cell {row}: there are {len(cells)} cells, from 0")
        told = views.details(cells, row, self.settings, self.facts["diameter"])
        return JSONResponse({**told, "regression": self._regression(row)})

    def _regression(self, row: int) -> str:
        """What became of a cell that was made by hand, where it isn't regressed; empty otherwise."""
        number = int(self.ledger.standing.made_by[row])
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

    def traces(self, request: Request) -> Response:
        """Traces of some cells, thinned."""
        cells = self.ledger.cells
        rows = integers(request, "cells")[:MOST_CELLS]
        if any(not 0 <= row < len(cells) for row in rows):
            raise InputError(f"cells {rows}: there are {len(cells)} cells, from 0")
        beside = min(integer(request, "neighbours", 0), views.MOST_NEIGHBOURS)
        if beside and rows:
            rows = [*rows, *views.near(cells, rows[0], self.facts["diameter"])[:beside].tolist()]
        start, stop = integer(request, "start", 0), integer(request, "stop", cells.n_frames)
        about, values = views.traces(cells, rows, start, stop, integer(request, "points", 2000))
        return Response(views.packed(about, values.tobytes()), media_type="application/octet-stream")

    def activity(self, request: Request) -> Response:
        """How active all cells are in some frames, each in 255 steps of its peak, frame by frame."""
        cells = self.ledger.cells
        start = max(0, integer(request, "start", 0))
        stop = min(cells.n_frames, start + min(512, integer(request, "count", 64)))
        if self._peaks is None:
            self._peaks = views.peaks_of(self.ledger.found.denoised)
        about, values = views.activity(cells, self._peaks, start, stop)
        return Response(views.packed(about, values.tobytes()), media_type="application/octet-stream")

    def layer(self, request: Request) -> Response:
        """A background of the field of view."""
        images = [*views.layers(self.ledger.found).items(), *self._late_layers().items()]
        index = request.path_params["name"]
        if index >= len(images):
            raise InputError(f"layer {index}: there are {len(images)}")
        name, image = images[index]
        about, data = views.image_bytes(image)
        return Response(views.packed({**about, "name": name}, data), media_type="application/octet-stream")

    def frames(self, request: Request) -> Response:
        """Frames of the movie."""
        if self.raw is None or self.worker is None:
            raise InputError("no movie: start the page with session=")
        start, count = integer(request, "start", 0), integer(request, "count", 1)
        index = np.array(integers(request, "index")) if "index" in request.query_params else None
        if index is None:
            index = start + np.arange(min(count, 4096)) * max(1, integer(request, "step", 1))
        mode = request.path_params["mode"]
        if mode == "raw":
            about, values = self.raw.frames(np.unique(index))
        else:
            about, values = self.worker.frames(mode, np.unique(index), self.ledger.stamp)
        crop = integers(request, "crop")
        if len(crop) == 4:
            top, left = max(0, crop[0]), max(0, crop[2])
            values = np.ascontiguousarray(values[:, top : crop[1], left : crop[3]])
            about |= {"top": top, "left": left, "height": values.shape[1], "width": values.shape[2]}
        return Response(views.packed(about, values.tobytes()), media_type="application/octet-stream")

    async def decide(self, request: Request) -> Response:
        """Take actions."""
        body = await json_of(request)
        if not isinstance(body.get("actions"), list):
            raise InputError("actions: a list is wanted")
        actions = [action_of(item) for item in body["actions"][:MOST_ACTIONS] if isinstance(item, dict)]
        if self.raw is None and any(isinstance(action, Draw) for action in actions):
            raise InputError("a cell is drawn on its recording: start the page with session=")
        revision = body.get("revision")
        if not isinstance(revision, int):
            raise InputError("revision: a number is wanted")
        self._signed(body)
        try:
            await run_in_threadpool(self.ledger.decide_all, actions, revision)
        except Stale:
            state = await run_in_threadpool(self._state)
            words = "another page has decided meanwhile; nothing was changed, look and decide again"
            return JSONResponse({"error": words, **state}, 409)
        return JSONResponse(await run_in_threadpool(self._state))

    def track(self, request: Request) -> Response:
        """What a cell is on other days, and what else it might be."""
        if self.links is None:
            raise InputError("no tracks: start the page with tracks=")
        return JSONResponse(self.links.of(request.path_params["cell"]))

    async def link(self, request: Request) -> Response:
        """Take a decision about who is who on other days."""
        if self.links is None:
            raise InputError("no tracks: start the page with tracks=")
        body = await json_of(request)
        do, cell, track, known = (body.get(name) for name in ("do", "cell", "track", "known"))
        if any(item is not None and not is_whole(item) for item in (track, known)):
            raise InputError("track and known: numbers are wanted")
        who = self._signed(body)
        if isinstance(do, str) and do in TURNS and isinstance(known, int):
            await run_in_threadpool(self.links.turn, TURNS[do], known, who)
        elif isinstance(do, str) and isinstance(cell, int) and is_whole(cell):
            await run_in_threadpool(self.links.decide, do, cell, track, known, who)
        else:
            raise InputError("do and cell: a word and a number are wanted; known for undo and redo")
        self.changed()
        return JSONResponse(await run_in_threadpool(self._state))

    def _signed(self, body: dict[str, Any]) -> str:
        """Who decides: as the page says from now on, or as it was."""
        who = body.get("who")
        if who is not None and not isinstance(who, str):
            raise InputError("who: a text is wanted")
        if isinstance(who, str) and who.strip():
            self.ledger.who = who.strip()[:LONGEST_NAME]
        return self.ledger.who

    def decisions(self, request: Request) -> Response:
        """All decisions, to be kept elsewhere or applied to cells that were extracted anew."""
        from calcium_lightning.curation.transfer import decisions_of

        name = f"{self.ledger.path.stem}.decisions.json".encode("ascii", "replace").decode().replace('"', "_")
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return JSONResponse(decisions_of(self.ledger.cells, self.ledger.log), headers=headers)

    async def finish(self, request: Request) -> Response:
        """End the server; what was decided is folded in on the way."""
        self.ended()
        return JSONResponse({"ended": True})

    async def events(self, request: Request) -> Response:
        """News, as server-sent events: whoever holds another revision asks for how things stand."""
        self._loop = asyncio.get_running_loop()
        event = asyncio.Event()
        self._waiting.add(event)

        async def lines() -> AsyncIterator[str]:
            try:
                while not self._hung_up:
                    event.clear()
                    yield f"data: {json.dumps(self._news())}\n\n"
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(event.wait(), ALIVE_S)
            finally:
                self._waiting.discard(event)

        return StreamingResponse(lines(), media_type="text/event-stream")


def _turned(log: int | None, cells: Entry | None, tracks: LinkEntry | None) -> dict[str, Any] | None:
    """What undo or redo would turn, and whether that is about cells or about tracks."""
    if log == 0 and cells is not None:
        return {"of": "cells", **action_as_json(cells.action)}
    if log == 1 and tracks is not None:
        return {"of": "tracks", **tracks.as_json()}
    return None
