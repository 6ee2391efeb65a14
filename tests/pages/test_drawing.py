"""The drawing code that pages share: as a module, and as text of a page that is one file."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from helpers.browser import browser, why_not

from calcium_lightning.pages.drawing import logarithmic, new_figure, styled
from calcium_lightning.pages.page import inline_module

TEXT = resources.files("calcium_lightning.pages").joinpath("drawing.js").read_text("utf-8")


def test_inlined_it_exports_and_imports_nothing_and_keeps_every_name() -> None:
    names = re.findall(r"^export (?:class|const|function) (\w+)", TEXT, re.MULTILINE)
    inlined = inline_module("drawing.js")
    assert {"Picture", "View", "pointers", "pathOf", "stroke", "courseOptions"} <= set(names)
    assert not re.search(r"^\s*(export|import)\b", inlined, re.MULTILINE)
    assert "</script" not in inlined
    for name in names:
        assert re.search(rf"^(class|const|function) {name}\b", inlined, re.MULTILINE), name


@pytest.mark.parametrize("top", [7.0, 60.0, 3e4])
def test_numbers_of_a_logarithmic_axis_are_no_formulas(top: float) -> None:
    @styled
    def drawn() -> str:
        figure = new_figure(4, 2)
        axes = figure.subplots()
        axes.plot([1.0, top])
        logarithmic(axes.yaxis)
        figure.canvas.draw()
        low, high = axes.get_ylim()
        return "\n".join(
            label.get_text()
            for label in axes.yaxis.get_ticklabels(which="both")
            if low <= label.get_position()[1] <= high
        )

    told = drawn().split()
    assert len(told) >= 2
    assert all(float(number) > 0 for number in told)


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_pieces_of_an_outline_are_not_joined() -> None:
    first, second = [[y + 2, x + 2, y + 2, x + 8, y + 8, x + 8, y + 8, x + 2] for y, x in ((0, 0), (20, 30))]
    painted = """([first, second]) => {
        const pen = document.createElement("canvas").getContext("2d"), path = pathOf([first, second]);
        const at = (y, x) => pen.isPointInStroke(path, x, y);
        return [at(2, 5), at(5, 2), at(22, 35), at(25, 32), at(12, 17)];
    }"""
    with browser() as chromium:
        page = chromium.new_page()
        page.set_content(f"<script>{inline_module('drawing.js')}</script>")
        assert page.evaluate(painted, [first, second]) == [True, True, True, True, False]
