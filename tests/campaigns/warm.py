"""Commands in forks of a process that has everything imported already, bounded in time, memory and files.

Importing Torch takes longer than most commands: a fork takes milliseconds. Linux and macOS only.
"""

from __future__ import annotations

import gc
import importlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: seconds and bytes that no command may take
SECONDS, BYTES = 60.0, 2 << 30
#: room above the process's own size before the system refuses memory: so much that the machine survives
ADDRESSES = 6 << 30
#: what commands import when they are at work
HEAVY = (
    "torch",
    "lightning",
    "h5py",
    "hdf5plugin",
    "tifffile",
    "imagecodecs",
    "simplejpeg",
    "av",
    "zarr",
    "scipy.io",
    "pandas",
    "matplotlib.figure",
    "hydra",
    "pynwb",
    "rich.table",
    "natsort",
    "calcium_lightning.pipeline",
    "calcium_lightning.training.fit",
    "calcium_lightning.curation.server",
    "calcium_lightning.tracking.track",
    "calcium_lightning.online.extractor",
    "pyarrow.parquet",
    "xarray",
)
COMMANDS = (
    "ingest",
    "simulate",
    "train",
    "extract",
    "evaluate",
    "export",
    "report",
    "curate",
    "track",
    "compare",
    "dashboard",
    "watch",
)


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Attributes
    ----------
    status : int
        Exit status; negative for a signal.
    stdout, stderr : str
    seconds : float
    peak : int
        Bytes of memory that were in use at most.
    hung : bool
        It was ended because its time was over.
    """

    status: int
    stdout: str
    stderr: str
    seconds: float
    peak: int
    hung: bool = False


def warm_up() -> None:
    """Import what commands import, let Hydra's grammar learn, and keep forks from looking through all of it."""
    for name in (*HEAVY, *(f"calcium_lightning.{command}" for command in COMMANDS)):
        importlib.import_module(name)
    from hydra.core.override_parser.overrides_parser import OverridesParser

    OverridesParser.create().parse_overrides(["a=b.c", "a.b='c d'", "a=[b,1.5,true,null]", "+a=-1e3", "~a"])
    gc.collect()
    gc.freeze()


def in_fork(work: Callable[[], object], folder: Path, seconds: float = SECONDS) -> Outcome:
    """Run a function in a fork of this process, in a folder."""
    return wait(start_fork(work, folder), folder, seconds)


def start_fork(work: Callable[[], object], folder: Path) -> int:
    """Begin a function in a fork of this process, in a process group of its own; its number."""
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        return process
    status = 70
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
        _redirect(folder)
        os.chdir(folder)
        _limit()
        work()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def command(name: str, arguments: Sequence[str]) -> Callable[[], object]:
    """A command as a function."""

    def work() -> object:
        sys.argv = [name, *arguments]
        # what it spawns imports the command, as where it is typed
        sys.modules["__main__"] = module = sys.modules[f"calcium_lightning.{name}"]
        return module.main()

    return work


def start_typed(name: str, arguments: Sequence[str], folder: Path) -> int:
    """Begin a command as a user types it; its process's number."""
    with _logs(folder, "wb") as (out, err):
        process = subprocess.Popen(
            [sys.executable, "-m", f"calcium_lightning.{name}", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=_limit,
        )
    process.returncode = 0  # it is waited for by its number
    return process.pid


def wait(process: int, folder: Path, seconds: float = SECONDS) -> Outcome:
    """Wait for a process that was begun in a folder, and end it and its children when its time is over."""
    began, hung, found = time.monotonic(), False, 0
    try:
        while not found:
            found, state, usage = os.wait4(process, os.WNOHANG)
            if not found and time.monotonic() - began > seconds and not hung:
                hung = True
                os.killpg(process, signal.SIGKILL)
            time.sleep(0 if found else 0.005)
    finally:
        if not found:  # whoever waits was stopped
            os.killpg(process, signal.SIGKILL)
    scale = 1 if sys.platform == "darwin" else 1024
    out, err = (path.read_text(errors="replace") for path in logs_of(folder))
    return Outcome(
        os.waitstatus_to_exitcode(state),
        out,
        err,
        time.monotonic() - began,
        usage.ru_maxrss * scale,
        hung,
    )


def logs_of(folder: Path) -> tuple[Path, Path]:
    """The files that take what a process in a folder prints, and its errors."""
    return folder.with_name(f"{folder.name}.out"), folder.with_name(f"{folder.name}.err")


class _logs:
    """The files that take what a process in a folder prints: beside it, not in it."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.streams = [path.open(mode) for path in logs_of(folder)]

    def __enter__(self):
        return self.streams

    def __exit__(self, *_: object) -> None:
        for stream in self.streams:
            stream.close()


def _redirect(folder: Path) -> None:
    with _logs(folder, "wb") as (out, err), open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)


def _limit() -> None:
    used = (
        int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) if sys.platform == "linux" else 0
    )
    pages = used * resource.getpagesize()
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (max(pages, 16 << 30) + ADDRESSES,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
