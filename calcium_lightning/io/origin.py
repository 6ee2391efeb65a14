"""Whether cells were made already, of the same recording, with the same settings, by the same code.

Knows what a cells file tells of its origin; knows nothing of how cells are found.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from calcium_lightning.core.code import PACKAGE, code_of
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.hashing import sha256_of
from calcium_lightning.core.parts import installed_parts, module_name, targets_of
from calcium_lightning.core.plain import check_aliases
from calcium_lightning.core.version import __version__
from calcium_lightning.io.cells_file import read_origin
from calcium_lightning.io.session import Session

#: what finds cells; with what a config names, all code that they depend on follows from it
ENTRY = (f"{PACKAGE.name}.pipeline", f"{PACKAGE.name}.extract")
#: keys that say where things are and not what they are
PLACES = ("session", "output", "overwrite", "checkpoint")


@cache
def package_stamp() -> str:
    """The version, and a digest of the code that finds cells: it changes in a checkout of one version."""
    return f"{__version__}+{code_of(ENTRY)[:12]}"


def noted_config(cfg: DictConfig, session: Path) -> str:
    """What a cells file keeps of its making: the settings, and recording, weights and code by their content.

    Parameters
    ----------
    cfg : DictConfig
        As ``conf/extract.yaml`` composes it, of one job.
    session : Path
        One of its sessions: with ``preprocess=published`` the cells' own session is made from it.

    Returns
    -------
    str
        YAML.
    """
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    if cfg.checkpoint is not None:
        plain["checkpoint_sha256"] = sha256_of(Path(str(cfg.checkpoint)).expanduser())
    return OmegaConf.to_yaml(
        {**plain, "recording_sha256": Session(session).sha256(), "code_sha256": code_of(_names(plain))}
    )


def _names(settings: dict[str, Any]) -> list[str]:
    """Modules, classes and functions that a config, a checkpoint or an installed package may name."""
    given = settings.get("parts") or []
    parts = [module_name(str(name)) for name in (given if isinstance(given, list) else [given])]
    return [*ENTRY, *parts, *(entry.module for entry in installed_parts()), *targets_of(settings)]


def is_current(output: Path, session: Path, cfg: DictConfig) -> bool:
    """Whether a cells file is what would be made: a run that was broken off goes on with the rest.

    Parameters
    ----------
    output : Path
        The cells file; it need not be there.
    session, cfg
        As for :func:`told`.

    Raises
    ------
    InputError
        If the session or the checkpoint isn't there.
    """
    try:
        origin = read_origin(output)
        check_aliases(origin["config"], str(output))
        before = yaml.safe_load(origin["config"])
    except (InputError, yaml.YAMLError):  # something else: it isn't said here what to do about it
        return False
    now = yaml.safe_load(noted_config(cfg, session))
    return origin["package_version"] == package_stamp() and _decisive(before) == _decisive(now)


def _decisive(settings: Any) -> Any:
    if not isinstance(settings, dict):
        return settings
    plain = {key: value for key, value in settings.items() if key not in PLACES}
    if isinstance(detector := plain.get("detector"), dict):
        plain["detector"] = {key: value for key, value in detector.items() if key not in PLACES}
    return plain
