"""The page in a real browser: it runs, says nothing on the console, and asks nobody for anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.example_cells import make_example
from helpers.example_runs import make_sweep
from matplotlib.image import imread
from scipy.sparse import csr_matrix

from calcium_lightning.comparison.compare import compare_runs
from calcium_lightning.comparison.runs import read_runs
from calcium_lightning.core.cells import Cells
from calcium_lightning.pages import comparison
from calcium_lightning.pages.report import render

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium")

# what a reader would do, and what they should then see
VISIT = """
<script>
addEventListener("load", () => {
  const seen = [];
  const find = (id) => document.getElementById(id);
  const inked = () => {
    const canvas = find("cell-course");
    return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0);
  };
  seen.push("first " + find("cell-name").textContent, "inked " + inked());
  const first = find("cell-name").textContent;
  find("next").click();
  seen.push("moved " + (find("cell-name").textContent !== first));
  document.querySelector('.thumbnail[data-cell="7"]').click();
  seen.push("clicked " + find("cell-name").textContent, "chosen " + document.querySelectorAll("g.chosen").length);
  find("layer").value = "3";
  find("layer").dispatchEvent(new Event("change"));
  seen.push("layers " + [...document.querySelectorAll("#view .layer")].map((node) => node.getAttribute("visibility")[0]).join(""));
  const rejected = () => getComputedStyle(document.querySelector("g.rejected:not(.chosen)")).display;
  seen.push("hidden " + rejected());
  find("show-rejected").click();
  seen.push("rejected " + rejected());
  const broken = [...document.images].filter((image) => !image.complete || !image.naturalWidth);
  seen.push("broken " + broken.length);
  seen.push("overflow " + (document.documentElement.scrollWidth > innerWidth));
  const note = document.createElement("pre");
  note.id = "seen";
  note.textContent = seen.join("; ");
  document.body.append(note);
});
</script>
"""


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
    quiet += [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
    ]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    assert BROWSER is not None
    command = [BROWSER, *quiet, profile, "--window-size=1280,1600", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def with_a_lost_cell() -> Cells:
    """The example; one cell has neither footprint nor centre, and a quality that is no number."""
    cells = make_example()[0]
    images, centers, score = cells.footprints.toarray(), cells.centers.copy(), cells.quality["score"].copy()
    images[3], centers[3], score[3] = 0, np.nan, np.nan
    quality = {**cells.quality, "score": score}
    return replace(cells, footprints=csr_matrix(images), centers=centers, quality=quality)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("page") / "page.html"
    text = render(with_a_lost_cell(), "cells.h5", {"f1": 0.9, "precision": 1.0, "correlation": None})
    file.write_text(text.replace("</body>", VISIT + "</body>"), encoding="utf-8")
    return file


def test_a_visit(page):
    visit = browse(page, "--enable-logging=stderr", "--dump-dom", "--virtual-time-budget=4000")
    seen = re.search(r'<pre id="seen">(.*?)</pre>', visit.stdout)
    assert seen, visit.stderr[-2000:]
    found = dict(item.split(" ", 1) for item in seen[1].split("; "))
    assert found["first"].startswith("Cell #")
    assert found["clicked"] == "Cell #7"
    expected = {
        "inked": "true", "chosen": "1", "moved": "true", "layers": "hhhv", "hidden": "none",
        "rejected": "inline", "broken": "0",
        "overflow": "false",
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    # the content policy forbids every request, and says so on the console if one is tried
    console = [line for line in visit.stderr.splitlines() if "CONSOLE" in line]
    assert console == []


def test_it_is_drawn(page):
    picture = page.parent / "page.png"
    browse(page, f"--screenshot={picture}")
    shown = imread(picture)[..., :3]
    assert shown.shape == (1600, 1280, 3)
    assert shown[5, 640].max() < 0.3  # the dark header spans the page
    turquoise = (np.abs(shown - np.array([46, 230, 203]) / 255) < 0.12).all(-1)
    assert turquoise.sum() > 200  # outlines of accepted cells


def test_a_comparison_is_drawn_and_needs_nothing(tmp_path):
    file, picture = tmp_path / "page.html", tmp_path / "page.png"
    runs = read_runs([make_sweep(tmp_path / "sweep", 12)])
    file.write_text(comparison.render(compare_runs(runs), "sweep"), encoding="utf-8")
    visit = browse(file, "--enable-logging=stderr", f"--screenshot={picture}")
    assert [line for line in visit.stderr.splitlines() if "CONSOLE" in line] == []
    shown = imread(picture)[..., :3]
    assert shown[5, 640].max() < 0.3  # the dark header spans the page
    turquoise = (np.abs(shown - np.array([15, 157, 138]) / 255) < 0.05).all(-1)
    assert turquoise.sum() > 150  # the best run's marks
