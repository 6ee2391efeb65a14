"""One run on several processes of this machine: started, watched and ended together.

Lightning would start the command line anew for each process, and Hydra would compose it anew: another folder,
another time stamp, in a sweep the whole sweep again. Here every process gets the composed config of this job.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.errors import InputError

#: seconds that processes get to save and end after Ctrl-C or another's failure
GRACE_INTERRUPT_S, GRACE_FAILURE_S = 120.0, 3.0
POLL_S = 0.1


class RankFailed(Exception):
    """A process of a run failed.

    The message is what the user hasn't been told yet; it may be empty.

    Attributes
    ----------
    status : int
        The exit status to hand on.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def rank_count(trainer: DictConfig) -> int:
    """How many processes a trainer's config asks for on this machine.

    Raises
    ------
    InputError
        If it asks for what isn't there.
    """
    devices, accelerator = trainer.get("devices", 1), trainer.get("accelerator", "auto")
    if not str(trainer.get("strategy", "auto")).startswith("ddp"):
        return 1
    if OmegaConf.is_list(devices):
        return len(devices)
    if str(devices) in ("auto", "-1"):
        import torch

        count = torch.cuda.device_count() if accelerator in ("gpu", "cuda", "auto") else 0
        if not count:
            raise InputError(
                f"trainer.devices={devices}: no GPU here; trainer=ddp_cpu runs on the CPU, "
                "trainer.devices=2 says how many processes"
            )
        return count
    try:
        return int(devices)
    except ValueError as error:
        raise InputError(f"trainer.devices={devices}: a number, a list or auto") from error


def started_by_others() -> bool:
    """Whether torchrun, SLURM or we have started this process as one of several."""
    return (
        "LOCAL_RANK" in os.environ
        or "TORCHELASTIC_RUN_ID" in os.environ
        or int(os.environ.get("SLURM_NTASKS", 1)) > 1
    )


def launch(cfg: DictConfig, folder: Path, count: int) -> dict[str, Any]:
    """Train on ``count`` processes and wait for them.

    Parameters
    ----------
    cfg : DictConfig
        The job's composed config.
    folder : Path
        The run's folder.
    count : int
        Number of processes.

    Returns
    -------
    dict
        What came out (``summary.json``).

    Raises
    ------
    RankFailed
        If a process fails; the others are ended.
    KeyboardInterrupt
        After Ctrl-C, when all have ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order = json.dumps({"config": OmegaConf.to_yaml(cfg, resolve=True), "folder": str(folder)}) + "\n"
    logs = [folder / f"rank_{rank}.log" for rank in range(count)]
    processes: list[subprocess.Popen[str]] = []
    port = _free_port()
    try:
        with _terminated_as_exit():
            for rank in range(count):
                processes.append(_start(rank, count, port, order, logs[rank]))
            failed = _wait(processes)
        if failed is not None:
            # One rank's failure brings the others down, in any order: all are heard before the rest is ended.
            _settle(processes, GRACE_FAILURE_S)
            states = [process.poll() for process in processes]
            _end(processes, signal.SIGTERM, GRACE_FAILURE_S)
            raise _failure(failed, states, logs)
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        _end(processes, signal.SIGINT if interrupted else signal.SIGTERM, GRACE_INTERRUPT_S)
        raise
    finally:
        for log in logs:
            log.unlink(missing_ok=True)
    from calcium_lightning.runs.folder import RunFolder

    return dict(json.loads(RunFolder(folder).summary.read_text()))


def _start(rank: int, count: int, port: int, order: str, log: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "NODE_RANK": "0",
        "LOCAL_RANK": str(rank),
    }
    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    # Rank 0 speaks to the user; the others are asked only if they fail.
    with log.open("w") as quiet:
        output: Any = None if rank == 0 else quiet
        process = subprocess.Popen(
            [sys.executable, "-m", "calcium_lightning.runs.rank"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=environment,
            text=True,
            start_new_session=True,  # Ctrl-C reaches us alone, and we hand it on once
        )
    assert process.stdin is not None
    process.stdin.write(order)
    process.stdin.flush()  # and stays open: its end tells the process that we are gone
    return process


@contextmanager
def _terminated_as_exit() -> Iterator[None]:
    """Let SIGTERM end this process by way of its ``finally`` clauses, so that the others save and end too."""

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


def _wait(processes: list[subprocess.Popen[str]]) -> int | None:
    """Wait until all have ended well (None), or one has failed (which)."""
    while True:
        states = [process.poll() for process in processes]
        for rank, state in enumerate(states):
            if state not in (None, 0):
                return rank
        if all(state == 0 for state in states):
            return None
        time.sleep(POLL_S)


def _end(processes: list[subprocess.Popen[str]], number: signal.Signals, grace: float) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)
    limit = time.monotonic() + grace
    for process in processes:
        try:
            process.wait(max(0.0, limit - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()


def _settle(processes: list[subprocess.Popen[str]], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and any(process.poll() is None for process in processes):
        time.sleep(POLL_S)


def _failure(first: int, states: list[int | None], logs: list[Path]) -> RankFailed:
    """What the processes that failed had to say; process 0 has said it already."""
    parts = []
    for rank, (state, log) in enumerate(zip(states, logs, strict=True)):
        text = log.read_text(errors="replace").strip() if log.is_file() else ""
        if state is not None and state < 0:
            parts.append(f"process {rank} was ended by signal {-state} ({signal.Signals(-state).name})")
        elif state and text:
            parts.append(f"process {rank} failed:\n{text}")
    status = states[first]
    return RankFailed("\n".join(parts), status if status is not None and status > 0 else 1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def watch_parent() -> None:
    """End this process when the one that started it is gone (the end of its standard input)."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="watch_parent").start()
