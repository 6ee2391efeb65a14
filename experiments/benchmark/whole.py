"""From a raw movie to cells, whole processes: this project against Suite2p, in turn, in one run.

    python experiments/benchmark/whole.py SESSION.h5 --suite2p PEER_ENVIRONMENT/bin/python [--rounds 3]
        [--movie MOVIE.avi] [--output NAME] [--cold]

With ``--movie``, which holds the same frames, this project begins with it (``ingest``, then ``extract``), and
decoding it and nothing else is measured, too. Wall time from the start of the process to its end, imports and
the cells file included; the largest resident memory; and, for a session with truth, how good the cells are.
The peer runs in an environment of its own (``peers/suite2p_cells.py``). One round goes before the others and
isn't counted: it compiles and caches; ``--cold`` leaves it out. Writes ``results/whole.md`` and
``results/whole.json`` beside this file, or others.
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
    parser.add_argument("--movie", type=Path, help="video of the session's frames, to begin with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="no round that isn't counted")
    parser.add_argument("--output", default="whole", help="name of the results")
    parser.add_argument("--cell-diameter", type=float, help="pixels; default: this project estimates it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours.h5", Path(folder) / "suite2p.h5"
        session, entry = options.session, [sys.executable, "-m", "calcium_lightning"]
        commands: dict[str, list[list[str]]] = {"this project": []}
        cells = {"this project": ours}
        if options.movie is not None:
            session = Path(folder) / "session.h5"
            commands["decoding"] = [[sys.executable, str(HERE / "decode.py"), str(options.movie)]]
            with Session(options.session) as recording:
                told = [f"input={options.movie}", f"output={session}", f"fps={recording.fps}"]
            commands["this project"].append([*entry, "ingest", *told, "overwrite=true"])
        told = [f"session={session}", f"output={ours}", "overwrite=true", f"hydra.run.dir={folder}/run"]
        if options.cell_diameter is not None:
            told.append(f"cell_diameter={options.cell_diameter}")
        commands["this project"].append([*entry, "extract", *told])
        if options.suite2p is not None:
            script = HERE / "peers" / "suite2p_cells.py"
            commands["Suite2p"] = [[str(options.suite2p), str(script), str(options.session), str(theirs)]]
            cells["Suite2p"] = theirs
        runs = _in_turn(commands, options.rounds, options.cold)
        quality = {name: _quality(path, options.session) for name, path in cells.items()}
    text = _table(runs, quality)
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / f"{options.output}.md").write_text(text)
    record = {
        "machine": machine(),
        "session": options.session.name,
        "runs": {name: [asdict(one) for one in many] for name, many in runs.items()},
        "quality": quality,
    }
    (results / f"{options.output}.json").write_text(json.dumps(record, indent=2) + "\n")
    Console().print(Markdown(text))


def _in_turn(commands: dict[str, list[list[str]]], rounds: int, cold: bool) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for round_ in range(1 if cold else 0, rounds + 1):
        for name in list(commands)[:: 1 if round_ % 2 else -1]:  # neither is always first
            parts = [run(command) for command in commands[name]]
            one = Run(
                sum(part.seconds for part in parts),
                sum(part.cpu_seconds for part in parts),
                max(part.peak_mb for part in parts),
            )
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
        f"| | seconds | over {reference}'s | CPU seconds | peak MB | over {reference}'s | "
        + " | ".join(COLUMNS)
        + " |",
        "| --- " * (6 + len(COLUMNS)) + "|",
    ]
    for name, many in runs.items():
        pairs = list(zip(many, runs[reference], strict=True))
        figures = [
            f"{statistics.median(one.seconds for one in many):.1f}",
            f"{statistics.median(one.seconds / other.seconds for one, other in pairs):.2f}",
            f"{statistics.median(one.cpu_seconds for one in many):.1f}",
            f"{statistics.median(one.peak_mb for one in many):.0f}",
            f"{statistics.median(one.peak_mb / other.peak_mb for one, other in pairs):.2f}",
        ]
        figures += [
            f"{quality[name][column]:.3f}" if column in quality.get(name, {}) else "" for column in COLUMNS
        ]
        lines.append(f"| {name} | " + " | ".join(figures) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
