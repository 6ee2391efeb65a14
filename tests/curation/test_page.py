"""The page in a real browser: every action by mouse and by keys, and what is on the disk afterwards."""

from __future__ import annotations

import io
import json
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
import pytest
from helpers.browser import PATIENCE_MS, barriers, browser, serving, why_not
from helpers.curated import PLACES, Made
from matplotlib.image import imread

from calcium_lightning.core.decisions import Action, Merge, Undo
from calcium_lightning.core.events import find_events
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.curation_file import open_original
from calcium_lightning.io.journal import journal_of

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is one")


MEANT = re.compile(r"Failed to load resource: (net::ERR_|the server responded with a status of 4\d\d)")


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
    # What the browser itself says of a request that is refused (4xx), or cut off as the server ends, is meant; an
    # error of the server's own (5xx) is none of these.
    assert [line for line in said if not MEANT.match(line)] == []


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


def test_verdicts_notes_and_labels_by_mouse(copied: Made, visit: Any) -> None:
    with serving(copied.cells.parent, "cells=cells.h5", "who=Ada") as served:
        page = visit(served.address)
        page.locator("#advance").uncheck()
        chosen(page, 0)
        page.locator("#reject").click()
        revision(page, 1)
        chosen(page, 5)
        page.locator("#accept").click()
        revision(page, 2)
        page.locator("#who").fill("Grace <i>")
        page.locator("#note").fill("dim <img src=x onerror=alert(1)>")
        page.locator("#cell-name").click()
        revision(page, 3)
        page.locator("#label").fill("place cell")
        page.locator("#label").press("Enter")
        revision(page, 4)
        page.get_by_label("Take the label place cell away").click()
        revision(page, 5)
        assert page.locator("#labels button").count() == 0
        page.locator("#undo").click()
        revision(page, 6)
        chosen(page, 6)
        page.locator("#reject").click()
        revision(page, 7)
        page.locator("#undo").click()
        revision(page, 8)
        page.locator("#redo").click()
        revision(page, 9)
        page.locator("#reset").click()
        revision(page, 10)
        assert page.locator("img[src=x]").count() == 0
        assert "✓ accepted ✎ #place cell" in page.locator("#item-5").inner_text()
        page.locator("#end").click()
        page.wait_for_selector("#ended[open]")
        assert served.process.wait(60) == 0
    with h5py.File(copied.cells) as file:
        assert file["curation/verdict"][:].tolist() == [-1, 0, 0, 0, 0, 1, 0, 0]
        assert file["accepted"][[0, 5, 6]].tolist() == [False, True, True]
        assert file["curation/notes"].asstr()[5] == "dim <img src=x onerror=alert(1)>"
        assert json.loads(file["curation/labels"].asstr()[5]) == ["place cell"]
        assert file["curation/who"].asstr()[0] == "Ada"
        assert file["curation/who"].asstr()[5] == "Grace <i>"
    assert not journal_of(copied.cells).exists()


def test_verdicts_notes_and_labels_by_keys(copied: Made, visit: Any) -> None:
    with serving(copied.cells.parent, "cells=cells.h5", "who=Ada") as served:
        page = visit(served.address)
        # The least certain one of those that nobody has decided: scores .41, .45, .3, .55 around .4.
        shown(page, 7)
        keys(page, "a")
        shown(page, 2)
        keys(page, "r")
        shown(page, 5)
        keys(page, "r")
        shown(page, 1)
        keys(page, "b", "b")
        shown(page, 2)
        keys(page, "t")
        revision(page, 4)
        keys(page, "j")
        page.keyboard.press("e")
        page.keyboard.type("odd")
        page.keyboard.press("Enter")
        revision(page, 5)
        keys(page, "l")
        page.keyboard.type("edge")
        page.keyboard.press("Enter")
        revision(page, 6)
        keys(page, "z", "z", "y")
        revision(page, 9)
        keys(page, "?")
        assert page.locator("#keys").is_visible()
        keys(page, "Escape")
        chosen(page, 3)
        keys(page, "v")
        chosen(page, 4)
        keys(page, "r")  # both: the marked one, and the chosen one
        revision(page, 10)
    cells = read_cells(copied.cells)
    assert cells.curation.verdict.tolist() == [0, 0, 0, -1, -1, -1, 0, 1]
    assert cells.curation.notes[7] == "odd"
    assert cells.curation.labels[7] == ()
    assert served.end() == 143


