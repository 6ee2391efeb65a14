"""Decisions on the page in a real browser: each by mouse and by keys, and what is on the disk afterwards."""

from __future__ import annotations

import json
from typing import Any

import h5py
import numpy as np
import pytest
from helpers.browser import serving, why_not
from helpers.curated import PLACES, Made
from helpers.curation_page import chosen, decided, held, keys, on_field, ready, revision, shown

from calcium_lightning.core.decisions import Merge, Undo
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.journal import journal_of

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is one")


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
        unheard: list[Any] = []
        page.route("**/api/decide", lambda route: unheard.append(route))
        chosen(page, 4)
        page.locator("#reject").click()
        page.locator("#end").click()  # what isn't answered yet comes first
        held(page, unheard)
        page.wait_for_timeout(200)
        assert not page.locator("#ended").is_visible()
        unheard[0].continue_()
        page.wait_for_selector("#ended[open]")
        assert served.process.wait(60) == 0
    with h5py.File(copied.cells) as file:
        assert file["curation/verdict"][:].tolist() == [-1, 0, 0, 0, -1, 1, 0, 0]
        assert file["accepted"][[0, 4, 5, 6]].tolist() == [False, False, True, True]
        assert file["curation/notes"].asstr()[5] == "dim <img src=x onerror=alert(1)>"
        assert json.loads(file["curation/labels"].asstr()[5]) == ["place cell"]
        assert file["curation/who"].asstr()[0] == "Ada"
        assert file["curation/who"].asstr()[5] == "Grace <i>"
    assert not journal_of(copied.cells).exists()


def test_verdicts_notes_and_labels_by_keys(copied: Made, visit: Any) -> None:
    with serving(copied.cells.parent, "cells=cells.h5", "who=Ada") as served:
        page = visit(served.address)
        # The least certain one of those that nobody has decided: scores .41, .45, .3, .55 around .4; each once, and
        # none of the neighbours of the one before, also for somebody who is faster than the server.
        unheard: list[Any] = []
        unseen: list[Any] = []
        page.route("**/api/decide", lambda route: unheard.append(route))
        page.route("**/api/cell/2", lambda route: unseen.append(route))
        shown(page, 7)
        assert page.locator("#neighbours li").count() > 0
        keys(page, "a", "1")
        held(page, unheard, unseen)
        assert page.locator(".item.marked").count() == 0
        unseen[0].continue_()
        shown(page, 2)
        keys(page, "r")
        shown(page, 5)
        assert "0 by hand" in page.locator("#counts").inner_text()
        unheard.pop().continue_()
        revision(page, 1)
        keys(page, "r")
        shown(page, 1)
        for number in (2, 3):
            held(page, unheard)
            unheard.pop().continue_()
            revision(page, number)
        page.unroute_all()
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
        page.route("**/api/decide", lambda route: unheard.append(route))
        keys(page, "r")  # both: the marked one, and the chosen one
        keys(page, "j", "j", "a")  # and not the marked one again
        for number in (10, 11):
            held(page, unheard)
            unheard.pop().continue_()
            revision(page, number)
    cells = read_cells(copied.cells)
    assert cells.curation.verdict.tolist() == [0, 0, 0, -1, -1, -1, 1, 1]
    assert cells.curation.notes[7] == "odd"
    assert cells.curation.labels[7] == ()
    assert served.end() == 143


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
        held(page, early, late)
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
        # Where there is nothing, that is said of the cell without its being chosen anew.
        keys(page, "d", *["Shift+ArrowDown"] * 3, *["Shift+ArrowLeft"] * 12, "Enter")
        revision(page, 4, chosen=9)
        page.wait_for_function(
            "() => document.getElementById('words').textContent.includes('no measurement:')"
        )
        assert "can't be regressed" in page.locator("#alert").inner_text()
    by_mouse, _, by_keys, _ = decided(copied)
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
