"""How fast the page for curation answers on a large session, and how much memory its server takes.

    .venv/bin/python experiments/benchmark/curation.py [--cells 1000] [--frames 60000] [--side 600]

Makes a cells file of random cells and a session whose frames are in one chunk of the file again and again (a
virtual dataset, so that 21 GB of frames need a few MB of disk), serves both in a process of its own, and asks
as the page does. Prints what takes how long, and the process's memory (resident set, its peak). The figures
of the page itself (until it can be used; until a choice is seen; frames of the movie a second) are taken in
Chromium, where Playwright and Chromium are installed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import httpx
import numpy as np
from scipy.sparse import csr_matrix

SIGMA, FPS, BLOCK = 5.0, 20.0, 200
#: from a key to the traces that it leads to, seconds, by the page's own clock
CLOCK = """() => {
    let pressed = 0;
    window.choices = [];
    addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
    new MutationObserver(() => window.choices.push((performance.now() - pressed) / 1000))
        .observe(document.getElementById("plot"), { attributeFilter: ["data-cell"] });
}"""


def make_session(path: Path, frames: int, side: int) -> None:
    """A session of ``frames`` frames, of which only ``BLOCK`` differ."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    tissue = 90 + 30 * np.cos(x / 37) * np.sin(y / 29)
    block = np.clip(tissue + random.normal(0, 4, (BLOCK, side, side)), 0, 255).astype(np.uint8)
    blocks = path.with_name("block.h5")
    with h5py.File(blocks, "w") as file:
        file.create_dataset("frames", data=block, chunks=(5, side, side))
    layout = h5py.VirtualLayout((frames, side, side), np.uint8)
    for start in range(0, frames, BLOCK):
        stop = min(start + BLOCK, frames)
        layout[start:stop] = h5py.VirtualSource(blocks, "frames", (BLOCK, side, side))[: stop - start]
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs.update({"format": "calcium-lightning-session", "version": 1})
        dataset = file.create_virtual_dataset("frames", layout)
        dataset.attrs.update({"fps": FPS, "kind": "raw", "motion_corrected": False})


def make_cells(path: Path, count: int, frames: int, side: int) -> None:
    """A cells file, written row by row."""
    random = np.random.default_rng(1)
    centers = random.uniform(12, side - 12, (count, 2))
    reach = np.arange(-12, 13)
    rows, columns, values = [], [], []
    for row, (y, x) in enumerate(centers):
        ys, xs = np.meshgrid(round(y) + reach, round(x) + reach, indexing="ij")
        weight = np.exp(-((ys - y) ** 2 + (xs - x) ** 2) / (2 * SIGMA**2))
        keep = (weight > 0.05) & (ys >= 0) & (xs >= 0) & (ys < side) & (xs < side)
        rows.append(np.full(keep.sum(), row))
        columns.append((ys * side + xs)[keep])
        values.append(weight[keep])
    data = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    footprints = csr_matrix(data, shape=(count, side * side), dtype=np.float32)
    score = np.sort(random.uniform(0, 1, count).astype(np.float32))[::-1]
    decay = np.exp(-np.arange(100) / 12).astype(np.float32)
    with h5py.File(path, "w") as file:
        file.attrs.update(
            {"format": "calcium-lightning-cells", "version": 1, "fps": FPS, "kind": "raw", "config": "",
             "session": "session.h5", "session_sha256": "0" * 64, "package_version": "0.1.0"}
        )  # fmt: skip
        file["centers"] = centers.astype(np.float32)
        file["center_std"] = np.full((count, 2), 0.1, np.float32)
        group = file.create_group("footprints")
        group.attrs["shape"] = (count, side, side)
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(footprints, name)
        traces = {
            name: file.create_dataset(name, (count, frames), np.float32)
            for name in ("traces", "denoised", "spikes")
        }
        for row in range(count):
            spikes = (random.random(frames) < 0.005).astype(np.float32)
            denoised = 20 * np.convolve(spikes, decay)[:frames].astype(np.float32)
            traces["spikes"][row], traces["denoised"][row] = spikes, denoised
            traces["traces"][row] = denoised + random.standard_normal(frames, np.float32)
        file["accepted"] = score > 0.4
        for name, values in {
            "score": score,
            "snr": 20 * score,
            "fdr": 1 - score,
            "width": score + 0.5,
        }.items():
            file[f"quality/{name}"] = values.astype(np.float32)
        walk = np.cumsum(random.normal(0, 0.02, (frames, 2)), 0)
        file["shifts"] = (walk - np.median(walk, 0)).astype(np.float32).clip(-5, 5)
        file["baseline"] = np.full(count, 90, np.float32)
        file["images/mean"] = np.full((side, side), 90, np.float32)
        image = 90 + np.asarray(footprints.sum(0)).reshape(side, side) * 20
        file["images/max"] = image.astype(np.float32)
        file["timestamps"] = np.arange(frames) / FPS
        for name in ("frame", "cell"):
            file[f"localizations/{name}"] = np.zeros(0, np.int32)
        for name in ("y", "x", "amplitude", "y_std", "x_std"):
            file[f"localizations/{name}"] = np.zeros(0, np.float32)


