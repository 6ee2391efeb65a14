"""A job from its config to its result: run, gone on with, or read where it was finished before.

Only here is decided what of a job's past counts, and only here does ``job.json`` change its status. Knows
jobs and folders; what is done, and how, it is given.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from omegaconf import DictConfig

from calcium_lightning.core.errors import InputError, Pruned
from calcium_lightning.core.locks import own_folder
from calcium_lightning.processes.environment import rank_count
from calcium_lightning.processes.launch import launch
from calcium_lightning.processes.rendezvous import Leader
from calcium_lightning.runs.folder import RunFolder
from calcium_lightning.runs.identity import origin
from calcium_lightning.runs.jobs import Job, find_jobs, read_job, remove_job, write_job

if TYPE_CHECKING:
    from filelock import FileLock

#: called as ``task(cfg, folder, job)``, and in one of several processes with ``ranked=True``
Task = Callable[..., dict[str, Any]]


def run_job(
    task: Task,
    cfg: DictConfig,
    folder: Path,
    job: Job,
    roots: Sequence[Path],
    leader: Leader | None = None,
) -> dict[str, Any]:
    """Give a job's result.

    One that was finished before, anywhere below ``roots``, is read and not run again; one that was broken off
    goes on from its last checkpoint under its id. ``fresh=true`` and ``overwrite=true`` ignore the past.

    Parameters
    ----------
    task : callable
        What is to be done, a function of a module: :func:`~calcium_lightning.training.task.train_job`.
    cfg : DictConfig
        As ``conf/train.yaml`` composes it.
    folder : Path
        The run's folder.
    job : Job
        See :func:`~calcium_lightning.runs.identity.identify`.
    roots : sequence of Path
        Where earlier jobs may be.
    leader : Leader, optional
        Of the processes that torchrun or SLURM has started.

    Returns
    -------
    dict
        ``summary.json``.

    Raises
    ------
    InputError
        If another job writes into the folder.
    Exception
        Whatever the training raises; ``job.json`` tells it too.
    """
    with _alone(job.hash), _own(folder), _terminated_as_exit():
        past = [] if cfg.fresh or cfg.overwrite else find_jobs([folder, *roots], job.hash)
        past.sort(key=lambda item: item[0] != folder.resolve())  # this folder's own first
        for place, known in past:
            if RunFolder(place).read_summary():
                return _read(folder, place, job, known)
        cfg, job = _continued(cfg, folder, job, past)
        with _recorded(folder, job):
            return _run(task, cfg, folder, job, leader)


def _run(task: Task, cfg: DictConfig, folder: Path, job: Job, leader: Leader | None) -> dict[str, Any]:
    count = rank_count(cfg.trainer) if leader is None else leader.environment.size
    if count > 1:
        launch(task, cfg, folder, dataclasses.asdict(job), count, leader)
        return RunFolder(folder).read_summary()
    return task(cfg, folder, job)


def _read(folder: Path, place: Path, job: Job, known: Job) -> dict[str, Any]:
    """Take the result of a finished job, into this folder if it is another."""
    print(f"{'finished before':<20} {place}; fresh=true runs it anew")
    if place != folder.resolve():
        RunFolder(folder).take(RunFolder(place))
        now = _now()
        job = job.replace(
            id=known.id, status="finished", started=now, finished=now, same_as=known.same_as or str(place)
        )
        write_job(folder, job)
    return RunFolder(folder).read_summary()


def _continued(
    cfg: DictConfig, folder: Path, job: Job, past: list[tuple[Path, Job]]
) -> tuple[DictConfig, Job]:
    """Make a job go on where it was broken off, in whatever folder."""
    job = job.replace(started=_now())
    asked = origin(cfg)
    begun = [item for item in past if asked is None or RunFolder(item[0]).last == asked] or past
    if not begun:
        return cfg, job
    place, known = next(((p, k) for p, k in begun if RunFolder(p).last.is_file()), begun[0])
    run, cfg = RunFolder(place), cfg.copy()
    if run.last.is_file():
        cfg.ckpt_path, cfg.weights = str(run.last), None
        print(f"{'goes on':<20} {run.last}", file=sys.stderr)
    elif place == folder.resolve() and asked is None:
        cfg.overwrite = True  # its first epoch wasn't over: what is there is worth nothing
    return cfg, job.replace(id=known.id, started=known.started)


@contextmanager
def _recorded(folder: Path, job: Job) -> Iterator[None]:
    """Write into ``job.json`` how the job ended."""
    ended: dict[str, Any] = {}
    nothing = False  # came of it, but a line for the user
    try:
        yield
        ended = {"status": "finished"}
    except Pruned as error:
        ended = {"status": "pruned", "error": str(error) or None}
        raise
    except Exception as error:
        # Hydra wraps what a component says of its settings.
        cause = error.__cause__ if isinstance(error.__cause__, InputError) else error
        ended = {"status": "failed", "error": " ".join(str(cause).split()) or type(cause).__name__}
        nothing = isinstance(cause, InputError) and job.sweep is None and not RunFolder(folder).held()
        raise
    except BaseException:  # Ctrl-C, SIGTERM
        run = RunFolder(folder)
        finished = bool(run.read_summary())
        ended = {"status": "finished" if finished else "interrupted"}
        if not finished and run.last.is_file():
            print(f"{run.last}: the same command goes on from here", file=sys.stderr)
        raise
    finally:
        there = read_job(folder)
        ours = there is not None and there.id == job.id
        if nothing:
            if ours:
                remove_job(folder)
        elif ours or not RunFolder(folder).held():  # never over another run that was refused to be replaced
            folder.mkdir(parents=True, exist_ok=True)
            write_job(folder, job.replace(finished=_now(), **ended))


@contextmanager
def _alone(digest: str) -> Iterator[None]:
    """Keep other processes of this machine, started in the same folder, from running the same job."""
    from filelock import Timeout

    lock = _lock(f"{Path.cwd()}\0{digest}")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("waiting for another process that runs the same job", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """Keep other jobs of this machine out of the folder while this one writes into it.

    Raises
    ------
    InputError
        If another one does.
    """
    from filelock import Timeout

    lock = _lock(f"{folder.resolve()}\0folder")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"{folder}: another training writes into it now; give each a folder of its own (hydra.run.dir=, "
            "hydra.sweep.dir=)"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _lock(what: str) -> FileLock:
    from filelock import FileLock

    key = hashlib.sha256(os.fsencode(what)).hexdigest()[:24]
    return FileLock(own_folder("calcium-lightning") / f"{key}.lock")


@contextmanager
def _terminated_as_exit() -> Iterator[None]:
    """Let SIGTERM end this process by way of its ``finally`` clauses, so that all save and end."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
