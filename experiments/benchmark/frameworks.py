"""The page for curation against the least of it in Bokeh and in Plotly Dash: size, opening, a choice, memory.

    python3 -m venv ENV && ENV/bin/pip install bokeh dash
    .venv/bin/python experiments/benchmark/frameworks.py --python ENV/bin/python --folder FOLDER

``FOLDER`` is what ``curation.py --folder FOLDER`` has made. The two others are given what they need ready:
the field's picture, outlines, scores, and traces thinned as our server thins them; they show the field with
all outlines, the list of cells, and the traces of the chosen one (``frameworks/``), and neither keep
decisions nor play a movie. Chromium without a GPU opens each in turn and chooses cells; a choice takes from
when it is made until the next frame of the screen after its traces were drawn.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from curation import memory
from playwright.sync_api import sync_playwright

from calcium_lightning.curation import views
from calcium_lightning.io.curation_file import open_decided

HERE, POINTS, CHOICES = Path(__file__).parent / "frameworks", 2000, 15
#: what each needs beyond NumPy and what it brings itself
PACKAGES = {"ours": ("starlette", "uvicorn"), "Bokeh": ("bokeh",), "Plotly Dash": ("dash",)}
#: how a page says that it is drawn
READY = {
    "ours": "() => document.querySelector('html[data-ready=true] #plot[data-cell]')",
    "Bokeh": "() => window.Bokeh?.documents[0]?.is_idle",
    "Plotly Dash": "() => document.querySelectorAll('.js-plotly-plot .main-svg').length >= 4",
}
#: chooses a cell, and resolves with milliseconds
CHOOSE = {
    "ours": """(cell) => new Promise((done) => {
        const begin = performance.now(), plot = document.getElementById("plot");
        const seen = new MutationObserver(() => {
            if (plot.dataset.cell !== String(cell)) return;
            seen.disconnect();
            after(begin, done);
        });
        seen.observe(plot, { attributeFilter: ["data-cell"] });
        import(new URL("static/store.js", document.baseURI)).then(({ choose }) => choose(cell));
    })""",
    "Bokeh": """(cell) => new Promise((done) => {
        const begin = performance.now(), model = (name) => Bokeh.documents[0].get_model_by_name(name);
        const trace = model("trace");
        const drawn = () => { trace.properties.data.change.disconnect(drawn); after(begin, done); };
        trace.properties.data.change.connect(drawn);
        model("cells").selected.indices = [cell];
    })""",
    "Plotly Dash": """(cell) => new Promise((done) => {
        const begin = performance.now(), plot = document.querySelector("#plot .js-plotly-plot");
        const drawn = () => { plot.removeListener("plotly_afterplot", drawn); after(begin, done); };
        plot.on("plotly_afterplot", drawn);
        dash_clientside.set_props("cell", { data: cell });
    })""",
}
AFTER = """window.after = (begin, done) => requestAnimationFrame(
    () => setTimeout(() => done(performance.now() - begin)))"""
#: bytes of packages and of all that they require, NumPy aside
SIZE = """
import importlib.metadata as m, re, sys
seen, total, wanted = {"numpy"}, 0, sys.argv[1:]
while wanted:
    name = re.match("[A-Za-z0-9._-]+", wanted.pop())[0].lower().replace("_", "-")
    if name in seen:
        continue
    seen.add(name)
    try:
        found = m.distribution(name)
    except m.PackageNotFoundError:
        continue
    paths = [file.locate() for file in found.files or ()]
    total += sum(path.stat().st_size for path in paths if path.is_file() and path.suffix != ".pyc")
    wanted += [item for item in found.requires or () if "extra ==" not in item]
print(total)
"""


def given(cells: Path, path: Path) -> None:
    """What the two others are given."""
    with open_decided(cells) as found:
        rows = views.rows_of(found, range(len(found)))
        outlines = [np.array(max(lines, key=len), float).reshape(-1, 2) for lines in rows["outlines"]]
        told = [views.traces(found, [row], 0, found.n_frames, POINTS)[1] for row in range(len(found))]
        np.savez(
            path,
            image=np.asarray(found.max_image),
            outlines=np.concatenate(outlines),
            starts=np.cumsum([0, *map(len, outlines)]),
            score=found.quality["score"],
            time=told[0][0],
            courses=np.stack([lines[1:] for lines in told]),
        )


def measured(browser: Any, name: str, address: str) -> list[float]:
    """Bytes received (MB), seconds until it is drawn, and of choices (median, worst)."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    received = [0]
    watch = page.context.new_cdp_session(page)
    watch.send("Network.enable")

    def count(size: float) -> None:
        received[0] += int(size)

    watch.on("Network.dataReceived", lambda event: count(event["encodedDataLength"] or event["dataLength"]))
    watch.on("Network.webSocketFrameReceived", lambda event: count(len(event["response"]["payloadData"])))
    page.add_init_script(AFTER)
    begin = time.perf_counter()
    page.goto(address)
    page.wait_for_function(READY[name], timeout=120_000)
    opened = time.perf_counter() - begin
    page.wait_for_timeout(1500)
    size = received[0] / 1e6
    choices = [page.evaluate(CHOOSE[name], 40 + 7 * row) / 1000 for row in range(CHOICES)]
    page.close()
    return [size, opened, float(np.median(choices)), max(choices)]


def served(command: list[str], address: Callable[[str], str]) -> tuple[subprocess.Popen[str], str]:
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, address(server.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", required=True, help="of an environment with bokeh and dash")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cells, data = options.folder / "cells.h5", options.folder / "given.npz"
    given(cells, data)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    there = f"http://127.0.0.1:{port}/"
    pages = {
        "ours": ([sys.executable, "-m", "calcium_lightning.curate", f"cells={cells}", "open=false"], None),
        "Bokeh": ([options.python, str(HERE / "bokeh_page.py"), str(data), str(port)], there),
        "Plotly Dash": ([options.python, str(HERE / "dash_page.py"), str(data), str(port)], there),
    }
    found: dict[str, list[list[float]]] = {name: [] for name in pages}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for _ in range(options.rounds):
            for name, (command, known) in pages.items():
                server, address = served(
                    command, lambda line, known=known: known or re.search(r"http://\S+/", line)[0]
                )
                try:
                    time.sleep(2)
                    found[name].append([*measured(browser, name, address), memory(server.pid)[1]])
                finally:
                    server.terminate()
                    server.wait(60)
        browser.close()
    print("| | installed MB | received MB | opened s | a choice, median s | worst s | server MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, rounds in found.items():
        python = sys.executable if name == "ours" else options.python
        size = int(subprocess.check_output([python, "-c", SIZE, *PACKAGES[name]])) / 1e6
        values = [size, *np.min(rounds, axis=0)]
        print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in values) + " |")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
