"""What runs have left in their folders, read back: settings, courses, results.

Knows files, and that a run may be old, broken off or still going on: what is missing or damaged is left out.
Knows nothing of how runs are compared or shown.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.plain import mapping, read_json, read_text, read_yaml
from calcium_lightning.core.reading import reading

if TYPE_CHECKING:
    import pandas as pd

    from calcium_lightning.runs.jobs import Job

#: commands whose runs have something to compare
COMMANDS = ("train", "extract")


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes
    ----------
    folder : Path
        Where it is.
    command : str
        What it ran: ``train`` or ``extract``.
    status : str
        ``finished``, ``failed``, ``interrupted``, ``pruned``; ``running``, which stays where a process was
        killed; ``unfinished`` where nothing tells.
    overrides : tuple of str
        What was typed, in Hydra's grammar.
    choices : dict of str to str
        Config group -> its file.
    settings : dict of str to Any
        Dotted key -> value as written: interpolations and environment variables stay unresolved.
    courses : DataFrame
        ``metrics.csv``; columns ``epoch``, ``step`` and one per metric.
    figures : dict of str to float
        Results without a course: of ``summary.json``, and of a ``metrics.json`` that ``evaluate`` wrote.
    monitor : (str, str) or None
        The metric that chose the best checkpoint, and ``min`` or ``max``.
    pictures : dict of str to Path
        The newest picture of each kind.
    number : int or None
        Its number in a sweep.
    seconds : float or None
        From its first start to its end, pauses included.
    error : str or None
        What ended it.
    origin : dict of str to str
        ``git_commit``, ``package_version``, ``cwd``: whatever is known.
    data : dict of str to str
        Session -> SHA-256.
    flags : tuple of str
        Hydra's, with which the user's own config files are found again.
    """

    folder: Path
    command: str
    status: str
    overrides: tuple[str, ...]
    choices: dict[str, str]
    settings: dict[str, Any]
    courses: pd.DataFrame
    figures: dict[str, float]
    monitor: tuple[str, str] | None = None
    pictures: dict[str, Path] = field(default_factory=dict)
    number: int | None = None
    seconds: float | None = None
    error: str | None = None
    origin: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


def read_runs(places: Sequence[str | Path]) -> list[Run]:
    """Read all runs of trainings and extractions in some places.

    Parameters
    ----------
    places : sequence of path-like
        Folders of runs, folders with runs anywhere in them (a sweep's), or globs of either.

    Returns
    -------
    list of Run
        In natural order of their folders, none twice.

    Raises
    ------
    InputError
        If a place doesn't exist or holds no runs, or if the runs are of different commands.
    """
    found: dict[Path, Run] = {}
    for place in places:
        folders = [folder for match in _matches(place) for folder in _run_folders(match)]
        runs = [run for run in map(read_run, folders) if run.command in COMMANDS]
        if not runs:
            what = f"{len(folders)} runs, none of train or extract" if folders else "no runs in there"
            raise InputError(
                f"runs={place}: {what}; give the folder of a sweep or of runs, or a glob of them"
            )
        found |= {run.folder.resolve(): run for run in runs}
    if not found:
        raise InputError("runs=[]: no runs; give the folder of a sweep or of runs, or a glob of them")
    commands = sorted({run.command for run in found.values()})
    if len(commands) > 1:
        raise InputError(f"runs of {' and '.join(commands)} have nothing to compare; give one kind at a time")
    return list(found.values())


def files_of(run: Run) -> Iterator[Path]:
    """The files that a run is read from, and its results: nothing is to be written over them."""
    for name in (".hydra", "figures", "checkpoints"):
        yield from (run.folder / name).rglob("*")
    for name in ("job.json", "summary.json", "metrics.csv", "metrics.json"):
        yield run.folder / name
    yield from run.folder.glob("*.h5")


