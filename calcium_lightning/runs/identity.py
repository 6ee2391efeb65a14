"""Which job this is: the same settings on the same data with the same code are the same job, anywhere.

Knows a composed config and files; knows nothing of how a job runs or what became of it.
"""

from __future__ import annotations

import copy
import hashlib
import json
import secrets
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.core.code import code_of
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.hashing import sha256_of
from calcium_lightning.core.parts import module_name, targets_of
from calcium_lightning.core.version import __version__
from calcium_lightning.runs.jobs import Job, read_job

PACKAGE = Path(__file__).resolve().parent.parent
#: keys that say how a job is started, watched or shown, and not what comes out of it
WITHOUT_EFFECT = (
    "ckpt_path",
    "fresh",
    "overwrite",
    "logger",
    "callbacks.pictures",
    "callbacks.prune",
    "data.workers",
    "data.folder",
)
#: what trains; with what a config names, all code that a result depends on follows from it
ENTRY = f"{PACKAGE.name}.training.fit"
#: groups whose components may read the files that their settings name
READERS = ("data", "encoder", "head", "painter", "decoder", "background", "loss")
#: looks at the finished training, by way of everything that finds cells: its settings count, its code doesn't
AFTERWARDS = ("callbacks.cells",)


def identify(cfg: DictConfig, sessions: Sequence[Path], **place: Any) -> Job:
    """Make the job that a config describes, not yet started.

    A training that goes on from another job's checkpoint (``ckpt_path=``) is a job of its own, one that goes
    on from its own is the same.

    Parameters
    ----------
    cfg : DictConfig
        As ``conf/train.yaml`` composes it.
    sessions : sequence of Path
        The session files it names, as it names them.
    **place
        Attributes of the job that its config doesn't tell: ``sweep``, ``number``, ``overrides``.

    Raises
    ------
    InputError
        If ``ckpt_path`` or ``weights`` isn't there.
    """
    data = {str(path): sha256_of(path) for path in sessions}
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    for key in WITHOUT_EFFECT:
        _drop(settings, key.split("."))
    if data:  # the same file is the same data under any name
        settings["data"]["sessions"] = list(data.values())
    if cfg.weights is not None:
        default = str(cfg.weights) == "default"
        settings["weights"] = _file(PACKAGE / "weights/default.safetensors" if default else cfg.weights)
    named = _names(settings)
    settings |= {group: _with_files(settings[group]) for group in READERS if group in settings}
    digest = _digest([settings, __version__, code_of(named)])
    source = origin(cfg)
    if source is not None:
        begun = read_job(source.parent.parent)
        if begun is None or begun.hash != digest:
            digest = _digest([digest, _file(cfg.ckpt_path, "ckpt_path")])
    return Job(
        hash=digest,
        id=new_id(digest),
        data=data,
        git_commit=_git_commit(),
        package_version=__version__,
        seed=int(cfg.seed),
        **place,
    )


def origin(cfg: DictConfig) -> Path | None:
    """The checkpoint that the user wants to go on from."""
    return None if cfg.ckpt_path is None else Path(str(cfg.ckpt_path)).expanduser().resolve()


def new_id(digest: str) -> str:
    """Name for a job's run: tells the job, and one start from the other."""
    return f"{digest[:12]}-{secrets.token_hex(3)}"


def _names(settings: dict[str, Any]) -> list[str]:
    """Modules, classes and functions that a config names."""
    decisive = copy.deepcopy(settings)
    for key in AFTERWARDS:
        _drop(decisive, key.split("."))
    given = decisive.get("parts") or []
    parts = [module_name(str(name)) for name in (given if isinstance(given, list) else [given])]
    return [ENTRY, *parts, *targets_of(decisive)]


def _with_files(node: Any) -> Any:
    """Settings in which the path of a file stands for what is in it."""
    if isinstance(node, dict):
        return {name: _with_files(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_with_files(value) for value in node]
    if isinstance(node, str) and ("." in node or "/" in node) and Path(node).expanduser().is_file():
        return sha256_of(Path(node).expanduser())
    return node


def _file(path: Any, key: str = "weights") -> str:
    path = Path(str(path)).expanduser()
    if not path.is_file():
        raise InputError(f"{key}={path}: no such file")
    return sha256_of(path)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _drop(settings: Any, key: list[str]) -> None:
    for part in key[:-1]:
        settings = settings.get(part) if isinstance(settings, dict) else None
    if isinstance(settings, dict):
        settings.pop(key[-1], None)


@cache
def _git_commit() -> str | None:
    """Of the checkout that the package is in."""
    if not (PACKAGE.parent / ".git").exists():
        return None
    try:
        commit, changes = (
            subprocess.run(
                ["git", "--no-optional-locks", "-C", str(PACKAGE.parent), *command],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for command in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("-dirty" if changes else "")
