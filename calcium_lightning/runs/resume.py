"""Which folder a command's job or sweep has already, before Hydra gives it a new one.

A sweep that was killed goes on in its own folder, and a run too. Where this finds nothing a new folder is
made, and nothing is lost: :mod:`~calcium_lightning.runs.run` knows jobs by their hash, wherever they are.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, open_dict

from calcium_lightning.command.paths import quoted
from calcium_lightning.core.plain import mapping, read_yaml
from calcium_lightning.runs.folder import RunFolder
from calcium_lightning.runs.identity import identify
from calcium_lightning.runs.jobs import Job, find_jobs, job_folders, read_job

#: overrides that say where a run or sweep shall be, or that its past doesn't count
PLACES = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
AFRESH = ("fresh", "overwrite")


def with_folder(name: str, arguments: list[str]) -> list[str]:
    """Add the folder of a run or sweep that was begun before with the same arguments.

    Parameters
    ----------
    name : str
        The command.
    arguments : list of str
        Of its command line.
    """
    from hydra._internal.utils import get_args_parser
    from hydra.core.override_parser.overrides_parser import OverridesParser

    given = get_args_parser().parse_args(arguments)
    if any((given.cfg, given.info, given.hydra_help, given.shell_completion, given.config_name)):
        return arguments
    try:
        parsed = OverridesParser.create().parse_overrides(given.overrides)
        keys = {item.key_or_group: item.value() for item in parsed}
        if any(key in keys for key in PLACES) or any(keys.get(key) is True for key in AFRESH):
            return arguments
        search = [f"hydra.searchpath=['{given.config_dir}']"] if given.config_dir else []
        if given.multirun:
            key, folder = "hydra.sweep.dir", _sweep(name, given.overrides, search)
        else:
            key, folder = "hydra.run.dir", _run(name, given.overrides, search)
    except Exception:  # whatever is wrong with the arguments, the command itself says it best
        logging.getLogger(__name__).debug("no earlier folder", exc_info=True)
        return arguments
    if folder is None:
        return arguments
    return [*arguments, f"{key}={quoted(str(folder))}"]


def _run(name: str, overrides: Sequence[str], search: Sequence[str]) -> Path | None:
    roots = [Path("outputs"), Path("multirun")]
    if not any(folder for root in roots for folder in job_folders(root)):
        return None
    digest = _identify(name, [*overrides, *search]).hash
    known = [folder for folder, _ in find_jobs(roots, digest)]
    finished = [folder for folder in known if RunFolder(folder).read_summary()]
    return next(iter([*finished, *known]), None)


def _sweep(name: str, overrides: Sequence[str], search: Sequence[str]) -> Path | None:
    """The newest sweep with these overrides whose jobs would still be the same."""
    wanted = _sweeping(overrides)
    for note in sorted(Path("multirun", name).glob("*/multirun.yaml"), reverse=True):
        task = mapping(read_yaml(note), "hydra", "overrides").get("task")
        if not isinstance(task, list) or _sweeping(list(map(str, task))) != wanted:
            continue
        first = next(job_folders(note.parent), None)
        job = read_job(first) if first is not None else None
        if job is None or _identify(name, [*job.overrides, *search]).hash == job.hash:
            return note.parent
    return None


def _sweeping(overrides: Sequence[str]) -> list[str]:
    """Those that say what is swept."""
    return [item for item in overrides if not item.lstrip("+~").startswith(("hydra.", "hydra/", *AFRESH))]


def _identify(name: str, overrides: Sequence[str]) -> Job:
    """The job of a command line."""
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra

    from calcium_lightning.command.config_keys import conf_dir
    from calcium_lightning.command.own import leave_out
    from calcium_lightning.command.schemas import SCHEMAS
    from calcium_lightning.runs.sessions import training_sessions

    ConfigStore.instance().store(name=f"{name}_schema", node=SCHEMAS[name])
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg: DictConfig = compose(name, overrides=list(overrides), return_hydra_config=True)
    hydra = cfg.hydra
    with open_dict(cfg):
        del cfg["hydra"]
    leave_out(cfg, hydra)
    with contextlib.redirect_stderr(io.StringIO()):  # the command itself says it
        sessions = training_sessions(cfg)
    return identify(cfg, sessions)
