"""What a job is called in W&B, and what stands in its config beside the job's own.

Knows a run's folder: ``job.json`` and Hydra's ``.hydra/``. It must not know wandb.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from calcium_lightning.runs.jobs import Job, read_job

#: what of a job stands in the config as it is: the rest changes while it runs, or W&B knows it already
TOLD = ("hash", "sweep", "number", "overrides", "git_commit", "package_version")


@dataclass(frozen=True)
class WandbIdentity:
    """How W&B knows a job.

    Attributes
    ----------
    name : str
        The run's folder; in a sweep, its number and what sets it apart.
    id : str or None
        The same however often the job is resumed. None leaves it to W&B.
    group : str or None
        The sweep's folder.
    tags : tuple of str
        The experiment.
    config : dict
        ``job`` (hash, overrides, git commit, session files with their SHA-256 and one fingerprint of all) and
        ``choices``, the chosen config groups, so that a sweep over ``encoder=a,b`` has its column.
    data : dict of str to str
        SHA-256 of each session file, by its path.
    uses_model : bool
        It was made with weights rather than to make some.
    checkpoint : Path or None
        Which; None for those in the package.
    """

    name: str
    id: str | None = None
    group: str | None = None
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    uses_model: bool = False
    checkpoint: Path | None = None


def identify(folder: Path) -> WandbIdentity:
    """Read who a run is from its folder."""
    job = read_job(folder)
    choices = chosen(folder)
    experiment = choices.get("experiment")
    config: dict[str, Any] = {"choices": choices} if choices else {}
    if job is None:
        return WandbIdentity(folder.name, tags=(experiment,) if experiment else (), config=config)
    told = {name: value for name, value in asdict(job).items() if name in TOLD}
    told["data"] = [{"path": path, "sha256": digest} for path, digest in job.data.items()]
    told["data_fingerprint"] = sha256("".join(sorted(job.data.values())).encode()).hexdigest()
    return WandbIdentity(
        name=folder.name if job.number is None else numbered(job, folder),
        id=job.id,
        group=job.sweep,
        tags=(experiment,) if experiment else (),
        config={**config, "job": told},
        data=job.data,
    )


def chosen(folder: Path) -> dict[str, str]:
    """The choice of each config group, as Hydra noted it; empty where it didn't."""
    from omegaconf import OmegaConf

    path = folder / ".hydra" / "hydra.yaml"
    if not path.is_file():
        return {}
    choices = OmegaConf.to_container(OmegaConf.load(path).hydra.runtime.choices, resolve=False)
    assert isinstance(choices, dict)
    return {
        str(group): str(choice)
        for group, choice in choices.items()
        if choice is not None and not str(group).startswith("hydra/")
    }


def numbered(job: Job, folder: Path) -> str:
    """Name a job of a sweep by its number and by the overrides that not every job of the sweep has."""
    common = _of_all_jobs(folder.parent)
    own = [item.lstrip("+") for item in job.overrides if item not in common]
    return f"{job.number} {' '.join(own)}".strip()[:128]


def _of_all_jobs(sweep: Path) -> set[str]:
    """The overrides of a sweep that have one value only, written as Hydra hands them to its jobs."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    path = sweep / "multirun.yaml"
    if not path.is_file():
        return set()
    raw = [str(item) for item in OmegaConf.load(path).hydra.overrides.task]
    return {
        f"{item.get_key_element()}={item.get_value_element_as_str()}"
        for item in OverridesParser.create().parse_overrides(raw)
        if not item.is_sweep_override()
    } | set(raw)