def decided(made: Made) -> list[Action]:
    """What the file's log says."""
    with open_original(made.cells) as original:
        return [entry.action for entry in original.log]


def test_halves_are_merged(copied: Made, visit: Any) -> None:
    """By keys, and once that is undone by mouse."""
    first, second = copied.halves
    with serving(copied.cells.parent, "cells=cells.h5", "session=session.h5") as served:
        page = visit(served.address)
        chosen(page, first)
        early: list[tuple[Any, Any]] = []
        late: list[Any] = []
        page.route("**/api/cell/8", lambda route: early.append((route, route.fetch())))
        page.route("**/api/traces?cells=8&*", lambda route: late.append(route))
        keys(page, "1", "m")
        revision(page, 1, chosen=8)
        keys(page, "z")
        revision(page, 2, chosen=first)
        # Answers about a cell that is gone by then: one from before, and one that there is no such cell.
        early[0][0].fulfill(response=early[0][1])
        late[0].continue_()
        shown(page, first)
        page.unroute_all()
        page.mouse.move(*on_field(page, PLACES[1][0], PLACES[1][1] + 2.5))
        page.keyboard.down("Shift")
        page.mouse.down()
        page.mouse.up()
        page.keyboard.up("Shift")
        page.locator("#merge").click()
        revision(page, 3, chosen=8)
        ready(page)
    assert decided(copied) == [Merge((first, second)), Undo(), Merge((first, second))]
    cells = read_cells(copied.cells)
    assert cells.curation.replaced_by[[first, second]].tolist() == [8, 8]
    with h5py.File(copied.cells) as file:
        assert file["curation/remade/3"].attrs["regressed"]
    assert np.corrcoef(copied.traces[1], cells.denoised[8])[0, 1] > 0.98
    assert np.hypot(*(cells.centers[8] - PLACES[1])) < 0.5


def test_one_that_is_two_is_cut(copied: Made, visit: Any) -> None:
    """By keys, and once that is undone by mouse."""
    with serving(copied.cells.parent, "cells=cells.h5", "session=session.h5") as served:
        page = visit(served.address)
        chosen(page, copied.both)
        keys(page, "c", *["ArrowRight"] * 6, "Enter")
        revision(page, 1, chosen=8)
        keys(page, "z")
        revision(page, 2)
        chosen(page, copied.both)
        page.locator("#cut").click()
        page.mouse.move(*on_field(page, 30, 20.5))
        page.mouse.down()
        page.mouse.move(*on_field(page, 50, 20.5), steps=4)
        page.mouse.up()
        revision(page, 3, chosen=8)
        ready(page)
    by_keys, _, by_mouse = decided(copied)
    for action in (by_keys, by_mouse):
        (top, left), (bottom, right) = action.line
        assert abs(bottom - top) > 12
        assert np.abs(np.array([left, right]) - 20.5).max() < 1.5
    cells = read_cells(copied.cells)
    assert not cells.accepted[copied.both]
    assert cells.accepted[8:].tolist() == [True, True]
    order = np.argsort(cells.centers[8:, 1])
    for row, true in zip(order, (2, 3), strict=True):
        assert np.corrcoef(copied.traces[true], cells.denoised[8 + row])[0, 1] > 0.95
        assert np.hypot(*(cells.centers[8 + row] - PLACES[true])) < 1


def test_one_that_is_two_is_split_by_its_activity(copied: Made, visit: Any) -> None:
    with serving(copied.cells.parent, "cells=cells.h5", "session=session.h5") as served:
        page = visit(served.address)
        chosen(page, copied.both)
        keys(page, "s")
        revision(page, 1, chosen=8)
        keys(page, "z")
        revision(page, 2)
        chosen(page, copied.both)
        page.locator("#split").click()
        revision(page, 3, chosen=8)
        ready(page)
    cells = read_cells(copied.cells)
    for true in (2, 3):
        best = max(np.corrcoef(copied.traces[true], cells.denoised[row])[0, 1] for row in (8, 9))
        assert best > 0.95


