"""One process of a run on this machine, started, watched and ended; and how it tells why it failed."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from calcium_lightning.core.errors import ProcessFailed
from calcium_lightning.processes.environment import RankEnvironment


@dataclass(frozen=True)
class Failure:
    """What ended a process.

    Attributes
    ----------
    error : Exception
        As it was raised there, with the traceback in a note.
    when : float
        Seconds since 1970: the first one is the cause of the others.
    """

    error: Exception
    when: float

    @classmethod
    def of(cls, error: Exception, rank: int) -> Failure:
        """Describe an error that was just caught."""
        text = "".join(traceback.format_exception(error)).rstrip()
        error.__traceback__ = error.__cause__ = error.__context__ = None
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an exception class may ask for more than its message
            error = ProcessFailed(f"process {rank}: {type(error).__name__}: {error}")
        error.add_note(f"in process {rank}:\n{text}")
        return cls(error, time.time())


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
    """

    def __init__(self, environment: RankEnvironment, order: dict[str, Any], speaks: bool) -> None:
        self.rank = environment.rank
        handle, name = tempfile.mkstemp(prefix="calcium_lightning_", suffix=f".rank{environment.rank}")
        os.close(handle)
        self._told = Path(name)
        variables = {key: value for key, value in os.environ.items() if not key.startswith("TORCHELASTIC_")}
        variables |= environment.variables()
        variables.setdefault("OMP_NUM_THREADS", str(max(1, _cores() // environment.local_size)))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "calcium_lightning.processes.rank"],
            stdin=subprocess.PIPE,
            stdout=None if speaks else subprocess.DEVNULL,
            stderr=None if speaks else subprocess.DEVNULL,
            env=variables,
            text=True,
            start_new_session=True,  # Ctrl-C reaches us alone, and we hand it on once
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which poll() tells
            self._process.stdin.write(json.dumps({**order, "failure": name}) + "\n")
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
        try:
            failure = pickle.loads(self._told.read_bytes())  # from our own process
        except (OSError, EOFError, pickle.UnpicklingError):
            return None
        assert isinstance(failure, Failure)
        return failure

    def close(self) -> None:
        """End it, and whatever it has started (workers that read ahead)."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._told.unlink(missing_ok=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
