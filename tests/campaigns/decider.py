"""Somebody who decides on the page of ``curate``, by its API, until the page is gone."""

from __future__ import annotations

import http.client
import json
import random
import re
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

#: s between two decisions
PAUSE_S = 0.02
#: cells of the file that is decided on
CELLS = 6


class Decider:
    """Decides in a thread of its own.

    Parameters
    ----------
    said : Path
        What the page's process prints: its address.
    seed : int
        Of the decisions.

    Attributes
    ----------
    sent, kept : list of dict
        Decisions that were sent, and those that were told as kept.
    """

    def __init__(self, said: Path, seed: int) -> None:
        self.said, self.sent, self.kept = said, [], []
        self._rng, self._over = random.Random(seed), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The page is gone."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            found = address(self.said)
            if not found:
                time.sleep(PAUSE_S)
                continue
            action = self._action()
            self.sent.append(action)
            try:
                status = ask(found, "decide", {"actions": [action], "revision": len(self.kept)})
            except (OSError, http.client.HTTPException):
                return
            if status != 200:
                return
            self.kept.append(action)
            time.sleep(PAUSE_S)

    def _action(self) -> dict:
        kind = self._rng.choice(("accept", "reject", "note", "merge"))
        # cells 4 and 5 are merged once; the others are judged, again and again
        if kind == "merge" and not any(action["do"] == "merge" for action in self.sent):
            return {"do": "merge", "cells": [CELLS - 2, CELLS - 1]}
        cell = self._rng.randrange(CELLS - 2)
        if kind == "note":
            return {"do": "note", "cell": cell, "text": f"looked at {len(self.sent)} times"}
        return {"do": "accept" if kind == "accept" else "reject", "cells": [cell]}


def address(said: Path) -> str:
    """The address that a page has printed; empty as long as it hasn't."""
    found = re.search(r"http://\S+/", said.read_text(encoding="utf-8")) if said.is_file() else None
    return found[0] if found else ""


def ask(page: str, what: str, body: dict) -> int:
    """Send a page a request; the status of its answer."""
    parts = urlsplit(page)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"{parts.path}api/{what}", json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