def read_run(folder: Path) -> Run:
    """Read one run's folder."""
    from calcium_lightning.runs.jobs import read_job

    job = read_job(folder)
    hydra = mapping(_tree(read_yaml, folder / ".hydra/hydra.yaml"), "hydra")
    config = mapping(_tree(read_yaml, folder / ".hydra/config.yaml"))
    about, runtime = mapping(hydra, "job"), mapping(hydra, "runtime")
    finished = (folder / "summary.json").is_file()
    best = mapping(config, "callbacks", "best")
    task = mapping(hydra, "overrides").get("task")
    overrides = job.overrides if job is not None else task if isinstance(task, list) else []
    number = about.get("num") if job is None else job.number
    origin = {"cwd": runtime.get("cwd")}
    if job is not None:
        origin |= {"git_commit": job.git_commit, "package_version": job.package_version}
    command = str(about.get("name") or "train").rpartition(".")[2]
    if command == "extract":
        finished = any(folder.glob("*.cells.h5"))
    return Run(
        folder=folder,
        command=command,
        status=job.status if job is not None else "finished" if finished else "unfinished",
        overrides=tuple(map(str, overrides)),
        choices={group: str(choice) for group, choice in mapping(runtime, "choices").items()},
        settings=dict(_flat(config)),
        courses=_courses(folder / "metrics.csv"),
        figures=_figures(folder),
        monitor=(str(best["monitor"]), "max" if best.get("mode") == "max" else "min")
        if best.get("monitor")
        else None,
        pictures=_pictures(folder / "figures"),
        number=number if isinstance(number, int) else None,
        seconds=_seconds(job),
        error=None if job is None else job.error,
        origin={name: str(value) for name, value in origin.items() if value},
        data={} if job is None else dict(job.data),
        flags=tuple(_flags(about, runtime, command)),
    )


def _flags(job: Mapping[str, Any], runtime: Mapping[str, Any], command: str) -> Iterator[str]:
    sources = runtime.get("config_sources")
    for source in map(mapping, sources if isinstance(sources, list) else []):
        if source.get("provider") == "command-line" and "path" in source:
            yield from ("--config-dir", str(source["path"]))
    if job.get("config_name") not in (None, command):
        yield from ("--config-name", str(job["config_name"]))


def _matches(place: str | Path) -> list[Path]:
    import glob

    from natsort import natsorted

    path = Path(place).expanduser()
    found = [path] if path.exists() else [Path(match) for match in glob.glob(str(path), recursive=True)]
    folders = [item for item in found if item.is_dir()]
    if not folders:
        raise InputError(f"runs={place}: {'a file, not a folder' if found else 'no such folder'}")
    return natsorted(folders, key=str)


def _run_folders(root: Path) -> Iterator[Path]:
    """The folder, if it is a run's, or the runs anywhere in it; none is inside another."""
    from natsort import natsorted

    for name, inside, _ in os.walk(root):
        folder = Path(name)
        if (folder / ".hydra/config.yaml").is_file() or (folder / "job.json").is_file():
            inside.clear()
            yield folder
        inside[:] = natsorted(item for item in inside if not item.startswith("."))


def _tree(read: Callable[[Path], Any], path: Path) -> Any:
    """What a file holds; nothing if it is missing or damaged."""
    try:
        return read(path)
    except (InputError, OSError):
        return None


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _courses(path: Path) -> pd.DataFrame:
    import io

    import pandas as pd

    try:
        with reading(path, parsing=True):
            table = pd.read_csv(io.StringIO(read_text(path)), on_bad_lines="skip")
            return table.apply(pd.to_numeric, errors="coerce")
    except (InputError, OSError):
        return pd.DataFrame()


def _figures(folder: Path) -> dict[str, float]:
    from calcium_lightning.metrics.evaluation import FORMAT

    summary = mapping(_tree(read_json, folder / "summary.json"))
    measured = mapping(_tree(read_json, folder / "metrics.json"))
    figures = {name: value for name, value in summary.items() if "/" in name}
    if isinstance(best := summary.get("best"), dict):
        figures |= best
    if measured.get("format") == FORMAT and isinstance(together := measured.get("together"), dict):
        figures |= together
    return {
        name: float(value)
        for name, value in figures.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _pictures(folder: Path) -> dict[str, Path]:
    """Kind -> its newest picture: ``epoch_0005.png`` and ``epoch_0010.png`` are of one kind."""
    return {re.sub(r"[\W_]*\d+$", "", path.stem): path for path in _regular(folder)}


def _regular(folder: Path) -> list[Path]:
    """The pictures of a folder in natural order; a pipe of such a name is none."""
    from natsort import natsorted

    return natsorted((path for path in folder.glob("*.png") if path.is_file()), key=str)


def _seconds(job: Job | None) -> float | None:
    from calcium_lightning.runs.jobs import read_job

    if job is not None and job.same_as:  # its result was taken over in no time
        job = read_job(job.same_as) or job
    if job is None or not job.started or not job.finished:
        return None
    try:
        return (datetime.fromisoformat(job.finished) - datetime.fromisoformat(job.started)).total_seconds()
    except (TypeError, ValueError):
        return None
