"""What trained models are worth in cells: the runs of a sweep beside each other, on recordings with truth.

    python experiments/ablations/cells.py RUN [RUN ...] --recordings A.h5 B.h5 ... --output OUT

RUN is the folder of a run (its name is the table's), or NAME=FOLDER. Each run's best checkpoint finds the
cells of each recording, which hold their truth: simulated cells, or an annotator's mask. OUT/table.md is the
table; what is in OUT already isn't made again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmark"))
from kinds import ours, quoted
from scores import figures
from steps import make

#: figure, heading, form; of recordings with true cells, and of those with a mask
CELLS = [("f1", "F1", ".3f"), ("center_error", "centre px", ".2f"), ("correlation", "r", ".3f")]
CELLS += [("both", "both", ".3f")]
MASK = [("mask_kappa", "κ", ".3f"), ("mask_parts_hit", "parts", ".0f")]


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--recordings", nargs="+", type=Path, required=True, metavar="SESSION")
    parser.add_argument("--output", type=Path, required=True, metavar="OUT")
    options = parser.parse_args()
    rows = {}
    for given in options.runs:
        name, _, folder = given.rpartition("=")
        run = Path(folder)
        rows[name or run.name] = measure(name or run.name, run, options.recordings, options.output)
    text = table(rows)
    (options.output / "table.md").write_text(text)
    (options.output / "table.json").write_text(json.dumps(rows, indent=2) + "\n")
    print(text)


def measure(name: str, run: Path, recordings: list[Path], output: Path) -> dict[str, Any]:
    """A run's held-out error and the figures of its cells."""
    checkpoint = run / "checkpoints" / "best.ckpt"
    found = {}
    for recording in recordings:
        cells = output / "cells" / f"{recording.stem}.{name}.h5"
        make(
            cells,
            lambda target, recording=recording: ours(  # type: ignore[misc]
                "extract",
                quoted("session", recording),
                quoted("output", target),
                quoted("checkpoint", checkpoint),
                run=output,
            ),
        )
        found[recording.stem] = figures(cells, recording)
        print(f"{name:<20} {recording.stem:<20}", shown(found[recording.stem]), flush=True)
    best = json.loads((run / "summary.json").read_text())["best"]
    return {"reconstruction": best["val/reconstruction"], "recordings": found}


def shown(values: dict[str, float | None]) -> str:
    """One recording's figures."""
    known = [(title, values.get(key), form) for key, title, form in (*CELLS, *MASK)]
    return "  ".join(f"{title} {value:{form}}" for title, value, form in known if value is not None)


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Means over the recordings that have a figure; parts are added up."""
    headings = ["run", "held-out error", *(title for _, title, _ in (*CELLS, *MASK))]
    lines = [f"| {' | '.join(headings)} |", "| --- " * len(headings) + "|"]
    for name, row in rows.items():
        cells = [name, f"{row['reconstruction']:.3f}"]
        for key, _, form in (*CELLS, *MASK):
            values = [part[key] for part in row["recordings"].values() if part.get(key) is not None]
            together = sum(values) if key == "mask_parts_hit" else np.mean(values) if values else np.nan
            cells.append(f"{together:{form}}" if values else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
