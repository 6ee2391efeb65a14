"""Commands as a user types them, each in a process of its own, that needn't import Torch and Lightning anew.

One process imports what all of them would, and forks one for each command. What is forked runs the module as
``python -m`` does, with the folder, variables and streams that it is given, and ends as Python does. The package
itself is imported by each. Linux only; elsewhere, and for other programs, :class:`subprocess.Popen` does it.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

#: what takes long to import, and reads no variable that a test sets
LIBRARIES = ("hydra.main", "lightning.pytorch", "torch", "scipy.signal", "scipy.ndimage", "h5py", "numpy")
LARGEST_ORDER = 1 << 20


def start_python(command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Process:
    """Start ``python command``; its output is piped, and is text."""
    option, program, *arguments = command
    if sys.platform == "linux" and option == "-m" and program.startswith("calcium_lightning."):
        return Forked(program, arguments, cwd, environment)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, *command], cwd=cwd, env=environment, stdout=pipe, stderr=pipe, text=True
    )


class Forked:
    """What of :class:`subprocess.Popen` tests use."""

    def __init__(
        self, module: str, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]
    ) -> None:
        self.args = ["python", "-m", module, *arguments]
        order = json.dumps([module, arguments, str(cwd), dict(environment)]).encode()
        pipes = [os.pipe() for _ in range(3)]
        socket.send_fds(_parent(), [order], [write for _, write in pipes])
        for _, write in pipes:
            os.close(write)
        self.stdout, self.stderr, self._told = (os.fdopen(read, encoding="utf-8") for read, _ in pipes)
        self.pid = int(self._told.readline())
        self.returncode: int | None = None
        self._read: dict[str, str] = {}
        self._readers: list[threading.Thread] = []

    def poll(self) -> int | None:
        """The exit status, or minus the signal; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The same, when it has ended."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = int(self._told.readline())
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it wrote, when all have closed it and the process has ended."""
        if not self._readers:
            for name, stream in (("stdout", self.stdout), ("stderr", self.stderr)):
                self._readers.append(threading.Thread(target=self._drain, args=(name, stream), daemon=True))
                self._readers[-1].start()
        end = None if timeout is None else time.monotonic() + timeout
        for reader in self._readers:
            reader.join(None if end is None else max(0.0, end - time.monotonic()))
        if any(reader.is_alive() for reader in self._readers):
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.wait(None if end is None else max(0.0, end - time.monotonic()))
        return self._read["stdout"], self._read["stderr"]

    def _drain(self, name: str, stream: TextIO) -> None:
        self._read[name] = stream.read()


Process = subprocess.Popen[str] | Forked


@functools.cache
def _parent() -> socket.socket:
    """To the process that forks; it ends when this one does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        code = f"from helpers.forked import fork_commands; fork_commands({theirs.fileno()})"
        here = str(Path(__file__).resolve().parents[1])
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": here, "PYTHONFAULTHANDLER": "1"}
        subprocess.Popen([sys.executable, "-c", code], env=environment, pass_fds=[theirs.fileno()])
    return ours


def fork_commands(descriptor: int) -> None:
    """Fork a process for each order, which returns from here as a command that ran."""
    usual = sys.path[1:]
    usual.remove(os.environ["PYTHONPATH"])
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    assert threading.active_count() == 1, "a thread wouldn't be in what is forked"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait for the commands
    with socket.socket(fileno=descriptor) as orders:
        while True:
            order, descriptors, *_ = socket.recv_fds(orders, LARGEST_ORDER, 3)
            if not order:
                os._exit(0)
            if os.fork() == 0:
                break
            for number in descriptors:
                os.close(number)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out, err, told = descriptors
    if command := os.fork():
        os.close(out)
        os.close(err)
        os.write(told, f"{command}\n".encode())
        os.write(told, f"{os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])}\n".encode())
        os._exit(0)
    os.close(told)
    for number, stream in ((out, 1), (err, 2)):
        os.dup2(number, stream)
        os.close(number)
    sys.stdout = sys.__stdout__ = _anew(sys.stdout, -1)
    sys.stderr = sys.__stderr__ = _anew(sys.stderr, 1)
    module, arguments, folder, environment = json.loads(order)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)), *usual]
    sys.argv[1:] = arguments
    runpy._run_module_as_main(module)  # type: ignore[attr-defined]


def _anew(stream: TextIO, buffering: int) -> TextIO:
    """A stream as Python opened it: that of the parent remembers where it was in another kind of file."""
    return open(
        stream.fileno(), "w", buffering, encoding=stream.encoding, errors=stream.errors, closefd=False
    )
