"""How well are cells tracked across days, and how fast, beside CaImAn, ROICaT and CellReg's rule?

    python experiments/benchmark/tracking.py [--caiman ENV/bin/python] [--roicat ENV/bin/python]
        [--seeds 101 102 103] [--methods NAME ...] [--output DIR]

Draws days of one animal (`calcium_lightning.simulation.days`), gives every method the same footprints, and
compares who is said to be the same with who is. Prints a table, and writes `tracking.md` and `tracking.json`.
Figures that are there already and aren't measured anew stay: the peers are slow.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cellreg_rule
import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.simulation.days import DaysSettings, DrawnDay, draw_days
from calcium_lightning.simulation.settings import SceneSettings
from calcium_lightning.tracking.track import track

RESULTS = Path(__file__).resolve().parent / "results"
PEERS = Path(__file__).resolve().parent / "peers"


@dataclass(frozen=True)
class Kind:
    """Days of one kind."""

    days: DaysSettings
    cells: float
    size: int = 300
    stripes: bool = False
    stranger: bool = False


KINDS = {
    "200 cells, 3 px bent": Kind(DaysSettings(turnover=0.2), 4.7),
    "400 cells, 3 px bent": Kind(DaysSettings(turnover=0.3), 9.5),
    "600 cells, 3 px bent": Kind(DaysSettings(turnover=0.4), 9.8, 360),
    "bent by 8 px": Kind(DaysSettings(turnover=0.3, bending_px=8.0), 9.5),
    "a day of another field": Kind(DaysSettings(turnover=0.3), 9.5, stranger=True),
    "a day with fixed stripes": Kind(DaysSettings(turnover=0.3), 9.5, stripes=True),
}


def draw(kind: Kind, seed: int) -> tuple[list[DrawnDay], list[FootprintSet]]:
    """The days, and what the methods are given."""
    scene = SceneSettings(height_px=kind.size, width_px=kind.size, density_per_1000_px2=kind.cells)
    days = draw_days(scene, kind.days, seed)
    if kind.stranger:
        other = draw_days(scene, replace(kind.days, count=1), seed + 5000)[0]
        days[2] = replace(other, identity=np.full(len(other.identity), -1))
    if kind.stripes:
        days[3] = _striped(days[3], kind.size, seed)
    fields = [
        FootprintSet(
            day.footprints,
            (kind.size, kind.size),
            np.arange(len(day.identity)),
            name=f"day {number}",
            sha256=f"{seed} {number}",
            total=len(day.identity),
        )
        for number, day in enumerate(days)
    ]
    return days, fields


def _striped(day: DrawnDay, size: int, seed: int) -> DrawnDay:
    """A day on which things that stand on the sensor, in lines, were taken for cells."""
    from scipy.sparse import csr_matrix, vstack

    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    made = []
    for row in range(20, size, 40):
        for column in rng.permutation(np.arange(10, size, 14))[:8]:
            image = np.exp(-0.5 * (((y - row) / 2.0) ** 2 + ((x - column) / 6.0) ** 2))
            made.append(csr_matrix(np.where(image > 0.1, image, 0).astype(np.float32).reshape(1, -1)))
    footprints = csr_matrix(vstack([day.footprints, *made], format="csr"))
    return replace(
        day, footprints=footprints, identity=np.concatenate([day.identity, np.full(len(made), -1)])
    )


def score(cell: np.ndarray, days: Sequence[DrawnDay]) -> dict[str, float]:
    """Precision, recall and F1 of pairs."""
    right = said = 0
    for a in range(len(days)):
        for b in range(a + 1, len(days)):
            both = cell[(cell[:, a] >= 0) & (cell[:, b] >= 0)]
            one, other = days[a].identity[both[:, a]], days[b].identity[both[:, b]]
            said += len(both)
            right += int(((one == other) & (one >= 0)).sum())
    names = np.concatenate([day.identity[day.identity >= 0] for day in days])
    count = np.unique(names, return_counts=True)[1]
    there = int((count * (count - 1) // 2).sum())
    return {"precision": right / max(said, 1), "recall": right / there, "f1": 2 * right / (said + there)}


def run_ours(fields: Sequence[FootprintSet], days: Sequence[DrawnDay]) -> dict[str, float]:
    """Ours, with its calibration: told less true share of right members."""
    begin = time.perf_counter()
    cpu = time.process_time()
    tracks = track(fields)
    times = {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu}
    told, right = [], []
    for row, cells in enumerate(tracks.cell):
        seen = np.flatnonzero(cells >= 0)
        names = np.array([days[day].identity[cells[day]] for day in seen])
        for day, name in zip(seen, names, strict=True) if len(seen) > 1 else ():
            told.append(tracks.probability[row, day])
            # As many of the rest as not are the same cell.
            right.append(name >= 0 and 2 * ((names == name).sum() - 1) >= len(seen) - 1)
    made = {
        "told": float(np.mean(told)),
        "right": float(np.mean(right)),
        "left_out": float(len(tracks.left_out)),
    }
    return {**score(tracks.cell, days), **times, **made}


def run_cellreg(fields: Sequence[FootprintSet], days: Sequence[DrawnDay]) -> dict[str, float]:
    """CellReg's published rule."""
    begin, cpu = time.perf_counter(), time.process_time()
    cell = cellreg_rule.register(fields)
    return {**score(cell, days), "seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu}


def run_peer(script: str, python: str) -> Callable[..., dict[str, float]]:
    """A peer in an environment of its own."""

    def run(fields: Sequence[FootprintSet], days: Sequence[DrawnDay]) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.npz"), Path(folder, "out.npy")
            parts = {
                f"{name}{n}": getattr(field.footprints, name)
                for n, field in enumerate(fields)
                for name in ("data", "indices", "indptr")
            }
            counts = [len(field) for field in fields]
            np.savez(source, shape=fields[0].frame_shape, counts=counts, **parts)
            command = [python, str(PEERS / script), str(source), str(target)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds, cpu = (float(item) for item in done.stdout.split()[-2:])
            return {**score(np.load(target), days), "seconds": seconds, "cpu": cpu}

    return run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--caiman", help="Python of an environment with CaImAn")
    parser.add_argument("--roicat", help="Python of an environment with ROICaT")
    parser.add_argument("--seeds", nargs="+", type=int, default=[101, 102, 103])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--methods", nargs="+", help="those alone, of: ours, CellReg's rule, CaImAn, ROICaT")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    methods = {"ours": run_ours, "CellReg's rule": run_cellreg}
    if options.caiman:
        methods["CaImAn"] = run_peer("caiman_tracks.py", options.caiman)
    if options.roicat:
        methods["ROICaT"] = run_peer("roicat_tracks.py", options.roicat)
    if options.methods:
        methods = {name: methods[name] for name in options.methods}
    file = options.output / "tracking.json"
    figures: dict[tuple[str, str, int], dict[str, Any]] = {
        (item["kind"], item["method"], item["seed"]): item
        for item in (json.loads(file.read_text()) if file.exists() else [])
    }
    for name in options.kinds:
        for seed in options.seeds:
            days, fields = draw(KINDS[name], seed)
            for method, run in methods.items():
                try:
                    found = run(fields, days)
                except (InputError, subprocess.CalledProcessError) as error:
                    print(f"{name}, {seed}, {method}: {getattr(error, 'stderr', '') or error}")
                    continue
                cells = float(np.mean([len(field) for field in fields]))
                made = {"kind": name, "seed": seed, "method": method, "cells": cells, **found}
                figures[name, method, seed] = made
                print(json.dumps(made), flush=True)
    order = {name: number for number, name in enumerate(KINDS)}
    kept = sorted(figures.values(), key=lambda item: order[item["kind"]])
    options.output.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, indent=1) + "\n")
    table = markdown(kept)
    (options.output / "tracking.md").write_text(table)
    print(table)


def markdown(figures: Sequence[dict[str, Any]]) -> str:
    """A line for each kind and method: means over its seeds, and the worst F1."""
    columns = ("precision", "recall", "f1", "told", "right", "seconds", "cpu")
    lines = [
        "| days | method | seeds | cells | " + " | ".join(columns) + " | worst f1 |",
        "|" + " --- |" * (len(columns) + 5),
    ]
    keys = dict.fromkeys((item["kind"], item["method"]) for item in figures)
    for kind, method in keys:
        some = [item for item in figures if (item["kind"], item["method"]) == (kind, method)]
        cells = np.mean([item["cells"] for item in some])
        shown = [
            f"{np.mean([item[name] for item in some]):.{1 if name in ('seconds', 'cpu') else 3}f}"
            if all(name in item for item in some)
            else ""
            for name in columns
        ]
        worst = min(item["f1"] for item in some)
        row = f"| {kind} | {method} | {len(some)} | {cells:.0f} | "
        lines.append(row + " | ".join(shown) + f" | {worst:.3f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
