"""What the README says is there: its links and targets exist. Its blocks are run with those of the docs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from helpers.typed import PREFIX, typed_lines

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def examples() -> list[str]:
    return [line for block in blocks("bash") for line in typed_lines(block)]


def test_there_are_examples_of_the_tour() -> None:
    names = [line.removeprefix(PREFIX).split()[0] for line in examples()]
    assert {"ingest", "extract", "report", "export", "train"} <= set(names)


def test_it_is_a_screen_and_a_half() -> None:
    assert len(README.splitlines()) <= 100


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_demo_goes_where_it_is_told() -> None:
    told = subprocess.run(
        ["make", "--dry-run", "demo", "DEMO=elsewhere"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    simulated, trained = (
        re.findall(pattern, told) for pattern in (r"output=(\S+\.h5)", r'sessions=\["(.+?)"')
    )
    assert trained == simulated[:1] == ["elsewhere/session.h5"]


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
