"""From a raw movie to cells, whole processes: this project against Suite2p, in turn, in one run.

    python experiments/benchmark/whole.py SESSION.h5 --suite2p PEER_ENVIRONMENT/bin/python [--rounds 3]

Wall time from the start of the process to its end, imports and the cells file included; the largest resident
memory; and, for a session with truth, how good the cells are. The peer runs in an environment of its own
(``peers/suite2p_cells.py``). One round goes before the others and isn't counted: it compiles and caches.
Writes ``results/whole.md`` and ``results/whole.json`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from processes import Run, run
from rich.console import Console
from rich.markdown import Markdown
from timing import machine

from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session import Session
from calcium_lightning.metrics.scorecard import Scorecard

HERE = Path(__file__).resolve().parent
#: the referee's figures and what they are called in the scorecard
COLUMNS = {
    "F1": "f1",
    "precision": "precision",
    "recall": "recall",
    "centre error px": "center_error",
    "r": "correlation",
    "both": "both",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("session", type=Path)
    parser.add_argument("--suite2p", type=Path, help="Python of an environment with Suite2p")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cell-diameter", type=float, default=12.6, help="pixels")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours.h5", Path(folder) / "suite2p.h5"
        commands = {
            "this project": [
                *(sys.executable, "-m", "calcium_lightning.extract"),
                *(f"session={options.session}", f"output={ours}", "overwrite=true"),
                *(f"cell_diameter={options.cell_diameter}", f"hydra.run.dir={folder}/run"),
            ]
        }
        cells = {"this project": ours}
        if options.suite2p is not None:
            script = HERE / "peers" / "suite2p_cells.py"
            commands["Suite2p"] = [str(options.suite2p), str(script), str(options.session), str(theirs)]
            cells["Suite2p"] = theirs
        runs = _in_turn(commands, options.rounds)
        quality = {name: _quality(path, options.session) for name, path in cells.items()}
    text = _table(runs, quality)
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / "whole.md").write_text(text)
    record = {
        "machine": machine(),
        "session": options.session.name,
        "runs": {name: [asdict(one) for one in many] for name, many in runs.items()},
        "quality": quality,
    }
    (results / "whole.json").write_text(json.dumps(record, indent=2) + "\n")
    Console().print(Markdown(text))


def _in_turn(commands: dict[str, list[str]], rounds: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for round_ in range(rounds + 1):
        for name in list(commands)[:: 1 if round_ % 2 else -1]:  # neither is always first
            one = run(commands[name])
            print(f"{name}: {one.seconds:.1f} s, {one.peak_mb:.0f} MB", file=sys.stderr)
            if round_:
                runs[name].append(one)
    return runs


def _quality(cells: Path, session: Path) -> dict[str, float]:
    """The referee's figures, for a session with truth."""
    with Session(session) as recording:
        truth = recording.truth
    if truth is None or truth.footprints is None:
        return {}
    figures = Scorecard().add(read_cells(cells), truth)
    return {column: figures[name] for column, name in COLUMNS.items()}


def _table(runs: dict[str, list[Run]], quality: dict[str, dict[str, float]]) -> str:
    reference = list(runs)[-1]
    lines = [
        f"| | seconds | over {reference}'s | peak MB | over {reference}'s | " + " | ".join(COLUMNS) + " |",
        "| --- " * (5 + len(COLUMNS)) + "|",
    ]
    for name, many in runs.items():
        pairs = list(zip(many, runs[reference], strict=True))
        figures = [
            f"{statistics.median(one.seconds for one in many):.1f}",
            f"{statistics.median(one.seconds / other.seconds for one, other in pairs):.2f}",
            f"{statistics.median(one.peak_mb for one in many):.0f}",
            f"{statistics.median(one.peak_mb / other.peak_mb for one, other in pairs):.2f}",
        ]
        figures += [f"{quality[name][column]:.3f}" if column in quality[name] else "" for column in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(figures) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