def memory(process: int) -> tuple[float, float]:
    """Resident set, and its peak, MB."""
    text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    now, peak = (int(re.search(rf"{name}:\s+(\d+)", text)[1]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=60000)
    parser.add_argument("--side", type=int, default=600)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    session, cells = folder / "session.h5", folder / "cells.h5"
    if not cells.exists():
        make_session(session, options.frames, options.side)
        make_cells(cells, options.cells, options.frames, options.side)
    print(f"{options.cells} cells, {options.frames} frames of {options.side} x {options.side}")
    command = [
        sys.executable,
        "-m",
        "calcium_lightning.curate",
        f"cells={cells}",
        f"session={session}",
        "open=false",
    ]
    begin = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    address = re.search(r"http://\S+/", server.stdout.readline())[0]
    show("command to address", time.perf_counter() - begin)
    try:
        by_request(address, options)
        show("memory, MB (peak)", *memory(server.pid), unit="")
        by_browser(address)
        show("memory after the movie, MB (peak)", *memory(server.pid), unit="")
    finally:
        server.terminate()
        server.wait(120)


def by_request(address: str, options: argparse.Namespace) -> None:
    with httpx.Client(base_url=f"{address}api/", timeout=60) as client:
        timed(client, "first answer", "start", repeats=1)
        rows = iter(range(1, options.cells, 37))
        times = [
            once(client, f"cell/{row}") + once(client, f"traces?cells={row},2,3,4,5&points=1400")
            for row in [next(rows) for _ in range(20)]
        ]
        show("a chosen cell and its traces, median, worst", float(np.median(times)), max(times))
        for mode in ("raw", "corrected"):
            starts = range(1000, 1000 + 20 * 24, 24)
            seconds = sum(once(client, f"frames/{mode}?start={start}&count=24") for start in starts)
            show(f"{mode} frames a second, by the server", 480 / seconds, unit="")
        revision = client.get("standing").json()["revision"]
        times = []
        for _ in range(20):
            begin = time.perf_counter()
            body = {"revision": revision, "actions": [{"do": "reject", "cells": [revision % 100]}]}
            revision = client.post("decide", json=body).json()["revision"]
            times.append(time.perf_counter() - begin)
        show("a decision, kept on disk, median, worst", float(np.median(times)), max(times))
        begin = time.perf_counter()
        client.post("decide", json={"revision": revision, "actions": [{"do": "merge", "cells": [200, 201]}]})
        show("a merger", time.perf_counter() - begin)


def by_browser(address: str) -> None:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("no Playwright: the page itself is not measured")
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        begin = time.perf_counter()
        page.goto(address)
        page.wait_for_selector("html[data-ready=true]")
        show("page opened to page ready", time.perf_counter() - begin)
        page.wait_for_selector("#plot[data-cell]")
        page.wait_for_timeout(1000)
        page.evaluate(CLOCK)
        for _ in range(15):
            before = page.locator("#plot").get_attribute("data-cell")
            page.keyboard.press("k")
            page.wait_for_selector(f"#plot:not([data-cell='{before}'])")
        times = page.evaluate("() => window.choices")
        show("a choice, key to traces drawn, median, worst", float(np.median(times)), max(times))
        for mode in ("raw", "corrected"):
            page.select_option("#picture", f"movie:{mode}")
            page.keyboard.press("Escape")
            page.locator("#play").click()
            page.wait_for_timeout(8000)
            rate = page.evaluate("() => document.documentElement.dataset.rate")
            page.locator("#play").click()
            show(f"{mode} movie, frames a second shown", float(rate or 0), unit="")
        browser.close()


def once(client: httpx.Client, path: str) -> float:
    begin = time.perf_counter()
    client.get(path).raise_for_status()
    return time.perf_counter() - begin


def timed(client: httpx.Client, name: str, path: str, repeats: int) -> None:
    show(name, *(once(client, path) for _ in range(repeats)))


def show(name: str, *values: float, unit: str = "s") -> None:
    print(f"  {name:<48}{', '.join(f'{value:.3g}' for value in values)} {unit}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
