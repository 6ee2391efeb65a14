"""What is the user's own: modules, where they are looked for, and components that experiments don't know.

All before a job's config is checked. Knows configs; which parts are known is the business of
:mod:`calcium_lightning.core.parts`.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from calcium_lightning.command.config_keys import conf_dir
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.parts import PACKAGE, add_folders, describe, import_parts


def find_from(arguments: Sequence[str]) -> None:
    """Look for modules in ``--config-dir`` of a command line, and in the folder the user stands in."""
    from hydra._internal.utils import get_args_parser

    given = get_args_parser().parse_known_args(arguments)[0].config_dir
    add_folders([*([given] if given else []), Path.cwd()])


def find_from_job(hydra: Any) -> None:
    """The same for a job, in whichever process a launcher runs it.

    Parameters
    ----------
    hydra : DictConfig
        The job's own config of Hydra.
    """
    add_folders([*(path for path in _sources(hydra) if path != conf_dir()), hydra.runtime.cwd])


def own_modules(cfg: DictConfig) -> list[str]:
    """Import the modules that a config names (``parts=``); their names.

    Raises
    ------
    InputError
        For one that isn't there or can't be imported.
    """
    given: Any = cfg.get("parts") or []
    return import_parts(given if isinstance(given, list | tuple | ListConfig) else [given])


def leave_out(cfg: DictConfig, hydra: Any) -> list[str]:
    """Take from own components the settings that an experiment makes for the package's.

    ``+experiment=unsupervised`` sets ``data.steps_per_epoch``, which an own dataset needn't have. What is
    typed, or stands in the component's own file, stays, and is refused if the component doesn't take it.

    Parameters
    ----------
    cfg : DictConfig
        A job's config; changed.
    hydra : DictConfig
        The job's config of Hydra.

    Returns
    -------
    list of str
        A line for each component.

    Raises
    ------
    InputError
        For a module that can't be imported.
    """
    typed = {item.lstrip("+~").partition("=")[0] for item in hydra.overrides.task}
    lines = []
    for group, choice in hydra.runtime.choices.items():
        node = cfg.get(group)
        target = str(node.get("_target_", "")) if isinstance(node, DictConfig) else ""
        if "." not in target or target.partition(".")[0] == PACKAGE or target in _package_targets(group):
            continue
        taken = _settings_of(target)
        if taken is None:
            continue
        own = {*taken, *_keys_of_file(hydra, group, str(choice))}
        foreign = [
            key
            for key in map(str, node)
            if not key.startswith("_")
            and key not in own
            and not any(f"{item}.".startswith(f"{group}.{key}.") for item in typed)
        ]
        known = set(_package_settings(group)) if foreign else set()
        foreign = [key for key in foreign if key in known]
        with open_dict(cfg):
            for key in foreign:
                del node[key]
        if foreign:
            lines.append(f"{group}={choice}: {target} takes no {', '.join(foreign)}; left out")
    return lines


def check_features(cfg: DictConfig) -> None:
    """Refuse an encoder that doesn't say how many features it gives, where others ask for it.

    Raises
    ------
    InputError
        Saying which key is missing.
    """
    encoder = cfg.get("encoder")
    if not isinstance(encoder, DictConfig) or "_target_" not in encoder or "out_channels" in encoder:
        return
    asking = [
        name
        for name in ("head", "background")
        if isinstance(part := cfg.get(name), DictConfig)
        and "encoder.out_channels" in str(OmegaConf.to_container(part, resolve=False))
    ]
    if asking:
        raise InputError(
            f"encoder.out_channels: missing; {' and '.join(asking)} read it. Give the number of features per "
            "pixel in the encoder's YAML file, and take it as a setting"
        )


def show(lines: Sequence[str]) -> None:
    """Say on stderr what was left out."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def _sources(hydra: Any) -> list[Path]:
    """Folders of YAML files that a job was composed from."""
    return [Path(item.path) for item in hydra.runtime.config_sources if item.schema == "file"]


def _settings_of(target: str) -> list[str] | None:
    """What a component takes; None where it takes anything."""
    module, _, name = target.rpartition(".")
    try:
        parameters = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    except Exception as error:  # whatever a stranger's module raises
        raise InputError(f"_target_={target}: can't be imported ({describe(error)})") from error
    if any(item.kind is item.VAR_KEYWORD for item in parameters.values()):
        return None
    return list(parameters)


def _keys_of_file(hydra: Any, group: str, choice: str) -> list[str]:
    """What stands in the YAML file of a choice itself."""
    for folder in _sources(hydra):
        path = folder / group / f"{choice}.yaml"
        if path.is_file():
            node = OmegaConf.load(path)
            return [str(key) for key in node] if isinstance(node, DictConfig) else []
    return []


@cache
def _package_targets(group: str) -> frozenset[str]:
    """What the package's own choices of a group name, libraries' components too."""
    nodes = map(OmegaConf.load, (conf_dir() / group).glob("*.yaml"))
    return frozenset(str(node.get("_target_")) for node in nodes if isinstance(node, DictConfig))


def _package_settings(group: str) -> Iterator[str]:
    """Settings of the package's own components of a group."""
    for path in sorted((conf_dir() / group).glob("*.yaml")):
        node = OmegaConf.load(path)
        if isinstance(node, DictConfig):
            yield from map(str, node)
            if str(node.get("_target_", "")).partition(".")[0] == PACKAGE:
                yield from _settings_of(str(node["_target_"])) or ()