def test_a_missed_cell_is_drawn(copied: Made, visit: Any) -> None:
    """By mouse, and once that is undone by keys."""
    y, x = PLACES[4]
    with serving(copied.cells.parent, "cells=cells.h5", "session=session.h5") as served:
        page = visit(served.address)
        chosen(page, 4)  # at (14, 64)
        page.locator("#draw").click()
        around = [(y + 4.5 * np.sin(a), x + 4.5 * np.cos(a)) for a in np.linspace(0, 6.2, 20)]
        page.mouse.move(*on_field(page, *around[0]))
        page.mouse.down()
        for place in around[1:]:
            page.mouse.move(*on_field(page, *place))
        page.mouse.up()
        revision(page, 1, chosen=8)
        page.locator("#undo").click()
        revision(page, 2)
        chosen(page, 4)
        keys(page, "d", *["Shift+ArrowDown"] * 6, *["ArrowLeft"] * 4, "+", "-", "Enter")
        revision(page, 3, chosen=8)
        ready(page)
    by_mouse, _, by_keys = decided(copied)
    for action in (by_mouse, by_keys):
        outline = np.array(action.outline)
        assert np.abs(outline.mean(0) - (y, x)).max() < 1
        assert 3 < np.hypot(*(outline - (y, x)).T).mean() < 7
    cells = read_cells(copied.cells)
    assert cells.accepted[8]
    assert cells.curation.origin[8] == 3
    assert np.corrcoef(copied.traces[4], cells.denoised[8])[0, 1] > 0.98
    assert 0.85 < cells.denoised[8].max() / copied.traces[4].max() < 1.1  # the network's pixels blur
    assert np.hypot(*(cells.centers[8] - PLACES[4])) < 0.5
    assert cells.quality["snr"][8] > 5


def test_a_click_in_one_place_is_seen_in_all(copied: Made, visit: Any) -> None:
    with serving(copied.cells.parent, "cells=cells.h5", "session=session.h5") as served:
        page = visit(served.address)
        page.mouse.click(*on_field(page, 14, 14))
        shown(page, 0)
        assert page.locator("#item-0").get_attribute("aria-selected") == "true"
        assert "Accepted by the tests" in page.locator("#words").inner_text()
        page.locator("#field").focus()
        keys(page, "ArrowRight")
        page.wait_for_selector("#cell[data-cell='1'], #cell[data-cell='2']")
        page.locator("#condition").fill("snr > 8, score < 0.9")
        page.locator("#condition").press("Enter")
        items = page.locator("#list .item")
        page.wait_for_function("() => document.querySelectorAll('#list .item').length === 3")
        assert sorted(int(item.get_attribute("data-cell")) for item in items.all()) == [1, 2, 3]
        page.locator("#condition").fill("colour > 3")
        page.locator("#condition").press("Enter")
        assert "a quality, a sign and a number" in page.locator("#alert").inner_text()
        page.locator("#moments button").first.click()
        frame = int(page.locator("#time").input_value())
        assert frame > 0
        page.locator("#time").fill("0")
        page.locator("#cell-name").click()
        cell = int(page.locator("#cell").get_attribute("data-cell"))
        cells = read_cells(copied.cells)
        peaks = find_events(cells.traces[[cell]], cells.denoised[[cell]]).peak_frame
        keys(page, ">", ">", ">", "<")
        assert int(page.locator("#time").input_value()) == peaks[peaks > 0][1]
        assert f"Trace of cell {cell}: events at " in page.locator("#plot").get_attribute("aria-label")
        assert page.locator("#events").inner_text().startswith(f"{len(peaks)} events, ")
        assert "rejected" in page.locator("#field").get_attribute("aria-label")
        assert barriers(page) == []


def test_the_movie_plays_in_all_its_forms(copied: Made, visit: Any) -> None:
    with serving(copied.cells.parent, "cells=cells.h5", "session=session.h5") as served:
        page = visit(served.address)
        ready(page)
        for mode in ("raw", "corrected", "foreground", "reconstruction", "residual"):
            page.select_option("#picture", f"movie:{mode}")
            page.select_option("#beside", "movie:residual")
            page.locator("#time").fill("0")
            page.locator("#play").click()
            page.wait_for_function("() => Number(document.getElementById('time').value) > 10")
            page.locator("#play").click()
            shown = imread(io.BytesIO(page.locator("#field").screenshot()))[150:250, 150:250, 0]
            assert len(np.unique(shown)) > 8, mode
        before = int(page.locator("#time").input_value())
        page.locator("#cell-name").click()
        keys(page, ".", ".", ",")
        assert int(page.locator("#time").input_value()) == before + 1


