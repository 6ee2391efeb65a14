"""Processes that torchrun or SLURM has started act as one: process 0 leads, the others follow.

Each would compose the command line for itself: another time stamp, another folder, in a sweep its own order
of jobs. So only process 0 is a Hydra application. For each job it tells the followers what it has composed;
each of them, and process 0 itself, starts one fresh process for it. They meet in torch's key-value store,
which takes what anyone sends: orders are signed, and what followers tell of their jobs is data only.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any

from calcium_lightning.core.errors import InputError
from calcium_lightning.processes.environment import RankEnvironment
from calcium_lightning.processes.failure import Failure
from calcium_lightning.processes.process import LocalMember, Member, loopback
from calcium_lightning.processes.secret import VARIABLE, sign, verified

#: seconds within which all processes must have been started, and have looked for a job
ARRIVAL_S = 300.0
POLL_S = 0.05
HERE, REFUSED = b"here", b"refused"

_leader: Leader | None = None


class Leader:
    """Process 0: calls the others for each job.

    Parameters
    ----------
    environment : RankEnvironment
        Its place.
    """

    def __init__(self, environment: RankEnvironment) -> None:
        self.environment = environment
        self._jobs = 0
        self._meeting: Any = None

    def call(self, order: dict[str, Any]) -> list[Member]:
        """Have every follower start a process for a job.

        Raises
        ------
        InputError
            If they don't come.
        """
        store, number = self._store(), self._jobs
        self._jobs += 1
        self._await("drawn")
        self._say(number, json.dumps(order).encode())
        self._await(f"{number}/answer")
        if wary := [rank for rank in self._others if store.get(f"{rank}/{number}/answer") != HERE]:
            raise InputError(
                f"processes {wary} don't know the secret that orders are signed with; "
                f"set {VARIABLE}= to the same text on all machines"
            )
        return [_RemoteMember(store, f"{rank}/{number}", rank) for rank in self._others]

    def dismiss(self, status: int) -> None:
        """Tell the followers that there are no more jobs, and how it ended."""
        self._say(self._jobs, json.dumps({"status": status}).encode())
        limit = time.monotonic() + 5.0  # the store is gone with this process: they are let read first
        while time.monotonic() < limit and self._missing("gone"):
            time.sleep(POLL_S)

    @property
    def _others(self) -> range:
        return range(1, self.environment.size)

    def _missing(self, key: str) -> list[int]:
        return [rank for rank in self._others if not self._store().check([f"{rank}/{key}"])]

    def _await(self, key: str) -> None:
        limit = time.monotonic() + ARRIVAL_S
        while missing := self._missing(key):
            if time.monotonic() > limit:
                raise InputError(
                    f"processes {missing} of {self.environment.size} haven't come within {ARRIVAL_S:.0f} s; "
                    "start them all, with torchrun or srun"
                )
            time.sleep(POLL_S)

    def _say(self, number: int, message: bytes) -> None:
        """Give an order to all that are there."""
        store = self._store()
        for rank in self._others:
            if store.check([f"{rank}/drawn"]):
                key = f"{rank}/{number}/order"
                store.set(key, sign(message, key, store.get(f"{rank}/drawn")))

    def _store(self) -> Any:
        if self._meeting is None:
            self._meeting = _open(self.environment)
        return self._meeting


@contextmanager
def leading(environment: RankEnvironment) -> Iterator[Leader]:
    """Lead until the command ends, however it ends."""
    global _leader
    _leader = Leader(environment)
    status: Any = 1
    try:
        yield _leader
        status = 0
    except SystemExit as error:
        status = 0 if error.code is None else error.code
        raise
    finally:
        _leader.dismiss(status if isinstance(status, int) else 1)
        _leader = None


def leader() -> Leader | None:
    """What this process is, if it leads others."""
    return _leader


def follow(environment: RankEnvironment) -> int:
    """Do what process 0 says until it ends; the exit status is its own."""
    try:
        return _follow(environment, _open(environment))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:  # what torch's store raises
        print(f"error: process {environment.rank} has lost process 0 ({error})", file=sys.stderr)
        return 1


def _follow(environment: RankEnvironment, store: Any) -> int:
    rank, number = environment.rank, 0
    current: list[LocalMember] = []

    def hand_on(signum: int, frame: FrameType | None) -> None:
        if not current:
            raise SystemExit(128 + signum)
        current[0].send(signal.Signals(signum))  # the processes agree on where they stop

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, hand_on)
    drawn = secrets.token_hex(16).encode()
    store.set(f"{rank}/drawn", drawn)
    while True:
        key = f"{rank}/{number}/order"
        while not store.check([key]):
            time.sleep(POLL_S)
        said = verified(store.get(key), key, drawn)
        if said is None:
            store.set(f"{rank}/{number}/answer", REFUSED)
            raise InputError(
                f"process {rank} was given an order that isn't signed; see {VARIABLE}= in the docs"
            )
        order = json.loads(said)
        if "status" in order:
            store.set(f"{rank}/gone", "1")
            return int(order["status"])
        store.set(f"{rank}/{number}/answer", HERE)
        place = dataclasses.replace(environment, address=order["address"], port=int(order["port"]))
        current.append(LocalMember(place, order, speaks=False))
        try:
            _serve(store, f"{rank}/{number}", current[0])
        finally:
            current.pop().close()
        number += 1


def _serve(store: Any, key: str, member: LocalMember) -> None:
    """Watch a process for process 0, and hand on its signals."""
    heard = 0
    while (state := member.poll()) is None:
        sent = store.add(f"{key}/signals", 0)
        for index in range(heard, sent):
            member.send(signal.Signals(int(store.get(f"{key}/signal/{index}"))))
        heard = sent
        time.sleep(POLL_S)
    failure = member.failure()
    if failure is not None:
        store.set(f"{key}/failure", failure.written())
    store.set(f"{key}/state", str(state))


class _RemoteMember:
    """A process that a follower has started."""

    def __init__(self, store: Any, key: str, rank: int) -> None:
        self.rank = rank
        self._store = store
        self._key = key

    def poll(self) -> int | None:
        key = f"{self._key}/state"
        return int(self._store.get(key)) if self._store.check([key]) else None

    def send(self, number: signal.Signals) -> None:
        index = self._store.add(f"{self._key}/sent", 1) - 1
        self._store.set(f"{self._key}/signal/{index}", str(int(number)))
        self._store.add(f"{self._key}/signals", 1)

    def failure(self) -> Failure | None:
        key = f"{self._key}/failure"
        return Failure.read(self._store.get(key)) if self._store.check([key]) else None

    def close(self) -> None:
        if self.poll() is None:
            self.send(signal.SIGKILL)


def _open(environment: RankEnvironment) -> Any:
    from torch.distributed import PrefixStore, TCPStore

    ours = environment.rank == 0 and not environment.external_store
    alone = environment.one_machine and not environment.external_store
    try:
        # torch would listen on all interfaces.
        listening = loopback(environment.port).detach() if ours and alone else None
        store = TCPStore(
            "127.0.0.1" if alone else environment.address,
            environment.port,
            is_master=ours,
            wait_for_workers=False,
            timeout=timedelta(seconds=ARRIVAL_S),
            master_listen_fd=listening,
        )
    except Exception as error:  # of several kinds, none of them public
        print(
            f"error: process {environment.rank} can't meet the others at "
            f"{environment.address}:{environment.port} ({error})",
            file=sys.stderr,
        )
        raise SystemExit(2) from error
    return PrefixStore(f"calcium_lightning/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
