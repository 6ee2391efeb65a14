"""Trainings that take a second, and what is asked of them afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import torch
from helpers.forked import Process, start_python

from calcium_lightning.loggers.metrics_table import read_table

HERE = Path(__file__).resolve().parents[1]
TINY = (
    "+experiment=unsupervised",
    "cell_diameter=6",
    "encoder=u_shape_tiny",
    "window.taps=5",
    "window.seconds=0.5",
    "data.workers=0",
    "data.crop=24",
    "data.block=4",
    "data.batch_size=8",
    "data.steps_per_epoch=3",
    "data.validation_steps=2",
    "trainer.max_epochs=2",
    "loss.evidence.splats=16",
    "callbacks.pictures=null",
)
#: the same, and pictures
PICTURED = (*TINY[:-1], "callbacks.pictures.samples=2")


def sessions(*paths: Path) -> str:
    return "data.sessions=[" + ",".join(f'"{path}"' for path in paths) + "]"


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)[
        "state_dict"
    ]
    return state


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def held_out(run: Path) -> list[str]:
    return [
        row["val/reconstruction"] for row in read_table(run / "metrics.csv")[1] if row["val/reconstruction"]
    ]


def start(*command: str, cwd: Path, **variables: str) -> Process:
    """Start Python on ``command`` in a process of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
        "PYTHONFAULTHANDLER": "1",  # SIGABRT tells where each thread is
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # Ray's workers would wait for minutes while other tests run
        **variables,
    }
    return start_python(command, cwd, environment)


def finish(process: Process, seconds: float = 240.0) -> subprocess.CompletedProcess[str]:
    """Wait for it; if it hangs, end it and all that it has started, and show where they are (Linux only)."""
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        stuck = _with_descendants(process.pid)
        for number in stuck:  # who is ended first may wake the others
            _tell(number, signal.SIGSTOP)
        for number in stuck:  # one by one: what two write at once is mixed
            _tell(number, signal.SIGABRT)
            _tell(number, signal.SIGCONT)
            _wait_for_end(number)
        raise AssertionError(f"hangs after {seconds:g} s:\n{process.communicate(timeout=20)[1]}") from None
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def _with_descendants(process: int) -> list[int]:
    """A process and all that it has started, and those; of ended ones none is known."""
    parents = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
    found = [process]
    for one in found:
        found += [number for number, parent in parents.items() if parent == one]
    return found


def _tell(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _wait_for_end(process: int, seconds: float = 10.0) -> None:
    """Wait until a process is gone, or only its exit status is left."""
    limit = time.monotonic() + seconds
    with contextlib.suppress(OSError):
        while (
            Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            not in "ZX"
        ):
            if time.monotonic() > limit:
                return
            time.sleep(0.01)


def real(*overrides: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the training command in a process of its own."""
    return finish(start("-m", "calcium_lightning.train", *overrides, cwd=cwd, **variables))


def processes_in(folder: Path, seconds: float = 5.0) -> list[str]:
    """Processes that still work in a folder after some seconds (Linux only)."""
    limit = time.monotonic() + seconds
    while True:
        found = []
        for link in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if Path(os.readlink(link)) == folder:
                    found.append(link.parent.name)
        if not found or time.monotonic() > limit:
            return found
        time.sleep(0.1)


def stop_at(step: int, name: str) -> tuple[str, ...]:
    """Overrides that send the run's process a signal after a step."""
    key = "+callbacks.stop"
    return (
        f"{key}._target_=helpers.breaking.SignalAt",
        f"{key}.step={step}",
        f"{key}.name={signal.Signals[name].name}",
    )


def kill_once(folder: str, step: int, marker: Path) -> tuple[str, ...]:
    """Overrides that kill the command, once, when the run in a folder of this name has taken a step."""
    key = "+callbacks.kill"
    return (
        f"{key}._target_=helpers.breaking.KillOnce",
        f"{key}.folder='{folder}'",
        f"{key}.step={step}",
        f"{key}.marker='{marker}'",
    )
