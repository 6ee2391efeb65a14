"""A job's training as a task that any process can be given.

For: who starts processes, or reads a result that is there, without loading Torch.
Must not know: how a training goes (:mod:`~calcium_lightning.training.fit`, imported when one begins).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from calcium_lightning.command.interrupts import held_back
from calcium_lightning.command.job import check_components
from calcium_lightning.core.garbage import loading
from calcium_lightning.runs.jobs import Job


def train_job(
    cfg: DictConfig, folder: Path, job: Job | Mapping[str, Any], ranked: bool = False
) -> dict[str, Any]:
    """Train; see :func:`~calcium_lightning.training.fit.train`.

    Parameters
    ----------
    cfg : DictConfig
        As ``conf/train.yaml`` composes it.
    folder : Path
        The run's folder.
    job : Job or mapping
        What is written to ``job.json``; a mapping of its fields where it came from another process.
    ranked : bool
        This process is one of several.
    """
    if ranked:  # nobody has, before this process was started
        check_components(cfg)
    with loading(), held_back():
        from calcium_lightning.training.fit import train

    return train(cfg, folder, job if isinstance(job, Job) else Job(**job), ranked)
