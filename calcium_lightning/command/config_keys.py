"""Which keys a command takes: those of its YAML files, its schema and its components. Others are refused.

Knows configs, and nothing of commands or of what their keys mean.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.command.value_types import described, fits, fits_library, hints
from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.core.parts import PACKAGE, describe

#: libraries whose components' signatures tell what they take
TYPED = ("lightning.", "torch.optim.")


def conf_dir() -> Path:
    """Folder of the YAML files: inside an installed package, beside the package in a checkout."""
    here = Path(__file__).resolve().parent.parent
    installed = here / "conf"
    return installed if installed.is_dir() else here.parent / "conf"


#: folders of config files that the user brings along, before ours
_OWN: list[Path] = []


def search_in(folders: Sequence[Path]) -> None:
    """Look for choices in these folders (``--config-dir``) too, from now on."""
    _OWN[:] = [folder.resolve() for folder in folders]


def refuse_hidden() -> None:
    """Refuse files of the user's own that are never read: Hydra takes the package's of the same name.

    Raises
    ------
    InputError
        Naming the first of them. Copies in which nothing was changed do no harm.
    """
    for ours in sorted(conf_dir().rglob("*.yaml")) if _OWN else ():
        name = ours.relative_to(conf_dir())
        for own in (folder / name for folder in _OWN):
            if own.is_file() and own.read_bytes() != ours.read_bytes():
                raise InputError(
                    f"{own}: never read, since the package has a file of this name; call it otherwise, as in "
                    f"{name.with_stem(f'my_{name.stem}')}"
                )


def config_folders() -> list[Path]:
    """Where config files are: the user's own folders, then ours."""
    return [*_OWN, conf_dir()]


def choices_of(group: str) -> list[str]:
    """The choices of a config group, those in folders inside as ``folder/choice``."""
    found = set()
    for folder in config_folders():
        place = folder / group
        found |= {file.relative_to(place).with_suffix("").as_posix() for file in place.rglob("*.yaml")}
    return sorted(found)


def first_comment(group: str, choice: str) -> str:
    """The first line of comment in a choice's file that is for people."""
    for folder in config_folders():
        file = folder / group / f"{choice}.yaml"
        if file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                if line.startswith("#") and not line.startswith("# @package"):
                    return line.lstrip("# ").rstrip()
            return ""
    return ""


def groups_of(name: str) -> dict[str, str | None]:
    """The config groups that a command's YAML file mentions, with what each is by default."""
    path = conf_dir() / f"{name}.yaml"
    raw = OmegaConf.load(path) if path.is_file() else None
    groups: dict[str, str | None] = {}
    for item in raw.get("defaults", []) if isinstance(raw, DictConfig) else []:
        if isinstance(item, DictConfig):
            group, choice = next(iter(item.items()))
            group = str(group).removeprefix("optional ").removeprefix("override ").split("@")[0].strip("/")
            groups[group] = choice
    return groups


def default_choice(name: str, group: str) -> str | None:
    """What a config group of a command is by default."""
    return groups_of(name).get(group)


