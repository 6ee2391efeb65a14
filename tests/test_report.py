"""The command, and what the page holds; how it looks and runs is tested in pages/test_browser.py."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.example_cells import HOSTILE, make_example, take, write_truth
from helpers.html_page import Page
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import Cells, Localizations
from calcium_lightning.core.events import find_events
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.pages.report import context, render


@pytest.fixture(scope="module")
def cells() -> Cells:
    return make_example()[0]


@pytest.fixture(scope="module")
def text(cells) -> str:
    return render(cells, "cells.h5")


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


def test_every_cell_is_outlined_shown_and_listed(cells, page):
    accepted = int(cells.accepted.sum())
    assert 0 < accepted < len(cells)
    assert page.count("g", **{"class": "cell accepted"}) == accepted
    assert page.count("g", **{"class": "cell rejected"}) == len(cells) - accepted
    assert page.count("tr") == len(cells) + 1
    for k in range(len(cells)):
        assert page.count("button", **{"data-cell": str(k)}) == 1
    assert f"{accepted}" in page.texts


def test_sections_are_there(page):
    ids = {attributes.get("id") for tag, attributes in page.elements if tag == "section"}
    assert {"overview", "field", "gallery", "traces", "activity", "quality", "motion", "localizations"} <= ids
    assert "measured" not in ids


def test_names_from_files_are_text(page):
    assert f"/data/{HOSTILE}" in page.texts
    assert page.count("script") == 2
    assert any("<b>bold</b>" in text for text in page.texts)


def test_nothing_comes_from_elsewhere(page):
    for tag, attributes in page.elements:
        for name in ("src", "href", "data", "action", "poster", "srcset"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, name)
    assert page.count("link", rel="stylesheet") == 0


def test_outlines_lie_where_the_footprints_are(cells, page):
    """The outline at half the peak of a Gaussian has its centre at the cell's, with x first."""
    paths = {}
    group = None
    for tag, attributes in page.elements:
        if tag == "g":
            group = int(attributes["data-cell"])
        elif tag == "path":
            places = [tuple(map(float, pair.split())) for pair in attributes["d"].strip("MZ").split("L")]
            paths[group] = np.array(places)
    assert len(paths) == len(cells)
    for k, places in paths.items():
        middle = (places.min(0) + places.max(0)) / 2
        np.testing.assert_allclose(middle[::-1], cells.centers[k], atol=0.6)


def test_the_same_cells_give_the_same_page(cells, text):
    assert render(cells, "cells.h5") == text


@pytest.mark.parametrize("change", ["no cells", "bare", "broken", "one frame", "long"])
def test_unusual_cells_have_a_page(cells, change):
    if change == "no cells":
        odd = take(cells, np.zeros(0, int))
    elif change == "bare":
        rejected = np.zeros(len(cells), bool)
        odd = replace(cells, localizations=Localizations.empty(), quality={}, accepted=rejected, kind="dff")
        odd = replace(odd, pixel_size_um=None, baseline=np.zeros(len(cells)), config="", session="")
    elif change == "broken":
        images = cells.footprints.toarray()
        images[3] = 0
        centers = cells.centers.copy()
        centers[3] = np.nan
        quality = {"score": np.full(len(cells), np.nan), "a$b^": np.full(len(cells), np.inf)}
        odd = replace(cells, footprints=csr_matrix(images), centers=centers, quality=quality)
    elif change == "one frame":
        odd = make_example(length=1)[0]
    else:
        odd = make_example(count=3, length=30_000)[0]
    text = render(odd)
    assert Page(text).count("svg") == 1
    assert len(text) < 3e6


def test_the_command_with_figures(cells, tmp_path, run_command):
    example, truth = make_example()
    write_cells(tmp_path / "my cells.h5", example)
    write_truth(tmp_path / "truth.h5", example, truth)
    run_command("evaluate", "cells='my cells.h5'", "truth=truth.h5", "output=m.json")
    result = run_command("report", "cells='my cells.h5'", "output=page.html", "metrics=m.json")
    assert result.status == 0, result.stderr
    assert "page.html" in result.stdout
    page = Page((tmp_path / "page.html").read_text("utf-8"))
    assert page.count("section", id="measured") == 1
    assert "trace correlation r" in page.texts
    again = run_command("report", "cells='my cells.h5'", "output=page.html")
    assert again.status == 2
    assert "overwrite=true" in again.stderr


def test_several_cells_files_make_a_folder(cells, tmp_path, run_command):
    for name in "ab":
        write_cells(tmp_path / f"{name}.h5", cells)
    result = run_command("report", "cells=[a.h5,b.h5]", "output=pages")
    assert result.status == 0, result.stderr
    assert sorted(file.name for file in (tmp_path / "pages").iterdir()) == ["a.html", "b.html"]


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["cells=gone.h5"], "no such file"),
        (["metrics=gone.json"], "gone.json: No such file"),
        (["metrics=text.json"], "not JSON"),
        (["metrics=other.json"], "not the figures"),
        (["metrics=newer.json"], "version 9"),
        (["metrics=two.json"], "none of them is"),
        (["metrisc=two.json"], "metrics"),
    ],
)
def test_bad_input_is_one_clear_line(cells, tmp_path, run_command, overrides, complaint):
    write_cells(tmp_path / "cells.h5", cells)
    about = {"format": "calcium-lightning-metrics", "version": 1}
    Path(tmp_path / "text.json").write_text("figures")
    Path(tmp_path / "other.json").write_text("[1]")
    Path(tmp_path / "newer.json").write_text(json.dumps(about | {"version": 9}))
    two = {"recordings": [{"cells": "a.h5", "figures": {}}, {"cells": "b.h5", "figures": {}}]}
    Path(tmp_path / "two.json").write_text(json.dumps(about | two))
    if not overrides[0].startswith("cells="):
        overrides = ["cells=cells.h5", *overrides]
    result = run_command("report", *overrides, "output=page.html")
    assert result.status == 2, result.stderr
    assert complaint in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "page.html").exists()


def test_the_rate_is_of_calcium_events():
    """Not of frames in which deconvolution left something."""
    cells, _ = make_example()
    events = find_events(cells.traces, cells.denoised).counts(len(cells))[cells.accepted]
    minutes = cells.n_frames / cells.fps / 60
    (tile,) = [item for item in context(cells)["tiles"] if item.name == "calcium events"]
    assert tile.value == f"{np.median(events) / minutes:.1f} / min"
    assert np.median((cells.spikes[cells.accepted] > 0).sum(1)) > np.median(events)
