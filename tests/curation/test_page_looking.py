"""What the page shows in a real browser, and what it keeps when it is killed, or isn't alone."""

from __future__ import annotations

import io
import signal
from typing import Any

import numpy as np
import pytest
from helpers.browser import barriers, serving, why_not
from helpers.curated import Made
from helpers.curation_page import chosen, held, keys, off_field, on_field, ready, revision, shown
from matplotlib.image import imread

from calcium_lightning.core.events import find_events
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.journal import journal_of

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is one")


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
        for width, height in ((500, 500), (1010, 700)):  # beside another window
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_function(  # the traces are drawn anew for the width, in a frame or two
                "() => ['html', '#counts', '#stage .tools', '#movie'].every((name) => {"
                " const node = document.querySelector(name); return node.scrollWidth <= node.clientWidth; })"
            )
            assert page.locator("#list").bounding_box()["height"] > 100


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
        # A picture that comes late isn't shown in the place of the one that was chosen after it.
        late: list[Any] = []
        page.route("**/api/layer/1", lambda route: late.append(route))
        page.locator("#picture").select_option("1")
        held(page, late)
        page.locator("#picture").select_option("0")
        with page.expect_response("**/api/layer/1"):
            late[0].continue_()
        page.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(done), 50))")
        assert window() == [black, white]
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
        keys(page, "e")
        page.keyboard.type("odd")
        page.reload()  # the focus is still in the note
        revision(page, 2)
        chosen(page, 0)
        page.locator("#note").press("End")
        page.keyboard.type(" indeed")
        page.close(run_before_unload=True)
        page = visit(served.address)
        revision(page, 3)
        chosen(page, 0)
        assert page.locator("#note").input_value() == "odd indeed"
        chosen(page, 1)
        keys(page, "1", "m")
        revision(page, 4)
        told = page.locator("#counts").inner_text()
        assert "2 by hand" in told
        assert served.end(signal.SIGKILL) == -9
        page.wait_for_function("() => document.getElementById('saved').textContent === 'no server'")
        page.locator("#item-5").click()
        with page.expect_event("requestfailed", lambda request: request.url.endswith("decide")):
            keys(page, "a")
        page.wait_for_function("() => !document.getElementById('alert').hidden")
        assert "start it again, and open the address that it prints" in page.locator("#alert").inner_text()
        assert page.locator("#counts").inner_text() == told  # nor is it counted
        page.close()
    cells = read_cells(copied.cells)  # an export that comes now
    assert not cells.accepted[0]
    assert cells.curation.replaced_by.tolist() == [-1, 8, 8, -1, -1, -1, -1, -1, -1]
    with serving(copied.cells.parent, "cells=cells.h5") as served:
        page = visit(served.address)
        revision(page, 4)
        keys(page, "z")
        revision(page, 5)
    assert len(read_cells(copied.cells)) == 8
    assert not read_cells(copied.cells).accepted[0]
    assert not journal_of(copied.cells).exists()


def test_that_decisions_can_not_be_written_into_the_file_is_told(copied: Made, visit: Any) -> None:
    elsewhere = copied.cells.with_name("moved.h5")
    with serving(copied.cells.parent, "cells=cells.h5") as served:
        page = visit(served.address)
        copied.cells.rename(elsewhere)
        keys(page, "a")
        where = "what was decided is kept in cells.h5.curation"
        page.wait_for_function(
            "(words) => document.getElementById('alert').textContent.includes(words)", arg=where
        )
        assert page.locator("#saved").inner_text() == "on disk"
        page.locator("#end").click()
        page.wait_for_selector("#ended[open]")
        assert where in page.locator("#ended").inner_text()
        assert served.process.wait(60) == 2
    assert where in served.errors
    assert served.errors.count("\n") == 1
    elsewhere.rename(copied.cells)
    assert read_cells(copied.cells).curation.verdict[7] == 1


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


@pytest.mark.parametrize(
    "asks", [["getJson", "standing"], ["getPacked", "layer/0"], ["postJson", "decide", {}]]
)
def test_an_answer_that_is_cut_off_is_told_as_the_server_that_does_not_answer(
    copied: Made, visit: Any, asks: list[Any]
) -> None:
    with serving(copied.cells.parent, "cells=cells.h5") as served:
        page = visit(served.address)
        told = page.evaluate(
            """async ([name, ...asks]) => {
                const api = await import(new URL("static/api.js", document.baseURI));
                const real = window.fetch;
                window.fetch = async () => new Response(new ReadableStream({
                    start(body) {
                        body.enqueue(new TextEncoder().encode('{"revision"'));
                        body.error(new TypeError("Failed to fetch"));
                    },
                }));
                try {
                    await api[name](...asks);
                    return null;
                } catch (error) {
                    return [error instanceof api.Refused, error.status, error.message];
                } finally {
                    window.fetch = real;
                }
            }""",
            asks,
        )
    assert told is not None
    refused, status, message = told
    assert refused
    assert status == 0
    assert message.startswith("the server doesn't answer")
