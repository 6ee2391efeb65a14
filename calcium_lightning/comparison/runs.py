"""What runs have left in their folders, read back: settings, courses, results.

Knows files, and that a run may be old, broken off or still going on: what is missing or damaged is left out.
Knows nothing of how runs are compared or shown.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcium_lightning.core.errors import InputError

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


def read_run(folder: Path) -> Run:
    """Read one run's folder."""
    from calcium_lightning.runs.jobs import read_job

    job = read_job(folder)
    hydra = _yaml(folder / ".hydra/hydra.yaml").get("hydra", {})
    config = _yaml(folder / ".hydra/config.yaml")
    about, runtime = hydra.get("job", {}), hydra.get("runtime", {})
    finished = (folder / "summary.json").is_file()
    best = (config.get("callbacks") or {}).get("best") or {}
    overrides = job.overrides if job is not None else hydra.get("overrides", {}).get("task", [])
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
        choices={str(group): str(choice) for group, choice in runtime.get("choices", {}).items()},
        settings=dict(_flat(config)),
        courses=_courses(folder / "metrics.csv"),
        figures=_figures(folder),
        monitor=(str(best["monitor"]), str(best.get("mode", "min"))) if best.get("monitor") else None,
        pictures=_pictures(folder / "figures"),
        number=number if isinstance(number, int) else None,
        seconds=_seconds(job),
        error=None if job is None else job.error,
        origin={name: str(value) for name, value in origin.items() if value},
        data={} if job is None else dict(job.data),
        flags=tuple(_flags(about, runtime, command)),
    )


def _flags(job: Mapping[str, Any], runtime: Mapping[str, Any], command: str) -> Iterator[str]:
    for source in runtime.get("config_sources", []):
        if source.get("provider") == "command-line":
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


def _yaml(path: Path) -> dict[str, Any]:
    """A YAML file as plain containers, unresolved; empty if it is missing or damaged."""
    from omegaconf import DictConfig, OmegaConf
    from yaml import YAMLError

    try:
        content = OmegaConf.load(path)
    except (OSError, YAMLError, ValueError):
        return {}
    plain: Any = OmegaConf.to_container(content, resolve=False) if isinstance(content, DictConfig) else {}
    return dict(plain)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _courses(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_csv(path, on_bad_lines="skip")
    except (OSError, ValueError):  # pandas' own errors are ValueErrors
        return pd.DataFrame()
    return table.apply(pd.to_numeric, errors="coerce")


def _figures(folder: Path) -> dict[str, float]:
    from calcium_lightning.metrics.evaluation import FORMAT

    summary, measured = _json(folder / "summary.json"), _json(folder / "metrics.json")
    figures = {name: value for name, value in summary.items() if "/" in name}
    if isinstance(best := summary.get("best"), dict):
        figures |= best
    if measured.get("format") == FORMAT and isinstance(together := measured.get("together"), dict):
        figures |= together
    return {
        name: float(value)
        for name, value in figures.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _pictures(folder: Path) -> dict[str, Path]:
    """Kind -> its newest picture: ``epoch_0005.png`` and ``epoch_0010.png`` are of one kind."""
    from natsort import natsorted

    return {re.sub(r"[\W_]*\d+$", "", path.stem): path for path in natsorted(folder.glob("*.png"), key=str)}


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
