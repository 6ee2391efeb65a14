"""The page in a real browser: it runs, says nothing on the console, and asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.browser import CHROMIUM, PATIENCE_MS, browser, why_not
from helpers.example_cells import make_example
from helpers.example_runs import make_sweep
from matplotlib.image import imread
from scipy.sparse import csr_matrix

from calcium_lightning.comparison.compare import compare_runs
from calcium_lightning.comparison.runs import read_runs
from calcium_lightning.core.cells import Cells
from calcium_lightning.pages import comparison
from calcium_lightning.pages.report import render

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


def drawn(page: Any, picture: Path) -> np.ndarray:
    """What is seen of a page once its pictures are decoded: (H, W, 3), from 0 to 1."""
    page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")
    page.screenshot(path=picture)
    return imread(picture)[..., :3]


def with_a_lost_cell() -> Cells:
    """The example; one cell has neither footprint nor centre, and a quality that is no number."""
    cells = make_example()[0]
    images, centers, score = cells.footprints.toarray(), cells.centers.copy(), cells.quality["score"].copy()
    images[3], centers[3], score[3] = 0, np.nan, np.nan
    quality = {**cells.quality, "score": score}
    return replace(cells, footprints=csr_matrix(images), centers=centers, quality=quality)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(
        render(with_a_lost_cell(), "cells.h5", {"f1": 0.9, "precision": 1.0, "correlation": None}),
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def visit(file) -> Iterator[Any]:
    """The page in a browser; whatever its console says is a failure."""
    if reason := why_not():
        pytest.skip(reason)
    said: list[str] = []
    with browser() as chromium:
        page = chromium.new_context(viewport={"width": 1280, "height": 1600}).new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=PATIENCE_MS)
        yield page
    assert said == []  # the content policy forbids every request, and says so if one is tried


def state(page: Any, name: str) -> str:
    page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30))))"
    )
    return str(page.locator("#view").get_attribute(f"data-{name}"))


def name_of(page: Any) -> str:
    return str(page.locator("#cell-name").text_content())


def test_cells_are_chosen_by_key_button_thumbnail_number_and_in_the_field(visit):
    first = name_of(visit)
    assert first.startswith("Cell #")
    visit.keyboard.press("ArrowRight")
    second = name_of(visit)
    assert second != first
    visit.keyboard.press("ArrowLeft")
    assert name_of(visit) == first
    visit.locator("#next").click()
    assert name_of(visit) == second
    visit.locator('.thumbnail[data-cell="7"]').click()
    assert name_of(visit) == "Cell #7"
    visit.locator("#cell-number").fill("3")  # has neither footprint nor centre
    visit.locator("#cell-number").press("Enter")
    assert name_of(visit) == "Cell #3"
    visit.locator("#show-rejected").check()
    visit.keyboard.press("0")
    scale = float(state(visit, "scale"))
    y, x = with_a_lost_cell().centers[5]
    visit.locator("#view").hover(position={"x": float((x + 0.5) * scale), "y": float((y + 0.5) * scale)})
    assert str(visit.locator("#hover").text_content()).startswith("#5, score")
    visit.locator("#view").click(position={"x": float((x + 0.5) * scale), "y": float((y + 0.5) * scale)})
    assert name_of(visit) == "Cell #5"
    assert visit.locator("#cell-course").get_attribute("data-cell") == "5"


def test_the_field_zooms_moves_and_changes_its_light(visit):
    whole = float(state(visit, "scale"))
    visit.locator("#view").hover()
    visit.mouse.wheel(0, -600)
    larger = float(state(visit, "scale"))
    assert larger > 1.5 * whole
    visit.keyboard.press("+")
    assert float(state(visit, "scale")) > larger
    visit.keyboard.press("c")
    visit.locator("#fit").click()
    assert float(state(visit, "scale")) == pytest.approx(whole, abs=1e-3)
    black, white = map(float, state(visit, "light").split())
    visit.keyboard.press("]")
    brighter = float(state(visit, "light").split()[1])
    assert black < brighter < white
    visit.keyboard.press("\\")
    assert float(state(visit, "light").split()[1]) == pytest.approx(white, rel=0.01)
    visit.keyboard.press("i")
    assert state(visit, "layer") == "maximum − mean"
    visit.locator("#layer").select_option("4")
    assert state(visit, "layer") == "localisations"
    visit.keyboard.press("?")
    assert visit.locator("#keys").is_visible()
    visit.keyboard.press("Escape")
    assert not visit.locator("#keys").is_visible()


def test_the_table_sorts_and_the_keys_follow_it(visit):
    cells = with_a_lost_cell()
    heading = visit.locator("#table th", has_text="snr")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    order = [int(row.get_attribute("data-cell")) for row in visit.locator("#table tbody tr").all()]
    assert (np.diff(cells.quality["snr"][order]) < 0.05).all()  # of the digits that are shown
    heading.locator("button").click()
    rows = visit.locator("#table tbody tr")
    rows.nth(0).click()
    assert name_of(visit) == f"Cell #{order[-1]}"
    visit.keyboard.press("ArrowRight")
    assert name_of(visit) == f"Cell #{order[-2]}"
    visit.locator("#table th", has_text="score").locator("button").click()
    assert rows.nth(len(order) - 1).get_attribute("data-cell") == "3"  # whose score isn't known


def test_traces_zoom_and_have_an_axis_of_their_own_for_ratios(visit):
    box = visit.locator("#cell-course .u-over").bounding_box()
    visit.locator("#cell-course").scroll_into_view_if_needed()
    box = visit.locator("#cell-course .u-over").bounding_box()
    visit.mouse.move(box["x"] + 40, box["y"] + 50)
    visit.mouse.down()
    visit.mouse.move(box["x"] + 120, box["y"] + 50, steps=4)
    visit.mouse.up()
    visit.wait_for_selector('#cell-course[data-span]:not([data-span=""])')
    low, high = map(float, visit.locator("#cell-course").get_attribute("data-span").split())
    assert 0 < low < high < 15
    visit.keyboard.press("Escape")
    assert visit.locator("#cell-course").get_attribute("data-span") == ""
    assert "ΔF/F" in visit.locator("#cell .legend").text_content()


def test_it_fits_and_its_pictures_are_whole(visit):
    broken = "[...document.images].filter((image) => !image.complete || !image.naturalWidth).length"
    assert visit.evaluate(broken) == 0
    assert visit.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert visit.locator('#table th button[title*="noise"]').count() >= 1


def test_it_is_drawn(visit, file, tmp_path):
    page = visit.context.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=PATIENCE_MS)
    shown = drawn(page, tmp_path / "page.png")
    assert shown.shape == (1600, 1280, 3)
    assert shown[5, 640].max() < 0.3  # the dark header spans the page
    blue = (np.abs(shown - np.array([86, 180, 233]) / 255) < 0.12).all(-1)
    assert blue.sum() > 200  # outlines of accepted cells


def test_a_comparison_is_drawn_and_needs_nothing(visit, tmp_path):
    file = tmp_path / "page.html"
    runs = read_runs([make_sweep(tmp_path / "sweep", 12)])
    file.write_text(comparison.render(compare_runs(runs), "sweep"), encoding="utf-8")
    page, said = visit.context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    shown = drawn(page, tmp_path / "page.png")
    assert said == []
    assert shown[5, 640].max() < 0.3  # the dark header spans the page
    turquoise = (np.abs(shown - np.array([15, 157, 138]) / 255) < 0.05).all(-1)
    assert turquoise.sum() > 150  # the best run's marks
