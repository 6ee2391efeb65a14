"""Modules of the user's own: where they are looked for, and which are imported, before a job's config is checked.

Knows Hydra's config; what a part is and which are known is :mod:`calcium_lightning.core.parts`' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from calcium_lightning.command.keys import conf_dir
from calcium_lightning.core.parts import add_folders, import_parts


def find_from(arguments: Sequence[str]) -> None:
    """Look for modules in ``--config-dir`` of a command line, and in the folder the user stands in."""
    from hydra._internal.utils import get_args_parser

    given = get_args_parser().parse_known_args(arguments)[0].config_dir
    add_folders([*([given] if given else []), Path.cwd()])


def find_from_job() -> None:
    """The same for the running job, in whichever process a launcher runs it."""
    from hydra.core.hydra_config import HydraConfig

    runtime = HydraConfig.get().runtime
    sources = [Path(item.path) for item in runtime.config_sources if item.schema == "file"]
    add_folders([*(path for path in sources if path != conf_dir()), runtime.cwd])


def own_modules(cfg: DictConfig) -> list[str]:
    """Import the modules that a config names (``parts=``); their names.

    Raises
    ------
    InputError
        For one that isn't there or can't be imported.
    """
    given: Any = cfg.get("parts") or []
    return import_parts(given if isinstance(given, list | tuple | ListConfig) else [given])
