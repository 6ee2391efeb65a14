"""Traces deconvolved by processes of their own: the same, whatever becomes of these."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from calcium_lightning.localize import solvers as module
from calcium_lightning.localize.solvers import PIECE, solve_all, solvers
from calcium_lightning.localize.solving import Problem, solve

PROBLEM: Problem = (0.1, 0.6, 1.0, 20.0, 50)


@pytest.fixture(scope="module")
def traces() -> np.ndarray:
    random = np.random.default_rng(0)
    events = (random.random((3 * PIECE + 1, 200)) < 0.03) * 8.0
    decay = np.exp(-np.arange(40) / 12)
    calcium = np.stack([np.convolve(row, decay)[:200] for row in events])
    return (calcium + random.normal(size=calcium.shape)).astype(np.float32)


@pytest.fixture
def same(traces: np.ndarray) -> Iterator[None]:
    """Whatever was done, the next traces are deconvolved to the same numbers, and no process is left."""
    before = children()
    yield
    assert children() == before


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


def check(traces: np.ndarray) -> None:
    for found, expected in zip(solve_all(traces, PROBLEM), solve(traces, PROBLEM), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_processes_give_the_same_as_this_one(traces: np.ndarray, same: None) -> None:
    with solvers(2):
        assert len(children()) >= 2
        check(traces)
        check(traces[:1])
        check(traces[:0])


def test_order_and_neighbours_dont_matter(traces: np.ndarray) -> None:
    for found, expected in zip(solve(traces[::-1], PROBLEM), solve(traces, PROBLEM), strict=True):
        np.testing.assert_array_equal(found[::-1], expected)


def test_for_one_core_none_is_started(traces: np.ndarray, same: None) -> None:
    before = children()
    with solvers(1):
        assert children() == before
        check(traces)


def test_the_work_of_those_that_end_is_done_here(traces: np.ndarray, same: None) -> None:
    before = children()
    with solvers(2):
        check(traces)
        for pid in children() - before:
            os.kill(pid, signal.SIGKILL)
        check(traces)
        check(traces)


@pytest.mark.parametrize("way", ["forbidden", "no Python", "frozen", "not a Python"])
def test_where_none_can_be_started_all_is_done_here(
    traces: np.ndarray, same: None, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no more processes")

    if way == "forbidden":
        monkeypatch.setattr(module.subprocess, "Popen", refuse)
    elif way == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    else:
        monkeypatch.setattr(sys, "executable", "" if way == "no Python" else "/bin/true")
    with solvers(2):
        check(traces)


def test_what_the_solver_refuses_is_told(traces: np.ndarray, same: None) -> None:
    with solvers(2), pytest.raises(ValueError, match="tau"):
        solve_all(traces, (0.6, 0.1, 1.0, 20.0, 50))


def test_an_error_in_the_block_ends_them(same: None) -> None:
    with pytest.raises(KeyboardInterrupt), solvers(2):
        raise KeyboardInterrupt


def test_they_end_with_a_process_that_is_killed() -> None:
    code = (
        "import time\nfrom calcium_lightning.localize.solvers import solvers\n"
        "with solvers(2):\n    print('started', flush=True)\n    time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    parent.stdout.readline()
    started = psutil.Process(parent.pid).children()
    assert len(started) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in started):
        assert time.monotonic() < until
        time.sleep(0.02)
