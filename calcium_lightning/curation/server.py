"""What the page asks for and sends, and what is answered.

Each answer is made by :mod:`~calcium_lightning.curation.views` or the recording, each action goes to the
ledger; who may ask is :mod:`~calcium_lightning.curation.guard`'s to say. The only files that are served are
the package's own, by name. Must not know: how anything is drawn, found or kept.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from calcium_lightning import pages
from calcium_lightning.core.decisions import LONGEST_NAME, Draw, Redo, Undo, action_of
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.glossary import described
from calcium_lightning.curation import views
from calcium_lightning.curation.curator import Curator
from calcium_lightning.curation.ledger import Stale
from calcium_lightning.curation.requests import (
    NoSuchCell,
    absent,
    broken,
    failed,
    integer,
    integers,
    is_whole,
    json_of,
    refused,
)
from calcium_lightning.localize.own_test import settings_of

#: files that are served, and under which name: folders, and the drawing code that reports hold too
PAGES = Path(pages.__file__).parent
FOLDERS = {"": Path(__file__).parent / "static", "vendor/": PAGES / "vendor"}
DRAWING = {"drawing.js": PAGES / "drawing.js"}
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
#: what turns the log of links
TURNS: dict[str, Undo | Redo] = {"undo": Undo(), "redo": Redo()}
#: how many actions, and cells, one request may name
MOST_ACTIONS, MOST_CELLS = 1000, 32


def application(curator: Curator) -> Starlette:
    """The ASGI application of a page, without its guard."""
    answers = Answers(curator)
    return Starlette(
        routes=[
            Route("/", answers.page),
            Route("/static/{name:path}", answers.static),
            Route("/api/start", answers.begin),
            Route("/api/standing", answers.standing),
            Route("/api/cell/{cell:int}", answers.cell),
            Route("/api/traces", answers.traces),
            Route("/api/activity", answers.activity),
            Route("/api/layer/{name:int}", answers.layer),
            Route("/api/frames/{mode}", answers.frames),
            Route("/api/events", answers.events),
            Route("/api/decide", answers.decide, methods=["POST"]),
            Route("/api/tracks/{cell:int}", answers.track),
            Route("/api/link", answers.link, methods=["POST"]),
            Route("/api/decisions.json", answers.decisions),
            Route("/api/end", answers.finish, methods=["POST"]),
        ],
        exception_handlers={NoSuchCell: absent, InputError: refused, OSError: failed, Exception: broken},
    )


class Answers:
    """What is answered about a curator's cells.

    Parameters
    ----------
    curator : Curator
        What the page works with.
    """

    def __init__(self, curator: Curator) -> None:
        self.curator = curator
        found = curator.ledger.found
        self._settings = settings_of(found)
        self._rows = views.rows_of(found, range(len(found)))
        self._peaks: np.ndarray | None = None

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
        ledger = self.curator.ledger
        return JSONResponse(
            {
                "file": ledger.path.name,
                "facts": self.curator.facts,
                "meanings": {name: described(name) for name in ledger.found.quality},
                "rows": self._rows,
                **self.curator.state(),
            }
        )

    def standing(self, request: Request) -> Response:
        """How things stand now."""
        return JSONResponse(self.curator.state())

    def cell(self, request: Request) -> Response:
        """What is shown of a chosen cell."""
        cells, row = self.curator.ledger.cells, request.path_params["cell"]
        if row >= len(cells):
            raise NoSuchCell([row], len(cells))
        told = views.details(cells, row, self._settings, self.curator.facts["diameter"])
        return JSONResponse({**told, "regression": self.curator.regression(row)})

    def traces(self, request: Request) -> Response:
        """Traces of some cells, thinned."""
        cells = self.curator.ledger.cells
        rows = integers(request, "cells")[:MOST_CELLS]
        if any(not 0 <= row < len(cells) for row in rows):
            raise NoSuchCell(rows, len(cells))
        beside = min(integer(request, "neighbours", 0), views.MOST_NEIGHBOURS)
        if beside and rows:
            rows = [*rows, *views.near(cells, rows[0], self.curator.facts["diameter"])[:beside].tolist()]
        start, stop = integer(request, "start", 0), integer(request, "stop", cells.n_frames)
        about, values = views.traces(cells, rows, start, stop, integer(request, "points", 2000))
        return Response(views.packed(about, values.tobytes()), media_type="application/octet-stream")

    def activity(self, request: Request) -> Response:
        """How active all cells are in some frames, each in 255 steps of its peak, frame by frame."""
        cells = self.curator.ledger.cells
        start = max(0, integer(request, "start", 0))
        stop = min(cells.n_frames, start + min(512, integer(request, "count", 64)))
        if self._peaks is None:
            self._peaks = views.peaks_of(self.curator.ledger.found.denoised)
        about, values = views.activity(cells, self._peaks, start, stop)
        return Response(views.packed(about, values.tobytes()), media_type="application/octet-stream")

    def layer(self, request: Request) -> Response:
        """A background of the field of view."""
        images = list(self.curator.layers().items())
        index = request.path_params["name"]
        if index >= len(images):
            raise InputError(f"layer {index}: there are {len(images)}")
        name, image = images[index]
        about, data = views.image_bytes(image)
        return Response(views.packed({**about, "name": name}, data), media_type="application/octet-stream")

    def frames(self, request: Request) -> Response:
        """Frames of the movie."""
        if self.curator.raw is None or self.curator.worker is None:
            raise InputError("no movie: start the page with session=")
        start, count = integer(request, "start", 0), integer(request, "count", 1)
        index = np.array(integers(request, "index")) if "index" in request.query_params else None
        if index is None:
            index = start + np.arange(min(count, 4096)) * max(1, integer(request, "step", 1))
        mode = request.path_params["mode"]
        if mode == "raw":
            about, values = self.curator.raw.frames(np.unique(index))
        else:
            about, values = self.curator.worker.frames(mode, np.unique(index), self.curator.ledger.stamp)
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
        if self.curator.raw is None and any(isinstance(action, Draw) for action in actions):
            raise InputError("a cell is drawn on its recording: start the page with session=")
        revision = body.get("revision")
        if not isinstance(revision, int):
            raise InputError("revision: a number is wanted")
        self._signed(body)
        try:
            await run_in_threadpool(self.curator.ledger.decide_all, actions, revision)
        except Stale:
            state = await run_in_threadpool(self.curator.state)
            words = "another page has decided meanwhile; nothing was changed, look and decide again"
            return JSONResponse({"error": words, **state}, 409)
        return JSONResponse(await run_in_threadpool(self.curator.state))

    def track(self, request: Request) -> Response:
        """What a cell is on other days, and what else it might be."""
        if self.curator.links is None:
            raise InputError("no tracks: start the page with tracks=")
        return JSONResponse(self.curator.links.of(request.path_params["cell"]))

    async def link(self, request: Request) -> Response:
        """Take a decision about who is who on other days."""
        if self.curator.links is None:
            raise InputError("no tracks: start the page with tracks=")
        body = await json_of(request)
        do, cell, track, known = (body.get(name) for name in ("do", "cell", "track", "known"))
        if any(item is not None and not is_whole(item) for item in (track, known)):
            raise InputError("track and known: numbers are wanted")
        who = self._signed(body)
        if isinstance(do, str) and do in TURNS and isinstance(known, int):
            await run_in_threadpool(self.curator.links.turn, TURNS[do], known, who)
        elif isinstance(do, str) and isinstance(cell, int) and is_whole(cell):
            await run_in_threadpool(self.curator.links.decide, do, cell, track, known, who)
        else:
            raise InputError("do and cell: a word and a number are wanted; known for undo and redo")
        self.curator.changed()
        return JSONResponse(await run_in_threadpool(self.curator.state))

    def _signed(self, body: dict[str, Any]) -> str:
        """Who decides: as the page says from now on, or as it was."""
        who = body.get("who")
        if who is not None and not isinstance(who, str):
            raise InputError("who: a text is wanted")
        if isinstance(who, str) and who.strip():
            self.curator.ledger.who = who.strip()[:LONGEST_NAME]
        return self.curator.ledger.who

    def decisions(self, request: Request) -> Response:
        """All decisions, to be kept elsewhere or applied to cells that were extracted anew."""
        from calcium_lightning.curation.transfer import decisions_of

        ledger = self.curator.ledger
        stem = ledger.path.stem.encode("ascii", "replace").decode().replace('"', "_")
        headers = {"Content-Disposition": f'attachment; filename="{stem}.decisions.json"'}
        return JSONResponse(decisions_of(ledger.cells, ledger.log), headers=headers)

    async def finish(self, request: Request) -> Response:
        """Fold in what was decided, tell if that can't be, and end the server."""
        try:
            unwritten = await run_in_threadpool(self.curator.ledger.settle)
        finally:
            self.curator.ended()
        return JSONResponse({"ended": True, "unwritten": unwritten})

    async def events(self, request: Request) -> Response:
        """News, as server-sent events: whoever holds another revision asks for how things stand."""

        async def lines() -> AsyncIterator[str]:
            async with aclosing(self.curator.stream()) as stream:
                async for news in stream:
                    yield f"data: {json.dumps(news)}\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream")
