"""What the README says works: its commands compose, its Python runs, its links and targets exist."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from helpers.typed import PREFIX, compose_line, typed_lines

from calcium_lightning.simulation import SceneSession, SceneSettings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def examples() -> list[str]:
    return [line for block in blocks("bash") for line in typed_lines(block)]


def test_there_are_examples_of_the_tour() -> None:
    names = [line.removeprefix(PREFIX).split()[0] for line in examples()]
    assert {"ingest", "extract", "report", "export", "train"} <= set(names)


@pytest.mark.parametrize("line", examples())
def test_commands_compose(line: str) -> None:
    compose_line(line)


def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = SceneSettings(height_px=60, width_px=84, seconds=8, cell_diameter_px=(9.0, 11.0), brightness=0.6)
    np.save(tmp_path / "frames.npy", SceneSession(scene, seed=4).frames())
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("python")
    names: dict = {}
    exec(compile(block, "README.md", "exec"), names)
    assert names["cells"].accepted.any()
    assert (tmp_path / "from_python.nwb").is_file()


def test_it_is_a_screen_and_a_half() -> None:
    assert len(README.splitlines()) <= 100


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", text.lower()).strip().replace(" ", "-")
        for text in re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("https://"):
            assert (ROOT / target).exists(), target
