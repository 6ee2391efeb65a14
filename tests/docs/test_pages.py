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
from helpers.pages import check_unrun, run_line, steps
from helpers.pages_world import make_world
from helpers.typed import PREFIX

from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.io.writers.matlab import variables

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
#: parts.md has tests of its own, which make what it shows (tests/test_parts.py)
PAGES = {"README.md": (ROOT / "README.md").read_text(encoding="utf-8")} | {
    page.relative_to(DOCS).as_posix(): page.read_text(encoding="utf-8")
    for page in sorted(DOCS.rglob("*.md"))
    if "generated" not in page.parts and page.name != "parts.md"
}
LANGUAGES = {"bash", "python", "yaml", "matlab", "text"}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_no_block_escapes_the_tests() -> None:
    for name, text in PAGES.items():
        opened = re.findall(r"^```([\w{][^\n ]*)[^\n]*$", text, re.MULTILINE)
        assert {word for word in opened if not word.startswith("{")} <= LANGUAGES, name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that pages speak of."""
    place = tmp_path_factory.mktemp("docs")
    make_world(place)
    return place


@pytest.mark.parametrize("name", [name for name, text in PAGES.items() if list(steps(text))])
def test_every_block_runs(
    name: str,
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Commands as they are typed and Python as it stands, in order, in one folder of the page's own."""
    import matplotlib

    matplotlib.use("agg")
    for file in world.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    for number, step in enumerate(steps(PAGES[name])):
        if step.kind == "file":
            Path(step.path).parent.mkdir(parents=True, exist_ok=True)
            Path(step.path).write_text(step.text, encoding="utf-8")
        elif step.kind == "python":
            names: dict = {}
            exec(compile(step.text, f"{name}, step {number}", "exec"), names)
            for variable, value in names.items():
                if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                    assert value.size, f"{name}: {variable} is empty"
                    assert np.isfinite(value).all(), f"{name}: {variable}"
        elif step.kind == "command" and not step.needs:
            run_line(step.text)
        else:
            check_unrun(step)
    if name == "tutorials/python.md":
        printed = capsys.readouterr().out
        assert "cells accepted, 100 frames at 10 Hz" in printed
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


#: what a lab asks -> the page that answers
QUESTIONS = {
    "how do I remove a cell": "how-to/remove-cells.md",
    "how do I merge two": "how-to/decide-by-hand.md",
    "what does each quality word mean, and why was this one rejected": "how-to/why-rejected.md",
    "how do I get ΔF/F and events into MATLAB": "how-to/matlab.md",
    "how do I see the corrected movie": "how-to/corrected-movie.md",
    "which folder of my session do I pass": "how-to/which-folder.md",
    "how do I run fifty": "how-to/fifty.md",
    "when should I train and how do I know that it helped": "how-to/train-or-not.md",
    "what is the unit of activity": "how-to/unit-of-activity.md",
}


def links(name: str) -> set[str]:
    """Pages that a page leads to: links, cards and tables of contents."""
    text, place = PAGES[name], (DOCS / name).parent
    found = re.findall(r"\]\(([^)#]+\.md)[^)]*\)", text) + [
        f"{entry}.md" for entry in re.findall(r"^:link: (\S+)$", text, re.MULTILINE)
    ]
    for body in re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        found += [f"{entry}.md" for entry in re.findall(r"^(?!:)(\S+)$", body, re.MULTILINE)]
    paths = (Path(os.path.normpath(place / target)) for target in found)
    return {path.relative_to(DOCS).as_posix() for path in paths if path.is_relative_to(DOCS)}


def test_every_question_is_answered_within_two_clicks_of_the_first_page() -> None:
    one = links("index.md")
    two = one.union(*(links(page) for page in one if page in PAGES))
    for question, page in QUESTIONS.items():
        assert page in two, question
    told = {page for page in PAGES if page.startswith("how-to/") and page != "how-to/index.md"}
    assert told <= two  # no page is an island


def test_pages_show_pictures_that_exist_and_say_what_is_on_them() -> None:
    for name, text in PAGES.items():
        for path, options in re.findall(r"^```\{image\} (\S+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            assert ((DOCS / name).parent / path).is_file(), f"{name}: {path}"
            assert ":alt: " in options, f"{name}: {path}"
