"""One GPU, one job: GPUs of this machine are handed out with file locks.

All sweeps on the machine see the locks, and the system lets go of them when a process ends, however it ends.
Knows devices by their ids, and nothing of what runs on them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from calcium_lightning.core import system
from calcium_lightning.core.locks import open_shared, shared_folder

VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL_S = 0.5
#: open locks of this process: they last as long as it does
_HELD: list[int] = []


def visible_devices() -> list[str]:
    """The ids of the GPUs that this process may use."""
    listed = os.environ.get(VISIBLE)
    if listed is not None:
        return [part.strip() for part in listed.split(",") if part.strip() and part.strip() != "-1"]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


def claim(devices: Sequence[str], count: int = 1) -> list[str]:
    """Take devices for the rest of this process's life, and wait until there are enough.

    All or none are taken, so that two jobs that want several don't wait for each other.

    Parameters
    ----------
    devices : sequence of str
        Ids to choose from.
    count : int
        How many.

    Returns
    -------
    list of str
        The ids that were taken.

    Raises
    ------
    ValueError
        If there are fewer than that.
    """
    if count > len(devices):
        raise ValueError(f"{count} devices per job, and there are {len(devices)}: {', '.join(devices)}")
    folder = shared_folder("calcium-lightning-devices")
    told = False
    while True:
        taken: dict[str, int] = {}
        with os.fdopen(open_shared(folder / "choosing")) as choosing:
            system.lock(choosing.fileno())
            for device in devices:
                if len(taken) < count and (lock := _try(folder / device.replace("/", "_"))) is not None:
                    taken[device] = lock
            if len(taken) == count:
                _HELD.extend(taken.values())
                return list(taken)
            for lock in taken.values():
                os.close(lock)
        if not told:
            print(f"waiting for {count} of the devices {', '.join(devices)}", file=sys.stderr, flush=True)
            told = True
        time.sleep(POLL_S)


def _try(path: Path) -> int | None:
    lock = open_shared(path)
    if system.lock(lock, wait=False):
        return lock
    os.close(lock)
    return None


class DevicePerJob(Callback):
    """Show each job its own GPUs only. For launchers whose jobs share a machine.

    A process keeps its GPUs for the jobs that follow, as CUDA can't change them once it has begun.

    Parameters
    ----------
    per_job : int
        How many GPUs a job gets.
    """

    def __init__(self, per_job: int = 1) -> None:
        self.per_job = per_job

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Start no more processes than can have a GPU."""
        launcher = config.hydra.launcher
        if "n_jobs" not in launcher or _on_cpu(config) or not (devices := visible_devices()):
            return
        most = max(1, len(devices) // self.per_job)
        if not 0 < launcher.n_jobs <= most:
            with open_dict(launcher):
                launcher.n_jobs = most

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim them, before Torch looks for any."""
        if _HELD or _on_cpu(config) or not (devices := visible_devices()):
            return
        os.environ[VISIBLE] = ",".join(claim(devices, self.per_job))


def _on_cpu(config: DictConfig) -> bool:
    return "cpu" in (OmegaConf.select(config, "trainer.accelerator"), OmegaConf.select(config, "device"))
