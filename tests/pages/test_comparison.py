"""What the page of a comparison holds; how it looks is tested in test_browser.py."""

from __future__ import annotations

import base64
import math

import pytest
from helpers.example_runs import HOSTILE, make_run, make_sweep
from helpers.html_page import Page

from calcium_lightning.comparison.compare import compare_runs
from calcium_lightning.comparison.runs import read_runs
from calcium_lightning.pages.comparison import duration, render
from calcium_lightning.pages.comparison_figures import LABEL, scale, shorten, text


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return compare_runs(read_runs([make_sweep(tmp_path_factory.mktemp("sweep"), 20)]))


@pytest.fixture(scope="module")
def page(sweep) -> Page:
    return Page(render(sweep, f"sweep {HOSTILE}"))


def sections(page: Page) -> set[str]:
    return {given["id"] for tag, given in page.elements if tag == "section"}


def svg(page: Page, alt: str) -> str:
    """The text of a chart."""
    (source,) = (given["src"] for tag, given in page.elements if tag == "img" and alt in given["alt"])
    return base64.b64decode(source.split(",")[1]).decode()


def test_every_run_is_in_the_table_and_the_best_stands_out(sweep, page):
    assert page.count("tr") == 1 + len(sweep.runs)
    assert page.count("tr", **{"class": "best"}) == 1
    states = [
        given["class"] for tag, given in page.elements if tag == "span" and "status" in given.get("class", "")
    ]
    assert [states.count(f"status {state}") for state in ("finished", "pruned", "failed")] == [17, 2, 1]
    assert sections(page) == {
        "overview",
        "best",
        "runs",
        "errors",
        "parameters",
        "parallel",
        "curves",
        "pictures",
    }


def test_the_best_can_be_repeated(sweep, page):
    best = sweep.runs[sweep.best]
    command = " ".join(["python -m calcium_lightning.train", *best.overrides, "fresh=true"])
    assert command in page.texts


def test_names_from_files_are_text(page):
    assert f"sweep {HOSTILE}" in page.texts
    assert f"data.crop=7: {HOSTILE}" in page.texts
    assert page.count("script") == 0


def test_nothing_comes_from_elsewhere(page):
    for tag, given in page.elements:
        for name in ("src", "href", "data", "action", "poster", "srcset"):
            assert given.get(name, "data:").startswith("data:"), (tag, name)


def test_charts_name_what_they_show(sweep, page):
    chart = svg(page, "parallel coordinates")
    for parameter in sweep.parameters:
        assert f"<!-- {shorten(parameter.name)} -->" in chart
    assert "<!-- u_shape_tiny -->" in chart
    assert "<!-- val/reconstruction -->" in svg(page, "over each parameter")


def test_pictures_are_those_of_the_best_runs(page):
    pictures = [
        given for tag, given in page.elements if tag == "img" and given["alt"].startswith("epoch of run")
    ]
    assert len(pictures) == 12
    assert all(given["src"].startswith("data:image/png;base64,") for given in pictures)


def test_the_same_runs_give_the_same_page(tmp_path):
    make_sweep(tmp_path, 4)
    once, again = (render(compare_runs(read_runs([tmp_path])), "x") for _ in range(2))
    assert once == again


@pytest.mark.parametrize(
    "change", ["one run", "no result", "not finished", "odd values", "one epoch", "no picture"]
)
def test_unusual_runs_have_a_page(tmp_path, change):
    second = {"overrides": ["seed=2"], "course": [1.0, 0.9]}
    if change == "no result":
        second |= {"course": (), "status": "failed"}
    elif change == "not finished":
        second |= {"status": "running"}
    elif change == "odd values":
        second |= {
            "overrides": ["seed=2", "window=null", "data.sessions=[a$b.h5,c^d.h5]"],
            "course": [math.nan, 2],
        }
    elif change == "one epoch":
        second |= {"course": [2.0]}
    if change == "one run":
        make_run(tmp_path / "0", **second)
    else:
        first = {"status": "failed"} if change in ("no result", "not finished") else {"course": [2.0, 1.5]}
        make_run(tmp_path / "0", ["seed=1"], **first)
        make_run(tmp_path / "1", **second)
    if change == "no picture":
        for picture in tmp_path.rglob("*.png"):
            picture.write_bytes(b"<svg onload=alert(1)>")
    page = Page(render(compare_runs(read_runs([tmp_path])), "x"))
    assert "runs" in sections(page)
    assert ("parameters" in sections(page)) == (change not in ("one run", "no result"))
    assert ("pictures" in sections(page)) == (change not in ("no result", "no picture"))
    assert ("It isn't finished; no run is." in page.texts) == (change == "not finished")


def test_scales_place_numbers_and_names():
    assert scale([1, 2, 4]).places.tolist() == pytest.approx([0, 1 / 3, 1])
    assert scale([1e-4, 1e-3, 1e-2]).places.tolist() == pytest.approx([0, 0.5, 1])
    assert scale([0.0, 1e-3, 1e-2]).places.tolist() == pytest.approx([0, 0.1, 1])
    assert scale(["b", "a", "b"]).ticks == [(0.0, "b"), (1.0, "a")]
    assert scale([True, False, None]).ticks == [(0.0, "true"), (0.5, "false"), (1.0, "—")]
    assert scale([3, 3]).ticks == [(0.0, "3")]
    whole = [float(name) for _, name in scale(list(range(1, 9))).ticks]
    assert whole == [round(value) for value in whole]
    assert all(0 <= place <= 1 for place, _ in scale([value / 7 for value in range(30)]).ticks)


def test_texts_are_as_people_write_them():
    assert [text(value) for value in (None, True, 1e-5, ["a", 2.50])] == ["—", "true", "1e-05", "a, 2.5"]
    assert (len(shorten("x" * 99)), shorten("abc")) == (LABEL, "abc")
    assert [duration(seconds) for seconds in (59.6, 150, 3 * 3600)] == ["60 s", "2 min", "3.0 h"]
