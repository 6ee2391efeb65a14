"""How many keys and seconds a session takes, curated by nothing but keys.

    .venv/bin/python experiments/benchmark/curation_by_keys.py CELLS.h5 MASK.npy [--session FILE.h5]

Works on a copy of the cells file. The page says which cell is the next uncertain one; an annotator's mask (1
inside some cell, scaled to the field) says what a person would decide: ``a`` where the cell's centre lies
inside, ``r`` where it doesn't. Each decision is waited for until the next cell's traces are drawn. Ends with
what the mask says of the accepted cells before and afterwards.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from calcium_lightning.io.cells_file import read_cells


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", type=Path)
    parser.add_argument("mask", type=Path)
    parser.add_argument("--session", type=Path)
    parser.add_argument("--most", type=int, default=300)
    options = parser.parse_args()
    copy = Path(shutil.copy(options.cells, Path(tempfile.mkdtemp()) / "cells.h5"))
    inside = in_mask(copy, np.load(options.mask))
    tell("before", copy, inside)
    command = [sys.executable, "-m", "calcium_lightning.curate", f"cells={copy}", "open=false"]
    if options.session:
        command.append(f"session={options.session}")
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    address = re.search(r"http://\S+/", server.stdout.readline())[0]
    try:
        keys, times = curate(address, inside, options.most)
    finally:
        server.terminate()
        server.wait(60)
    tell("after", copy, inside)
    total = sum(times)
    print(
        f"{keys} keys for {keys} cells in {total:.1f} s: {60 * keys / total:.0f} cells a minute, "
        f"{np.median(times):.3f} s from a key to the next cell (median; {np.max(times):.3f} s at most)"
    )


def curate(address: str, inside: np.ndarray, most: int) -> tuple[int, list[float]]:
    times: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.wait_for_selector("html[data-ready=true]")
        page.wait_for_selector("#plot[data-cell]")
        for _ in range(min(most, len(inside))):
            cell = int(page.locator("#plot").get_attribute("data-cell"))
            begin = time.perf_counter()
            page.keyboard.press("a" if inside[cell] else "r")
            number = len(times) + 1
            last = number == len(inside)
            page.wait_for_selector(f"html[data-revision='{number}']")
            if not last:
                page.wait_for_selector(f"#plot:not([data-cell='{cell}'])")
            times.append(time.perf_counter() - begin)
        browser.close()
    return len(times), times


def in_mask(path: Path, mask: np.ndarray) -> np.ndarray:
    cells = read_cells(path)
    place = (cells.centers + 0.5) * np.array(mask.shape) / np.array(cells.frame_shape)
    row, column = np.clip(place.astype(int), 0, np.array(mask.shape) - 1).T
    return mask[row, column] > 0


def tell(when: str, path: Path, inside: np.ndarray) -> None:
    cells = read_cells(path)
    accepted = cells.accepted[: len(inside)]
    hand = 0 if cells.curation is None else int((cells.curation.verdict != 0).sum())
    share = inside[accepted].mean() if accepted.any() else float("nan")
    print(
        f"{when}: {accepted.sum()} of {len(inside)} accepted, {share:.0%} of them in the mask; {hand} by hand"
    )


if __name__ == "__main__":
    main()
