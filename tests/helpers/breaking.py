"""Callbacks that break a run off, for tests of going on."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from lightning.pytorch import Callback


class SignalAt(Callback):
    """Send this process a signal after so many steps."""

    def __init__(self, step: int, name: str = "SIGINT", rank: int = 0) -> None:
        self.step = step
        self.signal = signal.Signals[name]
        self.rank = rank

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step and trainer.global_rank == self.rank:
            os.kill(os.getpid(), self.signal)


class FailOn(Callback):
    """Raise on one rank after so many steps."""

    def __init__(self, step: int, rank: int) -> None:
        self.step = step
        self.rank = rank

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step and trainer.global_rank == self.rank:
            raise RuntimeError("this rank gives up")


class KillOnce(Callback):
    """Kill the whole command, the first time that it comes here: the same command goes on another time."""

    def __init__(self, folder: str, step: int, marker: str) -> None:
        self.folder = folder
        self.step = step
        self.marker = Path(marker)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        here = Path(trainer.default_root_dir).name == self.folder and trainer.global_step == self.step
        if here and trainer.is_global_zero and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getppid() if trainer.world_size > 1 else os.getpid(), signal.SIGKILL)
            time.sleep(60)


class Listening(Callback):
    """Write down where this process, and the one that started it, can be reached (Linux only)."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_start(self, trainer, pl_module):
        for pid in (os.getpid(), os.getppid()):
            (self.folder / f"{pid}.listening").write_text("\n".join(listening(pid)))


def listening(pid: int) -> list[str]:
    """Addresses that a process's TCP sockets listen on, in the hexadecimal of ``/proc/net``."""
    own = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            own.add(os.readlink(link))
    tables = [Path(f"/proc/{pid}/net/{name}").read_text(encoding="utf-8") for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()[1:]]
    listen, inode = "0A", 9
    return [line[1] for line in lines if line[3] == listen and f"socket:[{line[inode]}]" in own]
