"""One process of a run on this machine, started, watched and ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from typing import Any, Protocol

import psutil

from calcium_lightning.core import system
from calcium_lightning.processes.environment import RankEnvironment
from calcium_lightning.processes.failure import Failure

#: variables that say by which interface processes talk; and the interface that leads nowhere else
INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
_LOOPBACK = next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), "lo")


class Member(Protocol):
    """A process of a run, wherever it runs."""

    rank: int

    def poll(self) -> int | None:
        """Exit status, negative for a signal; ``None`` while it runs."""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""

    def failure(self) -> Failure | None:
        """What it told before it ended."""

    def close(self) -> None:
        """Leave nothing behind. It has ended, or is killed."""


class LocalMember:
    """A process of this machine: ``python -m calcium_lightning.processes.rank``.

    Parameters
    ----------
    environment : RankEnvironment
        Its place.
    order : dict
        What it shall do: ``config``, ``folder`` and ``job``, plain.
    speaks : bool
        Its output is the user's; otherwise it is thrown away (all say the same).
    listening : socket, optional
        Where process 0 keeps the store of the run open; its own from now on.
    """

    def __init__(
        self,
        environment: RankEnvironment,
        order: dict[str, Any],
        speaks: bool,
        listening: socket.socket | None = None,
    ) -> None:
        self.rank = environment.rank
        # without a name: whoever is killed leaves none
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        variables = {key: value for key, value in os.environ.items() if not key.startswith("TORCHELASTIC_")}
        variables |= environment.variables()
        if environment.one_machine:  # nothing listens where others could come in
            variables |= dict.fromkeys(INTERFACES, _LOOPBACK)
        elif name := interface_to(environment.address):  # and not wherever the machine's own name leads
            variables = {**dict.fromkeys(INTERFACES, name), **variables}
        descriptor = None if listening is None else listening.fileno()
        variables.setdefault("OMP_NUM_THREADS", str(max(1, system.cores() // environment.local_size)))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "calcium_lightning.processes.rank"],
            stdin=subprocess.PIPE,
            stdout=None if speaks else subprocess.DEVNULL,
            stderr=None if speaks else subprocess.DEVNULL,
            env=variables,
            text=True,
            pass_fds=(self._told.fileno(), *(() if descriptor is None else (descriptor,))),
            start_new_session=True,  # Ctrl-C reaches us alone, and we hand it on once
        )
        if listening is not None:
            listening.close()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which poll() tells
            said = {**order, "failure": self._told.fileno(), "listening": descriptor}
            self._process.stdin.write(json.dumps(said) + "\n")
            self._process.stdin.flush()  # and stays open: its end tells the process that we are gone

    def poll(self) -> int | None:
        """Exit status, negative for a signal; ``None`` while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def failure(self) -> Failure | None:
        """What it told before it ended."""
        size = os.fstat(self._told.fileno()).st_size
        return Failure.read(os.pread(self._told.fileno(), size, 0))

    def close(self) -> None:
        """End it, and whatever it has started (workers that read ahead)."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._told.close()


def loopback(port: int = 0) -> socket.socket:
    """A socket that only this machine's processes can reach; of any free port unless one is told."""
    listening = socket.create_server(("127.0.0.1", port), backlog=128)
    listening.setblocking(True)
    return listening


def interface_to(address: str) -> str:
    """The interface by which this machine reaches another, or itself; empty where that isn't known.

    Gloo would take the one that the machine's own name leads to, which ``/etc/hosts`` often says is loopback:
    processes of several machines then don't meet.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # sends nothing
        own = probe.getsockname()[0]
        for name, addresses in psutil.net_if_addrs().items():
            if any(item.address == own for item in addresses):
                return name
    return ""
