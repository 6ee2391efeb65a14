"""What the docs say works: commands compose, Python runs, the site builds without a warning."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.example_cells import make_example
from helpers.typed import PREFIX, compose_line, typed_lines

from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.writers.matlab import variables
from calcium_lightning.simulation import SceneSession, SceneSettings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
#: parts.md has tests of its own, which make what it shows (tests/test_parts.py)
PAGES = {
    page.relative_to(DOCS).as_posix(): page.read_text(encoding="utf-8")
    for page in sorted(DOCS.rglob("*.md"))
    if "generated" not in page.parts and page.name != "parts.md"
}
LANGUAGES = {"bash", "python", "matlab", "text"}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_no_block_escapes_the_tests() -> None:
    for name, text in PAGES.items():
        opened = re.findall(r"^```([\w{][^\n]*)$", text, re.MULTILINE)
        assert {word for word in opened if not word.startswith("{")} <= LANGUAGES, name


@pytest.mark.parametrize(
    ("page", "line"),
    [
        (name, line)
        for name, text in PAGES.items()
        for block in blocks(text, "bash")
        for line in typed_lines(block)
    ],
)
def test_commands_compose(page: str, line: str) -> None:
    compose_line(line)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pages' Python runs: with cells of a recording, and frames."""
    place = tmp_path_factory.mktemp("docs")
    cells, _ = make_example()
    write_cells(place / "cells.h5", cells)
    scene = SceneSettings(height_px=60, width_px=84, seconds=8, cell_diameter_px=(9.0, 11.0), brightness=0.6)
    np.save(place / "frames.npy", SceneSession(scene, seed=4).frames())
    return place


@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if blocks(text, "python")])
def test_python_runs(
    page: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import matplotlib

    matplotlib.use("agg")
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    for number, block in enumerate(blocks(PAGES[page], "python")):
        names: dict = {}
        exec(compile(block, f"{page}, block {number}", "exec"), names)
        for name, value in names.items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                assert value.size, f"{page}: {name} is empty"
                assert np.isfinite(value).all(), f"{page}: {name}"

    if page == "tutorials/python.md":
        printed = capsys.readouterr().out
        assert "of 12 cells accepted, 300 frames at 20 Hz" in printed
        assert "localisations, the first at y" in printed
        assert (tmp_path / "from_python.nwb").is_file()


def test_what_pages_show_in_matlab_is_in_the_file() -> None:
    cells, _ = make_example()
    held = variables(cells, np.arange(len(cells)))
    shown = [
        path
        for text in PAGES.values()
        for block in blocks(text, "matlab")
        for path in re.findall(r"\bm\.([a-z_]+(?:\.[a-z_]+)?)", block)
    ]
    assert shown
    for path in shown:
        value: object = held
        for part in path.split("."):
            assert isinstance(value, dict)
            assert part in value, path
            value = value[part]


def test_the_table_has_every_command() -> None:
    table = re.findall(rf"^\| `{re.escape(PREFIX)}(\w+)", PAGES["reference/commands.md"], re.MULTILINE)
    assert sorted(table) == sorted(SCHEMAS)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for text in PAGES.values():
        for target in re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_name_of_the_face_is_in_the_reference() -> None:
    import calcium_lightning

    page = (DOCS / "reference" / "python.rst").read_text()
    for name in calcium_lightning.__all__:
        assert re.search(rf"^   calcium_lightning\.[\w.]+\.{name}$", page, re.MULTILINE), name


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Every page is read and every link resolved; notebooks run in a test of their own."""
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "-b", "dummy"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "site")],
        env={**os.environ, "NB_EXECUTION": "off"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
