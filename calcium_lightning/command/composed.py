"""What Hydra writes of a job's settings: ``.hydra`` is of what is in the folder, and not of what was refused.

Hydra writes before a job looks at its folder, where another run's settings may lie. So it writes beside them,
and they change places once the folder is the job's. This module must import nothing heavy.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import OmegaConf

KEPT = ".hydra"
#: ``hydra.output_subdir`` of ``conf/run/folder.yaml``; the process's number follows
WRITTEN = ".hydra.new-"
#: tells the processes of a job its name
VARIABLE = "CALCIUM_LIGHTNING_SETTINGS"


@contextmanager
def beside(folder: Path, written: str | None) -> Iterator[None]:
    """The time of a job in a folder: its settings count at once where no others are, else from `keep` on.

    Parameters
    ----------
    folder : Path
        The job's.
    written : str, optional
        What Hydra calls the settings there; nothing is done where that is the user's own choice.
    """
    if written is None or not written.startswith(WRITTEN):
        yield
        return
    os.environ[VARIABLE] = written
    try:
        if not (folder / KEPT).exists():
            with contextlib.suppress(OSError):  # another process was first
                (folder / written).rename(folder / KEPT)
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        shutil.rmtree(folder / written, ignore_errors=True)


def keep(folder: Path) -> None:
    """The folder is this job's: its settings take the place of those before, if it has written any."""
    written = folder / os.environ.get(VARIABLE, "")
    if written == folder or not written.is_dir():
        return
    if (folder / KEPT).exists():
        shutil.rmtree(folder / KEPT)
    written.rename(folder / KEPT)
    for left in folder.glob(f"{WRITTEN}*"):  # by processes that were killed
        shutil.rmtree(left, ignore_errors=True)


def register() -> None:
    """Make the name known to configs, in each process another."""
    OmegaConf.register_new_resolver("settings_beside", lambda: f"{WRITTEN}{os.getpid()}", replace=True)
