"""A batch of jobs through whichever launcher, and what came of each. No failure stops the others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from calcium_lightning.command.failures import EXIT_FAILURE, EXIT_INPUT, BatchFailed, Failure, diagnose
from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.sweeps.local_ray import keep_local


@dataclass(frozen=True)
class Result:
    """What came of one job.

    Attributes
    ----------
    overrides : sequence of str
        The job's own.
    value : Any
        What the command returned; a :class:`~calcium_lightning.command.failures.Failure` where it failed.
    folder : Path, optional
        The job's folder, if it came to have one.
    """

    overrides: Sequence[str]
    value: Any
    folder: Path | None = None


def run_jobs(
    launcher: Launcher, loader: ConfigLoader, config: DictConfig, batch: Sequence[Sequence[str]], first: int
) -> list[Result]:
    """Run a batch of jobs.

    A job that can't be composed fails alone, and takes no number.

    Parameters
    ----------
    launcher : Launcher
        Runs the jobs.
    loader : ConfigLoader
        Composes their configs.
    config : DictConfig
        The sweep's.
    batch : sequence of sequence of str
        Overrides of each job.
    first : int
        The number of the first job.

    Returns
    -------
    list of Result
        In the order of ``batch``.
    """
    command = command_of(config)
    results: dict[int, Result] = {}
    sound: list[int] = []
    for index, overrides in enumerate(batch):
        try:
            loader.load_sweep_config(config, list(overrides))
            sound.append(index)
        except Exception as error:
            results[index] = Result(filter_overrides(overrides), diagnose(command, error))
    for index, value in zip(sound, _launch(launcher, command, [batch[i] for i in sound], first), strict=True):
        results[index] = _result(batch[index], value)
    return [results[index] for index in range(len(batch))]


def command_of(config: DictConfig) -> str:
    """Which command a sweep's jobs run."""
    job = config.hydra.job
    return str(job.config_name if job.config_name in SCHEMAS else job.name)


def _launch(
    launcher: Launcher, command: str, batch: Sequence[Sequence[str]], first: int
) -> Sequence[JobReturn | Failure]:
    if not batch:
        return []
    keep_local(launcher)
    try:
        return launcher.launch(batch, initial_job_idx=first)
    except Exception as error:  # a worker was killed, a node went away: nobody knows of which jobs
        why = diagnose(command, error).message
        lost = f"the launcher lost its jobs ({why}); the same command again goes on with them"
        return [Failure(lost, EXIT_FAILURE)] * len(batch)


def _result(overrides: Sequence[str], done: JobReturn | Failure) -> Result:
    if isinstance(done, Failure):
        return Result(filter_overrides(overrides), done)
    folder = Path(str(done.hydra_cfg.hydra.runtime.output_dir)) if done.hydra_cfg is not None else None
    value = done._return_value  # the property raises a failure that is an exception
    if done.status is JobStatus.FAILED and isinstance(value, BaseException):
        value = diagnose(str(done.task_name), value)
    return Result(filter_overrides(overrides), value, folder)


def tell_failures(results: Sequence[Result]) -> None:
    """Name the jobs that failed, if any.

    Raises
    ------
    BatchFailed
        With a line for each of them.
    """
    failed = [(result, result.value) for result in results if isinstance(result.value, Failure)]
    if not failed:
        return
    shared = set.intersection(*(set(result.overrides) for result in results)) if len(results) > 1 else set()
    lines = [f"{len(failed)} of {len(results)} jobs failed"]
    for result, failure in failed:
        own = " ".join(part for part in result.overrides if part not in shared)
        place = os.path.relpath(result.folder) if result.folder else "no folder"
        lines.append(f"  {own} ({place}): {failure.message}")
    status = EXIT_INPUT if all(failure.status == EXIT_INPUT for _, failure in failed) else EXIT_FAILURE
    raise BatchFailed("\n".join(lines), status)
