"""What a person does on the page for curation, in a browser."""

from __future__ import annotations

from time import monotonic
from typing import Any

from helpers.curated import Made

from calcium_lightning.core.decisions import Action
from calcium_lightning.io.curation_file import open_original


def chosen(page: Any, cell: int) -> None:
    """Choose a cell in the list, and wait until all of it is shown."""
    page.locator(f"#item-{cell}").click()
    shown(page, cell)


def shown(page: Any, cell: int) -> None:
    page.wait_for_selector(f"#cell[data-cell='{cell}']")
    page.wait_for_selector(f"#plot[data-cell='{cell}']")


def revision(page: Any, number: int, chosen: int | None = None) -> None:
    """Wait until the page knows so many decisions, and has chosen a cell."""
    mark = "" if chosen is None else f"[data-chosen='{chosen}']"
    page.wait_for_selector(f"html[data-revision='{number}']{mark}")


def on_field(page: Any, y: float, x: float) -> tuple[float, float]:
    """Where a place of the field is on the screen."""
    left, top = page.evaluate(
        """async ([y, x]) => {
            const { field } = await import(new URL("static/field.js", document.baseURI));
            const box = document.getElementById("field").getBoundingClientRect();
            return [box.left + field.view.x + (x + 0.5) * field.view.scale, box.top + field.view.y + (y + 0.5) * field.view.scale];
        }""",
        [y, x],
    )
    return left, top


def off_field(page: Any, left: float, top: float) -> list[float]:
    """Which place (y, x) of the field is under a place on the screen."""
    place: list[float] = page.evaluate(
        """async ([clientX, clientY]) => {
            const { field } = await import(new URL("static/field.js", document.baseURI));
            return field.view.toPixels(document.getElementById("field"), { clientX, clientY });
        }""",
        [left, top],
    )
    return place


def keys(page: Any, *names: str) -> None:
    for name in names:
        page.keyboard.press(name)


def ready(page: Any) -> None:
    """Wait until the recording is prepared, and nothing waits to be regressed."""
    page.wait_for_function("() => document.getElementById('work').textContent === 'recording ready'")


def held(page: Any, *requests: list[Any]) -> None:
    """Wait until each of these, which a route's handler fills, has one: handlers only run while a page is waited for."""
    end = monotonic() + 60
    while not all(requests):
        assert monotonic() < end, "a request that is to be held back never came"
        page.wait_for_timeout(20)


def decided(made: Made) -> list[Action]:
    """What the file's log says."""
    with open_original(made.cells) as original:
        return [entry.action for entry in original.log]
