"""A small session whose cells are known, a cells file of it, and a browser for the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.browser import PATIENCE_MS, browser
from helpers.curated import Made, make_curated

#: what the browser itself says of a request that is refused (4xx), or cut off as the server ends
MEANT = re.compile(r"Failed to load resource: (net::ERR_|the server responded with a status of 4\d\d)")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A recording, and cells as found in it: one missing, one in two, two in one."""
    return make_curated(tmp_path_factory.mktemp("curated"))


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Made:
    """The same, to be changed."""
    return made.copied(tmp_path)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[[str], Any]]:
    """Open pages; a line on the console, or an error of theirs, fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    said: list[str] = []

    def open_page(address: str) -> Any:
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        page.wait_for_selector("html[data-ready=true]")
        return page

    yield open_page
    context.close()
    # An error of the server's own (5xx) isn't meant.
    assert [line for line in said if not MEANT.match(line)] == []
