"""The notebooks run as they stand: every cell, in order, as plain Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import pytest

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorials"


def run(path: Path) -> dict[str, Any]:
    """What the cells of a notebook leave behind, with a figure for each that draws."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            assert not cell["outputs"], f"{path.name}: outputs are not kept"
            exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def _no_window():
    from matplotlib import pyplot

    matplotlib.use("agg")
    pyplot.close("all")
    yield
    pyplot.close("all")


def test_the_stages_find_the_cells_and_extract_finds_no_fewer(tmp_path, monkeypatch):
    from matplotlib import pyplot

    from calcium_lightning import evaluate

    monkeypatch.chdir(tmp_path)
    names = run(TUTORIALS / "stages.ipynb")
    assert len(pyplot.get_fignums()) == 6
    scores = {
        name: evaluate(names[name], names["scene"])["together"] for name in ("cells", "others", "whole")
    }
    assert scores["cells"]["f1"] > 0.85
    assert scores["cells"]["correlation"] > 0.95
    assert scores["whole"]["f1"] > 0.85
    assert 0.3 < scores["others"]["f1"] < scores["cells"]["f1"]  # a stage that was swapped, and what it costs
    assert len(names["quality"]["score"]) == len(names["cells"])
    assert list(tmp_path.iterdir()) == []
