"""The learning curve of a pretraining: loss of training and held-out scenes, and F1 of single frames.

python experiments/pretrain/curve.py RUN curve.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from calcium_lightning.loggers.metrics_table import read_table


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    rows = read_table(options.run / "metrics.csv")[1]

    def course(name: str) -> tuple[list[int], list[float]]:
        known = [(int(row["step"]) + 1, float(row[name])) for row in rows if row.get(name)]
        return [step for step, _ in known], [value for _, value in known]

    figure = Figure(figsize=(8, 3.2), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(*course("train/loss"), label="scenes that are learned from", color="0.6")
    left.plot(*course("val/loss"), label="held-out scenes", color="tab:blue")
    left.set(xlabel="steps", ylabel="loss", yscale="log")
    left.legend(fontsize=8)
    for name, title in (("f1", "F1"), ("precision", "precision"), ("recall", "recall")):
        right.plot(*course(f"val/{name}"), label=title)
    right.set(xlabel="steps", ylabel="of single frames, held-out scenes", ylim=(0, 1))
    right.legend(fontsize=8)
    figure.savefig(options.picture)


if __name__ == "__main__":
    main()
