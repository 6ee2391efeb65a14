"""A real browser for tests: Chromium, driven by Playwright; absent, tests skip and say why."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from helpers.forked import start_python

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
#: a busy machine is no failure
PATIENCE_MS = 60_000


def why_not() -> str:
    """Why no browser can be driven here; empty where one can."""
    if CHROMIUM is None:
        return "no Chromium here: apt-get install chromium"
    missing = [name for name in ("playwright", "axe_playwright_python") if find_spec(name) is None]
    return f"not installed here: {', '.join(missing)}" if missing else ""


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        try:
            yield chromium
        finally:
            chromium.close()


def barriers(page: Any) -> list[str]:
    """What keeps people from using a page: names, roles, contrast and the rest that axe-core knows rules for."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {[node['target'] for node in rule['nodes']]}" for rule in found]


#: what Python itself says in a process whose parent was killed between starting it and telling it what to do
ORPHANED = re.compile(
    r"Traceback \(most recent call last\):\n(?:  .*\n)*?.*in spawn_main\n(?:  .*\n)*EOFError: Ran out of input\n"
)


class Served:
    """``curate`` as a user starts it, in a process of its own.

    Attributes
    ----------
    address : str
        Of the page, with its token.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        command = ("-m", "calcium_lightning.curate", "open=false", *arguments)
        self.process = start_python(command, folder, {**os.environ, "OMP_NUM_THREADS": "1"})
        assert self.process.stdout is not None
        self.told, self.errors = "", ""
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/\S+/", self.told)):
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError(f"ended: {self.told} {self.process.communicate()[1]}")
            self.told += line
        self.address = found[0]

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and give the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        with contextlib.suppress(ValueError):  # it was asked before
            told = self.process.communicate(timeout=60)[1]
            self.errors = ORPHANED.sub("", told) if how == signal.SIGKILL else told
        return self.process.wait()


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Served]:
    """``curate`` for as long as the block runs."""
    served = Served(folder, *arguments)
    try:
        yield served
    finally:
        served.end()
        print(served.errors)  # shown where a test fails
    assert "Traceback" not in served.errors, served.errors
