"""``job.json``: which job a run's folder belongs to, and how it stands.

Written by the process that started the job, before its first logger is made; read by whoever wants to know:
loggers, sweeps, the comparison. Knows a folder, and nothing of trainings.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.folders import walk
from calcium_lightning.core.plain import mapping, read_json

Status = Literal["running", "finished", "failed", "interrupted", "pruned"]
NAME = "job.json"


@dataclass(frozen=True)
class Job:
    """A training job.

    Attributes
    ----------
    hash : str
        SHA-256, hexadecimal, of all that decides the result: the resolved config, the data, the code.
    id : str
        Names the job's run elsewhere (W&B): stable while the job goes on, new when it is started afresh.
    sweep : str, optional
        The sweep's folder, relative to the folder the user stands in.
    number : int, optional
        Which job of the sweep.
    overrides : list of str
        The command line's, as this job has them.
    data : dict of str to str
        SHA-256 of each session file, by its path as configured.
    git_commit : str, optional
        Of the package's checkout; ``-dirty`` follows where files were changed.
    package_version : str
        Of calcium-lightning.
    seed : int
        Of everything random.
    status : {"running", "finished", "failed", "interrupted", "pruned"}
        ``running`` stays where a process was killed.
    error : str, optional
        One line on why it failed.
    started, finished : str, optional
        ISO 8601 times, UTC. ``started`` is the first start; ``finished`` the last end, however it ended.
    same_as : str, optional
        Folder of the identical job whose result was taken.
    """

    hash: str
    id: str
    sweep: str | None = None
    number: int | None = None
    overrides: list[str] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    package_version: str = ""
    seed: int = 0
    status: Status = "running"
    error: str | None = None
    started: str | None = None
    finished: str | None = None
    same_as: str | None = None

    def replace(self, **changes: Any) -> Job:
        """A copy with some attributes changed."""
        return dataclasses.replace(self, **changes)


def read_job(folder: Path | str) -> Job | None:
    """The job of a run's folder; ``None`` where there is none, or its file can't be read."""
    try:
        values = mapping(read_json(Path(folder) / NAME))
    except (InputError, OSError):
        return None
    known = {part.name: str(part.type) for part in dataclasses.fields(Job)}
    values = {name: value for name, value in values.items() if name in known}
    if not {"hash", "id"} <= set(values) or not all(
        _fits(value, known[name]) for name, value in values.items()
    ):
        return None
    return Job(**values)


def _fits(value: Any, type_: str) -> bool:
    """Whether a value of a file is of an attribute's type."""
    if value is None:
        return "None" in type_
    if type_ == "Status":
        return value in get_args(Status)
    if type_.startswith("list"):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if type_.startswith("dict"):
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    return type(value) is (int if type_.startswith("int") else str)


def write_job(folder: Path | str, job: Job) -> None:
    """Write ``job.json`` into a run's folder, atomically."""
    with atomic_path(Path(folder) / NAME, overwrite=True) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(job), indent=2) + "\n")


def remove_job(folder: Path | str) -> None:
    """Remove ``job.json``: the folder is no run's any more."""
    (Path(folder) / NAME).unlink(missing_ok=True)


def find_jobs(roots: Iterable[Path], digest: str) -> list[tuple[Path, Job]]:
    """Folders of a job below some folders, the one that was begun last first.

    Parameters
    ----------
    roots : iterable of Path
        Where to look, at any depth.
    digest : str
        The job's hash.
    """
    found = {
        folder.resolve(): job
        for root in roots
        for folder in job_folders(root)
        if (job := read_job(folder)) is not None and job.hash == digest
    }
    return sorted(found.items(), key=lambda item: item[1].started or "", reverse=True)


def job_folders(root: Path) -> Iterator[Path]:
    """Folders with a ``job.json``, at any depth below (and including) ``root``; none is inside another."""
    for folder, inside, files in walk(root):
        if NAME in files:
            inside.clear()
            yield Path(folder)
        inside[:] = sorted(name for name in inside if not name.startswith("."))
