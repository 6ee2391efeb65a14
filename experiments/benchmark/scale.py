"""How time and memory of ``extract`` grow with the recording.

    python experiments/benchmark/scale.py [--fields 256 600] [--frames 1200 12000 60000] [--folder FOLDER]

A scene of the project's own simulator, 60 s at 20 Hz, played forwards and backwards in turn until it is as
long as asked for: the same work in every minute. Wall time and largest resident memory of the whole process.
A row that is in ``results/scale.json`` already isn't measured again (``--fresh`` does). Writes
``results/scale.md``, ``.json`` and ``.png`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import matplotlib
import numpy as np
from processes import run
from rich.console import Console
from rich.markdown import Markdown
from timing import machine

from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter

RESULTS = Path(__file__).resolve().parent / "results"
SCENE_FRAMES, FPS, CELL_DIAMETER = 1200, 20, 12.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fields", type=int, nargs="+", default=[256, 600], help="pixels along a side")
    parser.add_argument("--frames", type=int, nargs="+", default=[1200, 12000, 60000])
    parser.add_argument("--most", type=int, default=5_000_000_000, help="pixels of the largest recording")
    parser.add_argument("--folder", type=Path, help="where recordings are made; default a temporary folder")
    parser.add_argument("--fresh", action="store_true", help="measure everything again")
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    record = RESULTS / "scale.json"
    rows = [] if options.fresh or not record.is_file() else json.loads(record.read_text())["rows"]
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="scale-") as folder:
        for field in options.fields:
            for frames in options.frames:
                known = any((row["field"], row["frames"]) == (field, frames) for row in rows)
                if not known and field**2 * frames <= options.most:
                    rows.append(_measure(Path(folder), field, frames))
                    record.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")
    rows.sort(key=lambda row: (row["field"], row["frames"]))
    (RESULTS / "scale.md").write_text(text := _table(rows))
    _plot(rows)
    Console().print(Markdown(text))


def _measure(folder: Path, field: int, frames: int) -> dict[str, float]:
    scene = folder / f"scene_{field}.h5"
    base = [sys.executable, "-m"]
    if not scene.exists():
        run(
            [
                *(*base, "calcium_lightning.simulate", f"output={scene}", "simulation=miniscope_ca1"),
                *(f"simulation.height_px={field}", f"simulation.width_px={field}"),
                *(f"simulation.seconds={SCENE_FRAMES / FPS}", f"fps={FPS}", f"cell_diameter={CELL_DIAMETER}"),
                f"hydra.run.dir={folder}/run",
            ]
        )
    session, cells = folder / f"session_{field}_{frames}.h5", folder / "cells.h5"
    _repeat(scene, session, frames)
    took = run(
        [
            *(*base, "calcium_lightning.extract", f"session={session}", f"output={cells}", "overwrite=true"),
            *(f"cell_diameter={CELL_DIAMETER}", f"hydra.run.dir={folder}/run"),
        ]
    )
    session.unlink()
    print(f"{field}x{field}, {frames} frames: {took.seconds:.0f} s, {took.peak_mb:.0f} MB", file=sys.stderr)
    return {"field": field, "frames": frames, **asdict(took)}


def _repeat(scene: Path, target: Path, frames: int) -> None:
    with Session(scene) as source:
        block = source.frames(0, source.n_frames)
        size = source.height, source.width
        with SessionWriter(target, *size, source.dtype, source.fps, overwrite=True) as writer:
            for turn in range(-(-frames // len(block))):
                part = block[: frames - turn * len(block)]
                writer.append(np.ascontiguousarray(part[:: 1 if turn % 2 == 0 else -1]))


def _table(rows: list[dict[str, float]]) -> str:
    lines = [
        "| field, px | frames | seconds | ms per frame | CPU seconds | peak MB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['field']}² | {row['frames']} | {row['seconds']:.0f} "
        f"| {1e3 * row['seconds'] / row['frames']:.1f} | {row['cpu_seconds']:.0f} | {row['peak_mb']:.0f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _plot(rows: list[dict[str, float]]) -> None:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (time, memory) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for field in sorted({row["field"] for row in rows}):
        own = [row for row in rows if row["field"] == field]
        frames = [row["frames"] for row in own]
        time.plot(frames, [row["seconds"] for row in own], "o-", label=f"{field}² px")
        memory.plot(frames, [row["peak_mb"] for row in own], "o-")
    time.set(xscale="log", yscale="log", xlabel="frames", ylabel="seconds")
    memory.set(xscale="log", xlabel="frames", ylabel="peak memory, MB", ylim=(0, None))
    time.legend()
    figure.savefig(RESULTS / "scale.png", dpi=150)


if __name__ == "__main__":
    main()
