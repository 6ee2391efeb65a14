"""Processes that deconvolve traces side by side.

``calab`` holds Python's lock while it works: of several threads that ask it for something one works, and the
others, whatever they do, wait. Within :func:`solvers` processes of their own do that; what comes out is the
same. Where none can be started, or one ends, this process does their work. Not by loky: its processes outlive
a parent that is killed, and bring two more. Knows traces only.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from queue import SimpleQueue

import numpy as np

from calcium_lightning.localize import solving
from calcium_lightning.localize.solving import Problem, Solution, solve

#: traces that a process is asked for at a time; fewer aren't handed over
PIECE = 16
#: most processes, whatever the machine has: each takes some 30 MB
MOST = 8


@contextmanager
def solvers(count: int) -> Iterator[None]:
    """Within it, :func:`solve_all` has so many processes at work, if more than one.

    They end with the block, and with this process, however it ends.
    """
    if count < 2:
        yield
        return
    pool = _Pool(min(count, MOST))
    token = _POOL.set(pool)
    try:
        yield
    finally:
        _POOL.reset(token)
        pool.close()


def solve_all(traces: np.ndarray, problem: Problem) -> Solution:
    """Deconvolve traces (K, T) as :func:`~calcium_lightning.localize.solving.solve` does."""
    pool = _POOL.get()
    if pool is None or len(traces) <= PIECE:
        return solve(traces, problem)
    return pool.solve(traces, problem)


class _Pool:
    """Processes, and a thread for each that waits for it."""

    def __init__(self, count: int) -> None:
        started = [_start() for _ in range(count)]
        self._processes = [process for process in started if process is not None]
        #: who has nothing to do; ``None`` stands for one that there isn't, whose work is done here
        self._free: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
        for process in started:
            self._free.put(process)
        self._threads = ThreadPoolExecutor(count, "solver")
        self._closed = False

    def solve(self, traces: np.ndarray, problem: Problem) -> Solution:
        pieces = [traces[start : start + PIECE] for start in range(0, len(traces), PIECE)]
        parts = list(self._threads.map(lambda piece: self._ask(piece, problem), pieces))
        spikes, fitted, level = (np.concatenate(kind) for kind in zip(*parts, strict=True))
        return spikes, fitted, level

    def _ask(self, traces: np.ndarray, problem: Problem) -> Solution:
        process = self._free.get()
        try:
            if process is not None:
                assert process.stdin is not None
                assert process.stdout is not None
                pickle.dump((traces, problem), process.stdin, protocol=5)
                process.stdin.flush()
                answer: Solution = pickle.load(process.stdout)
                return answer
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):  # it has ended
            process = None
        finally:
            self._free.put(process)
        if self._closed:
            raise CancelledError
        return solve(traces, problem)

    def close(self) -> None:
        """End the processes, whatever they are at."""
        self._closed = True
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # what it wasn't told any more
                        pipe.close()
            process.wait()


_POOL: ContextVar[_Pool | None] = ContextVar("pool", default=None)


def _start() -> subprocess.Popen[bytes] | None:
    """Start a process, where a Python is at hand and another process is allowed."""
    if not sys.executable or getattr(sys, "frozen", False):
        return None
    # It finds what this process finds, and no module of this folder by a library's name.
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = os.pathsep.join(folder for folder in sys.path if folder)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", solving.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **one, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for this process
        )
    except OSError:
        return None