def known_keys(name: str) -> list[str]:
    """Every key that the command accepts, dotted, and its config groups."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.utils import JobRuntime

    keys = [field.name for field in dataclasses.fields(SCHEMAS[name])] if name in SCHEMAS else []
    keys += [
        path.name
        for folder in config_folders()
        if folder.is_dir()
        for path in folder.iterdir()
        if path.is_dir()
    ]
    running, job = GlobalHydra.instance().hydra, JobRuntime.instance().get("name")
    try:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            keys += list(_dotted(compose(name)))
    except Exception:  # the suggestion is a courtesy: without a composed config the schema's keys must do
        logging.getLogger(__name__).debug("no config for suggestions", exc_info=True)
    finally:  # a sweep goes on
        GlobalHydra.instance().hydra = running
        JobRuntime.instance().set("name", job)
    return sorted(set(keys))


def _dotted(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, DictConfig):
        for key in map(str, node):
            yield f"{prefix}{key}"
            if not OmegaConf.is_missing(node, key) and not OmegaConf.is_interpolation(node, key):
                yield from _dotted(node._get_node(key), f"{prefix}{key}.")


def check_keys(cfg: DictConfig, name: str) -> None:
    """Refuse keys that were added with ``+`` and that the command doesn't know.

    Raises
    ------
    InputError
        Naming the key and the nearest ones that exist.
    """
    if name not in SCHEMAS:
        return
    for key, schema, node in _typed(cfg, SCHEMAS[name]):
        fields = {field.name for field in dataclasses.fields(schema)}
        unknown = [f"{key}{part}" for part in map(str, node) if part not in fields]
        if unknown:
            raise InputError(no_such_key(unknown[0], name))


def no_such_key(key: str, name: str) -> str:
    """What is said of a key that the command ``name`` does not know: what resembles it, or where all are."""
    known = known_keys(name)
    part = key.rpartition(".")[0]
    if part and key in known:  # of the command as it comes, but not of what was typed
        return f"{key}: no such key where {part} is switched off or another; leave one of the two out"
    if key in known:  # a group of files that set what others have
        return (
            f"{key}: what its file sets reaches nothing outside it; let its first line be # @package _global_"
        )
    return f"{key}: no such key{nearest(key, known) or '; --help lists them'}"


def _typed(cfg: DictConfig, schema: Any, prefix: str = "") -> Iterator[tuple[str, Any, DictConfig]]:
    """A config and those parts of it that have a schema of their own."""
    yield prefix, schema, cfg
    for field in dataclasses.fields(schema):
        inner = field.default_factory
        if dataclasses.is_dataclass(inner) and isinstance(cfg.get(field.name), DictConfig):
            yield from _typed(cfg[field.name], inner, f"{prefix}{field.name}.")


def check_choices(cfg: DictConfig, typed: Sequence[str]) -> None:
    """Refuse several choices of a group that is one component: they would be mixed into one.

    Parameters
    ----------
    cfg : DictConfig
        A job's config.
    typed : sequence of str
        What was typed.

    Raises
    ------
    InputError
        Naming the group.
    """
    for override in typed:
        group, _, choice = override.partition("=")
        node = cfg.get(group) if choice.startswith("[") else None
        if isinstance(node, DictConfig) and "_target_" in node:
            there = " | ".join(choices_of(group))
            raise InputError(f"{override}: one choice is wanted: {there}, or a file of your own")


def check_complete(cfg: DictConfig) -> None:
    """Refuse a config with mandatory values missing, naming them."""
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise InputError(f"missing {', '.join(f'{key}=' for key in missing)}; --help explains the keys")


def check_numbers(node: Any, path: str = "") -> None:
    """Refuse numbers that are none: no setting of any command is infinite.

    Raises
    ------
    InputError
        Naming the key.
    """
    if isinstance(node, float) and not math.isfinite(node):
        raise InputError(f"{path}={node}: a finite number is wanted")
    if isinstance(node, DictConfig):
        for key in map(str, node):
            if not (OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key)):
                check_numbers(node[key], f"{path}.{key}" if path else key)
    elif isinstance(node, ListConfig):
        for index in range(len(node)):
            check_numbers(node[index], f"{path}[{index}]")


def check_targets(node: Any, path: str = "") -> None:
    """Refuse keys that a component's ``_target_`` doesn't take, with the nearest name that it does.

    Raises
    ------
    InputError
        For an unknown key, a value of the wrong type, or a ``_target_`` that doesn't exist.
    """
    if isinstance(node, ListConfig):
        for index in range(len(node)):
            check_targets(node[index], f"{path}[{index}]")
        return
    if not isinstance(node, DictConfig):
        return
    target = node.get("_target_")
    if target is not None:
        module, _, attribute = str(target).rpartition(".")
        try:
            component = getattr(importlib.import_module(module), attribute)
        except Exception as error:  # whatever a stranger's module raises
            raise InputError(f"{path}._target_: {target} can't be imported ({describe(error)})") from error
        parameters = inspect.signature(component).parameters
        ours = module.partition(".")[0] == PACKAGE
        types = hints(component) if ours or f"{module}.".startswith(TYPED) else {}
        takes = fits if ours else fits_library
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            for key in map(str, node):
                if key not in parameters and not key.startswith("_"):
                    raise InputError(f"{path}.{key}: {target} has no such setting{nearest(key, parameters)}")
        for key in map(str, node):
            if key in types and not OmegaConf.is_missing(node, key) and not takes(node[key], types[key]):
                if node[key] == {}:  # a group of which none was chosen
                    raise InputError(
                        f"{path}.{key}: left out, but {attribute} needs it; choose one, or another {path}="
                    )
                wanted = described(types[key])
                raise InputError(
                    f"{path}.{key}={'null' if node[key] is None else node[key]}: {wanted} is wanted"
                    f"{_as_number(node[key], types[key])}"
                )
    for key in map(str, node):  # what is taken from another place is looked at there, and told by its name
        if not (OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key)):
            check_targets(node[key], f"{path}.{key}" if path else str(key))


def _as_number(value: Any, hint: Any) -> str:
    """What to do about text that reads as a number: an environment's variable is text."""
    with contextlib.suppress(ValueError):
        if isinstance(value, str) and fits_library(float(value), hint):
            return "; this is text, of which ${oc.decode:...} makes a number"
    return ""
