"""``python -m calcium_lightning.train``: learn to localise cells from session files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from calcium_lightning.command.inputs import run_folder
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import InputError
from calcium_lightning.metrics.table import meaning_of
from calcium_lightning.sweeps.plugins import register


def same_folder(arguments: list[str]) -> list[str]:
    """Add the folder of a run or sweep that was begun before with these arguments."""
    from calcium_lightning.runs.resume import with_folder

    return with_folder("train", arguments)


def in_several_processes(cfg: DictConfig) -> bool:
    """Whether this process only starts those that train; it needn't load what they do."""
    from calcium_lightning.processes.environment import rank_count, started_by_others

    trainer = cfg.trainer
    return isinstance(trainer, DictConfig) and (started_by_others() is not None or rank_count(trainer) > 1)


@entry_point("train", plugins=register, complete=same_folder, elsewhere=in_several_processes)
def main(cfg: DictConfig) -> Any:
    """Train a model on one or many sessions; checkpoints, metrics.csv and figures go to the run's folder.

    python -m calcium_lightning.train +experiment=unsupervised data.sessions=[A.h5,B.h5] cell_diameter=12

    Experiments: unsupervised (your own sessions, no labels), pretrain (simulated sessions with their truth),
    demo. The same command again goes on with a run or sweep that was broken off, and reads the result of a
    finished one; fresh=true runs it anew.
    """
    from calcium_lightning.io.session import Session
    from calcium_lightning.processes.rendezvous import leader
    from calcium_lightning.runs.identity import identify
    from calcium_lightning.runs.run import run_job
    from calcium_lightning.runs.sessions import training_sessions
    from calcium_lightning.training.task import train_job

    sessions = training_sessions(cfg)
    for path in sessions:  # told at once, before Torch is loaded in every process
        Session(path).close()
    folder = run_folder()
    if cfg.overwrite and cfg.weights is not None:
        weights = Path(str(cfg.weights)).expanduser()
        if weights.is_file() and weights.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"weights={weights}: is in the folder that overwrite=true replaces; copy it first"
            )
    place = job_place(folder)
    job = identify(cfg, sessions, **place)
    roots = [Path("outputs"), Path("multirun"), *([folder.parent] if place["sweep"] else [])]
    result = run_job(train_job, cfg, folder, job, roots, leader())
    show(result)
    return result["value"]


def job_place(folder: Path) -> dict[str, Any]:
    """What Hydra knows of the running job: its sweep, its number in it, and its overrides."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    sweep = hydra.mode == RunMode.MULTIRUN
    root = os.path.relpath(hydra.sweep.dir) if sweep else None
    return {
        "sweep": str(hydra.sweep.dir) if root and root.startswith("..") else root,
        "number": int(hydra.job.num) if sweep else None,
        "overrides": list(hydra.overrides.task),
    }


def show(result: dict[str, Any]) -> None:
    """Print what came out and where it is."""
    if result["value"] is not None:
        monitor = result["monitor"]
        meaning = meaning_of(monitor)
        print(
            f"{'best ' + monitor:<20} {result['value']:.4f}"
            f"{f' ({meaning})' if meaning else ''}, after {result['epochs']} epochs"
        )
    for name in ("checkpoint", "metrics", "figures"):
        if result[name] is not None and Path(result[name]).exists():  # without callbacks.pictures no figures
            print(f"{name:<20} {result[name]}")


def command() -> None:
    """Run the command; as one of several processes that torchrun or SLURM started, lead or follow."""
    from calcium_lightning.processes.environment import started_by_others

    environment = started_by_others()
    if environment is None:
        main()
        return
    from calcium_lightning.processes.rendezvous import follow, leading

    if environment.rank > 0:
        sys.exit(follow(environment))
    with leading(environment):
        main()


if __name__ == "__main__":
    command()
