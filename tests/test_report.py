"""The command, and what the page holds; how it looks and runs is tested in pages/test_browser.py."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.example_cells import HOSTILE, decided, make_example, take, write_truth
from helpers.html_page import Page
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import Cells, Localizations
from calcium_lightning.core.events import find_events
from calcium_lightning.core.false_discovery import FalseDiscovery
from calcium_lightning.core.glossary import QUALITIES
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.pages.field import layers
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


def data_of(text: str) -> dict:
    """What the page's script draws."""
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    )


def test_every_cell_is_outlined_shown_and_listed(cells, page, text):
    accepted = int(cells.accepted.sum())
    assert 0 < accepted < len(cells)
    assert [cell["accepted"] for cell in data_of(text)["outlines"]] == cells.accepted.tolist()
    assert page.count("tr") == len(cells) + 1
    for k in range(len(cells)):
        assert page.count("button", **{"data-cell": str(k)}) == 1
        assert page.count("tr", **{"data-cell": str(k)}) == 1
    assert f"{accepted}" in page.texts


def test_what_a_person_decided_is_told(cells):
    text = render(decided(cells), "cells.h5")
    page = Page(text)
    told = " ".join(page.texts)
    assert f"of {len(cells) - 1} found" in told  # the last one was drawn
    assert "decided by hand" in told
    assert "1 made, 0 replaced" in told
    for verdict in ("rejected by hand", "accepted; late, place cell; =dim at the end", "accepted, drawn"):
        assert verdict in told
    assert data_of(text)["notes"][0].endswith("rejected by hand")
    assert "by hand" not in " ".join(Page(render(cells, "cells.h5")).texts)


@pytest.mark.parametrize(("kind", "unit"), [("raw", "units of the frames, and ΔF/F"), ("dff", "axis: ΔF/F.")])
def test_what_traces_are_measured_in_is_told(cells, kind, unit):
    assert unit in render(replace(cells, kind=kind), "cells.h5")


def test_sections_are_there(page):
    ids = {attributes.get("id") for tag, attributes in page.elements if tag == "section"}
    assert {"overview", "field", "gallery", "traces", "activity", "quality", "motion", "localizations"} <= ids
    assert "measured" not in ids


def test_names_from_files_are_text(page):
    assert f"/data/{HOSTILE}" in page.texts
    assert page.count("script") == 3  # the numbers, uPlot, and ours
    assert any("<b>bold</b>" in text for text in page.texts)


def test_nothing_comes_from_elsewhere(page):
    for tag, attributes in page.elements:
        for name in ("src", "href", "data", "action", "poster", "srcset"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, name)
    assert page.count("link", rel="stylesheet") == 0


def test_outlines_lie_where_the_footprints_are(cells, text):
    """The outline at half the peak of a Gaussian has its centre at the cell's."""
    for k, cell in enumerate(data_of(text)["outlines"]):
        (line,) = cell["lines"]
        places = np.reshape(line, (-1, 2))
        np.testing.assert_allclose((places.min(0) + places.max(0)) / 2, cells.centers[k], atol=0.6)
        np.testing.assert_allclose(cell["center"], cells.centers[k], atol=0.01)


def test_pictures_keep_their_numbers_and_outliers_do_not_make_them_dark(cells):
    """Many hot pixels: brightness goes by the tissue, and the numbers are all there."""
    rng = np.random.default_rng(0)
    hot = rng.random(cells.frame_shape) < 0.01
    image = np.where(hot, 5000, cells.max_image).astype(np.float32)
    _, shown, *_ = layers(replace(cells, max_image=image))
    _, usual, *_ = layers(cells)
    assert shown["shown"][1] < 1.2 * usual["shown"][1] < 100
    numbers = np.frombuffer(zlib.decompress(base64.b64decode(shown["numbers"])), "<u2").reshape(
        cells.frame_shape
    )
    restored = shown["low"] + numbers / 65535 * (shown["high"] - shown["low"])
    np.testing.assert_allclose(restored, image - cells.mean_image, atol=0.1)


def test_what_is_to_be_known_is_said_first_and_false_cells_are_counted(cells):
    known = FalseDiscovery(0.05, 1.4, "learned", 20, 8)
    text = render(replace(cells, notes=("12 frames hold no picture",), false_discovery=known))
    page = Page(text)
    assert text.index("12 frames hold no picture") < text.index('id="overview"') < text.index('id="field"')
    assert "14.0%" in page.texts
    explained = {given["title"] for _, given in page.elements if "title" in given}
    assert {QUALITIES["snr"].title, QUALITIES["score"].title} <= explained
    assert any("upside down" in words for words in explained)


def test_where_none_is_accepted_the_page_says_why(cells):
    known = FalseDiscovery(0.05, 0.0, "twin", 84, 80)
    none = replace(cells, accepted=np.zeros(len(cells), bool), false_discovery=known)
    assert known.why_none(0) in Page(render(none)).texts


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
        traces, spikes = cells.traces.copy(), cells.spikes.copy()
        traces[1, 5], spikes[1, 7], traces[2] = np.nan, np.inf, np.nan  # others' files have such frames
        odd = replace(cells, footprints=csr_matrix(images), centers=centers, quality=quality)
        odd = replace(odd, traces=traces, denoised=traces, spikes=spikes)
    elif change == "one frame":
        odd = make_example(length=1)[0]
    else:
        odd = make_example(count=3, length=30_000)[0]
    text = render(odd)
    assert Page(text).count("canvas") == 1
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


def test_several_cells_files_make_a_folder_and_one_page_of_them_all(cells, tmp_path, run_command):
    known = FalseDiscovery(0.05, 1.4, "learned", 20, 8)
    write_cells(tmp_path / "a b.h5", replace(cells, notes=("a warning <i>",), false_discovery=known))
    write_cells(tmp_path / "c.h5", cells)
    (tmp_path / "d.h5").write_bytes(b"no HDF5")
    result = run_command("report", "cells=['a b.h5',c.h5,d.h5]", "output=pages")
    assert (result.status, "d" in result.stderr) == (2, True), result.stderr
    assert sorted(file.name for file in (tmp_path / "pages").iterdir()) == [
        "a b.html",
        "c.html",
        "index.html",
    ]
    assert "all of them: pages/index.html" in result.stdout
    page = Page((tmp_path / "pages/index.html").read_text("utf-8"))
    assert page.count("tr") == 3
    assert page.count("a", href="a%20b.html") == 2
    assert {"a warning <i>", "d", f"{2 * cells.accepted.sum()}"} <= set(page.texts)
    again = run_command("report", "cells=['a b.h5',c.h5]", "output=pages")
    assert (again.status, "index.html" in again.stderr) == (2, True)
    write_cells(tmp_path / "index.h5", cells)
    refused = run_command("report", "cells=[c.h5,index.h5]", "output=other")
    assert (refused.status, "page of them all" in refused.stderr) == (2, True)


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
    Path(tmp_path / "text.json").write_text("figures", encoding="utf-8")
    Path(tmp_path / "other.json").write_text("[1]", encoding="utf-8")
    Path(tmp_path / "newer.json").write_text(json.dumps(about | {"version": 9}), encoding="utf-8")
    two = {"recordings": [{"cells": "a.h5", "figures": {}}, {"cells": "b.h5", "figures": {}}]}
    Path(tmp_path / "two.json").write_text(json.dumps(about | two), encoding="utf-8")
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
