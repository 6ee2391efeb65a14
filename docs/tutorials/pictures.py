"""Makes the tutorials' pictures by following them: their blocks as they stand, then what a browser shows.

    python docs/tutorials/pictures.py [NAME ...]

Needs Chromium and Playwright. Takes some minutes; nothing in the pictures is drawn by hand.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "tests"), str(HERE.parents[1])]

from helpers.browser import browser, serving  # noqa: E402
from helpers.pages import steps  # noqa: E402

PICTURES = HERE / "pictures"


def follow(name: str, folder: Path) -> None:
    """Do what a tutorial says, each step in a process of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE.parents[1]),
        "MPLBACKEND": "agg",
        "WANDB_MODE": "offline",
    }
    for step in steps((HERE / f"{name}.md").read_text(encoding="utf-8")):
        if step.kind == "file":
            (folder / step.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / step.path).write_text(step.text)
        elif step.kind == "python":
            subprocess.run([sys.executable, "-c", step.text], cwd=folder, env=environment, check=True)
        elif step.kind == "command" and not step.needs:
            words = shlex.split(step.text, comments=True)[1:]
            subprocess.run([sys.executable, *words], cwd=folder, env=environment, check=True)


def seen(address: str, name: str, height: int = 820, do: Callable = lambda page: None) -> None:
    """What a browser shows."""
    with browser() as chromium:
        page = chromium.new_page(viewport={"width": 1240, "height": height})
        page.goto(address)
        page.wait_for_timeout(2500)
        do(page)
        page.wait_for_timeout(800)
        page.screenshot(path=PICTURES / f"{name}.png")
    print(PICTURES / f"{name}.png")


def first_recording(folder: Path) -> None:
    """The report, and the cells as matplotlib draws them."""
    shutil.copy(folder / "cells.png", PICTURES / "cells.png")
    seen((folder / "report.html").as_uri(), "report", 1250)


def curation(folder: Path) -> None:
    """The page where a person decides, at one of the less certain cells."""
    with serving(folder, "cells=cells.h5", "session=recording.h5") as served:
        seen(served.address, "curation", 800, lambda page: page.keyboard.press("n"))


def over_days(folder: Path) -> None:
    """The page of tracks."""
    seen((folder / "tracks.html").as_uri(), "tracks", 1250)


def researcher(folder: Path) -> None:
    """Held-out frames of the first training, and the page of the sweep."""
    newest = sorted((folder / "outputs/first/figures").glob("epoch_*.png"))[-1]
    shutil.copy(newest, PICTURES / "epoch.png")
    seen((folder / "first.html").as_uri(), "comparison", 1250)


TUTORIALS = {
    "first-recording": first_recording,
    "curation": curation,
    "over-days": over_days,
    "researcher": researcher,
}


def main(names: list[str]) -> None:
    """Follow some of the tutorials, or all."""
    PICTURES.mkdir(exist_ok=True)
    for name in names or TUTORIALS:
        with tempfile.TemporaryDirectory() as folder:
            follow(name, Path(folder))
            TUTORIALS[name](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
