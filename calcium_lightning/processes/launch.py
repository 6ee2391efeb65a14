"""One job on several processes: started, watched and ended together.

Lightning would start the command line anew for each process, and Hydra would compose it anew: another folder,
another time stamp, in a sweep the whole sweep again. Here every process gets the composed config of this job.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.core.errors import ProcessFailed
from calcium_lightning.processes.environment import RankEnvironment
from calcium_lightning.processes.process import LocalMember, Member, loopback
from calcium_lightning.processes.rendezvous import Leader

#: seconds that processes get to save and end after Ctrl-C or SIGTERM, and after another's failure
GRACE_STOP_S, GRACE_FAILURE_S = 120.0, 5.0
POLL_S = 0.05


def launch(
    task: Callable[..., Any],
    cfg: DictConfig,
    folder: Path,
    job: Mapping[str, Any],
    count: int,
    leader: Leader | None = None,
) -> None:
    """Run a task on several processes and wait for them.

    Parameters
    ----------
    task : callable
        A function of a module, which every process calls as ``task(cfg, folder, job, ranked=True)``.
    cfg : DictConfig
        The job's composed config.
    folder : Path
        The run's folder.
    job : mapping
        What is known of the job, in plain containers.
    count : int
        Number of processes to start on this machine, unless a leader has others to call on.
    leader : Leader, optional
        Of the processes that torchrun or SLURM has started: each of them starts one of its own.

    Raises
    ------
    Exception
        The first one that was raised in any process; the others are ended.
    ProcessFailed
        If one ended without a word.
    KeyboardInterrupt, SystemExit
        After Ctrl-C or SIGTERM, when all have saved and ended.
    """
    config = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))
    if leader is not None:
        config.trainer.devices = leader.environment.local_size
        config.trainer.num_nodes = leader.environment.size // leader.environment.local_size
    order = {
        "config": OmegaConf.to_yaml(config),
        "folder": str(folder),
        "job": dict(job),
        "task": f"{task.__module__}:{task.__qualname__}",
        "modules": sys.path,  # where the user's own are, too
    }
    members: list[Member] = []
    try:
        _start(members, order, count, leader)
        failed = _wait(members)
        if failed is not None:
            # One's failure brings the others down: what it was is heard before they are ended.
            _linger(members, GRACE_FAILURE_S)
            raise _failure(members, failed)
    except KeyboardInterrupt:
        _end(members, signal.SIGINT, GRACE_STOP_S)
        raise
    except SystemExit:
        _end(members, signal.SIGTERM, GRACE_STOP_S)
        raise
    finally:
        for member in members:
            member.close()


def _start(members: list[Member], order: dict[str, Any], count: int, leader: Leader | None) -> None:
    place = RankEnvironment(count, count, 0, 0, node=0, address="", port=0)
    if leader is not None:
        place = leader.environment
    if place.one_machine:  # the port is ours from here on, and nobody else's
        listening = loopback()
        place = dataclasses.replace(place, address="127.0.0.1", port=listening.getsockname()[1])
    else:
        listening = None
        place = dataclasses.replace(place, port=free_port())
    if leader is not None:
        members += leader.call({**order, "address": place.address, "port": place.port})
        members.insert(0, LocalMember(place, order, True, listening))
        return
    for rank in range(count):
        place = dataclasses.replace(place, rank=rank, local_rank=rank)
        members.append(LocalMember(place, order, rank == 0, listening if rank == 0 else None))


def _wait(members: Sequence[Member]) -> Member | None:
    """Wait until all have ended well (None), or one hasn't (which)."""
    while True:
        states = [member.poll() for member in members]
        for member, state in zip(members, states, strict=True):
            if state not in (None, 0):
                return member
        if all(state == 0 for state in states):
            return None
        time.sleep(POLL_S)


def _end(members: Sequence[Member], number: signal.Signals, grace: float) -> None:
    for member in members:
        member.send(number)
    with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C: at once
        _linger(members, grace)


def _linger(members: Sequence[Member], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and any(member.poll() is None for member in members):
        time.sleep(POLL_S)


def _failure(members: Sequence[Member], first: Member) -> BaseException:
    """Why the run ended: what was raised first, unless a process was killed."""
    told = {member.rank: failure for member in members if (failure := member.failure()) is not None}
    for member in members:
        state = member.poll()
        if state is not None and state < 0 and member.rank not in told:
            name = signal.Signals(-state).name
            return ProcessFailed(
                f"process {member.rank} of {len(members)} was ended by signal {-state} ({name})"
            )
    if told:
        return min(told.values(), key=lambda failure: failure.when).error()
    state = first.poll() or 1
    if state == 130:
        return KeyboardInterrupt()
    if state == 128 + signal.SIGTERM:
        return SystemExit(state)
    return ProcessFailed(f"process {first.rank} of {len(members)} ended with status {state}")


def free_port() -> int:
    """A port of this machine that nobody listens on, for processes of other machines to come to."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
