"""``python -m calcium_lightning.train``: learn to localise cells from session files."""

from __future__ import annotations

import sys
from typing import Any

from omegaconf import DictConfig

from calcium_lightning.cli import as_paths, entry_point, run_folder


@entry_point("train")
def main(cfg: DictConfig) -> Any:
    """Train a model on one or many sessions; checkpoints, metrics.csv and figures go to the run's folder.

    python -m calcium_lightning.train +experiment=unsupervised data.sessions=[A.h5,B.h5] cell_diameter=12

    Experiments: unsupervised (your own sessions, no labels), pretrain (simulated sessions with their truth),
    demo.
    """
    from calcium_lightning.runs.launch import RankFailed, launch, rank_count, started_by_others
    from calcium_lightning.session import Session

    for path in as_paths(cfg.data.sessions or []):  # told at once, before Torch is loaded on every rank
        Session(path).close()
    folder = run_folder()
    count = rank_count(cfg.trainer)
    if count > 1 and not started_by_others():
        try:
            return launch(cfg, folder, count)["val/reconstruction"]
        except RankFailed as failure:
            if str(failure):
                print(f"error: {failure}", file=sys.stderr)
            raise SystemExit(failure.status) from failure

    from calcium_lightning.runs.training import train

    return train(cfg, folder)["val/reconstruction"]


if __name__ == "__main__":
    main()
