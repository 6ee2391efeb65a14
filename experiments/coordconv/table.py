"""The table of the coordinate tasks in Markdown, from the folders of runs or sweeps.

    python experiments/coordconv/table.py multirun/train/2026-01-31_12-00-00 ...

Of each run the epoch of least training loss is told: held-out positions choose nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from calcium_lightning.comparison.runs import Run, read_runs

#: task -> its scores: name, heading, and whether it is a share
SCORES = {
    "classification": [("accuracy", "accuracy", True)],
    "rendering": [("iou", "IoU", True), ("perfect", "perfect", True)],
    "regression": [("error", "error, px", False), ("within_half", "within ½ px", True)],
}


def table(task: str, runs: list[Run]) -> Iterator[str]:
    headings = [heading for _, heading, _ in SCORES[task]]
    columns = [f"{heading}, {part}" for heading in headings for part in ("train", "test")]
    yield f"| {task} | split | parameters | epochs | seconds | {' | '.join(columns)} |"
    yield "| --- " * (5 + len(columns)) + "|"
    for run in sorted(runs, key=lambda run: (run.choices["layer"] == "conv", *place(run))):
        cells = [
            f"{run.figures[f'{part}/{name}']:.1%}" if share else f"{run.figures[f'{part}/{name}']:.3f}"
            for name, _, share in SCORES[task]
            for part in ("train", "val")
        ]
        size = f"{run.figures['network/parameters']:,.0f}"
        seconds = "" if run.seconds is None else f"{run.seconds:.0f}"
        about = [run.choices["layer"], run.choices["split"], size, f"{epochs(run)}", seconds]
        yield f"| {' | '.join(about + cells)} |"


def place(run: Run) -> tuple[bool, int]:
    """The easier split first, then the shorter run."""
    return run.choices["split"] == "quadrant", epochs(run)


def epochs(run: Run) -> int:
    return int(run.settings["trainer.max_epochs"])


def main(places: list[str]) -> None:
    found: dict[str, list[Run]] = {}
    for run in read_runs(places):
        task = run.choices.get("model", "").removeprefix("coordconv_")
        if task in SCORES and run.status == "finished":
            found.setdefault(task, []).append(run)
    for task in SCORES:
        if task in found:
            print("\n".join(table(task, found[task])), end="\n\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