def test_brightness_and_contrast_are_dragged_and_the_wheel_zooms(copied: Made, visit: Any) -> None:
    with serving(copied.cells.parent, "cells=cells.h5") as served:
        page = visit(served.address)
        window = lambda: [int(page.locator(f"#{name}").input_value()) for name in ("black", "white")]  # noqa: E731
        page.wait_for_function("() => document.getElementById('white').value !== '1000'")
        black, white = window()
        x, y = on_field(page, 30, 40)
        page.mouse.move(x, y)
        page.mouse.down(button="right")
        page.mouse.move(x + 120, y)
        page.mouse.up(button="right")
        steeper = window()
        assert steeper[1] - steeper[0] < white - black
        page.locator("#window-reset").click()
        assert window() == [black, white]
        # Pointers are at whole pixels of the screen: what lies under one stays there.
        pointer = [round(place) for place in on_field(page, 30, 40)]
        under, before = off_field(page, *pointer), on_field(page, 30, 60)[0] - on_field(page, 30, 40)[0]
        page.mouse.move(*pointer)
        page.mouse.wheel(0, -400)
        np.testing.assert_allclose(off_field(page, *pointer), under, atol=1e-6)
        after = on_field(page, 30, 60)[0] - on_field(page, 30, 40)[0]
        assert after / before == pytest.approx(np.exp(400 * 0.0016), rel=1e-6)
        keys(page, "0")
        # Two fingers, from 40 to 80 pixels apart.
        devices = page.context.new_cdp_session(page)
        for kind, apart in (("touchStart", 20), ("touchMove", 30), ("touchMove", 40), ("touchEnd", None)):
            fingers = (
                []
                if apart is None
                else [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
            )
            devices.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
        pinched = on_field(page, 30, 60)[0] - on_field(page, 30, 40)[0]
        assert pinched / before == pytest.approx(2, rel=0.1)


def test_a_kill_in_the_middle_loses_nothing(copied: Made, visit: Any) -> None:
    with serving(copied.cells.parent, "cells=cells.h5") as served:
        page = visit(served.address)
        chosen(page, 0)
        page.locator("#advance").uncheck()
        keys(page, "r")
        revision(page, 1)
        chosen(page, 1)
        keys(page, "1", "m")
        revision(page, 2)
        assert served.end(signal.SIGKILL) == -9
        page.close()
    cells = read_cells(copied.cells)  # an export that comes now
    assert not cells.accepted[0]
    assert cells.curation.replaced_by.tolist() == [-1, 8, 8, -1, -1, -1, -1, -1, -1]
    with serving(copied.cells.parent, "cells=cells.h5") as served:
        page = visit(served.address)
        revision(page, 2)
        keys(page, "z")
        revision(page, 3)
    assert len(read_cells(copied.cells)) == 8
    assert not read_cells(copied.cells).accepted[0]
    assert not journal_of(copied.cells).exists()


def test_two_pages_do_not_overwrite_each_other(copied: Made, visit: Any) -> None:
    with serving(copied.cells.parent, "cells=cells.h5") as served:
        first, second = visit(served.address), visit(served.address)
        for page in (first, second):
            page.locator("#advance").uncheck()
            chosen(page, 0)
        first.locator("#reject").click()
        revision(second, 1)  # it is told at once
        assert second.locator("#reject").get_attribute("aria-pressed") == "true"
        second.evaluate(
            """async () => {
                const { state } = await import(new URL("static/store.js", document.baseURI));
                state.revision = 0;  // as if the news were still on their way
            }"""
        )
        second.locator("#accept").click()
        second.wait_for_function("() => !document.getElementById('alert').hidden")
        assert "another page has decided meanwhile" in second.locator("#alert").inner_text().lower()
        revision(second, 1)
        assert not read_cells(copied.cells).accepted[0]
