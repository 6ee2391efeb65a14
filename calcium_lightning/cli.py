"""What every entry point shares: Hydra, exit statuses, help, and one clear line for a mistake.

An entry point is a function of a composed config. This module knows how commands begin and end, and nothing
of what they do.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import importlib
import inspect
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from calcium_lightning.config import SCHEMAS
from calcium_lightning.errors import InputError, ProcessFailed, nearest

EXIT_INPUT, EXIT_FAILURE, EXIT_INTERRUPT = 2, 1, 130
Main = Callable[[DictConfig], Any]
Settle = Callable[[list[str]], list[str]]
#: commands whose jobs go on in the folder that they have already: what adds it to their arguments
SETTLE: dict[str, Settle] = {}


def conf_dir() -> Path:
    """Folder of the YAML files: inside an installed package, beside the package in a checkout."""
    here = Path(__file__).resolve().parent
    installed = here / "conf"
    return installed if installed.is_dir() else here.parent / "conf"


def entry_point(name: str, settle: Settle | None = None) -> Callable[[Main], Callable[[], Any]]:
    """Turn ``main(cfg)`` into the Hydra application ``python -m calcium_lightning.<name>``.

    ``settle`` may add to the arguments, before Hydra sees them, which folder the job or the sweep has already.

    Exit status 0 on success, 2 on bad input or configuration (one line on stderr), 130 on Ctrl-C, 1 on a
    failure of the machine (one line) or of ours (with the traceback).
    """

    if settle is not None:
        SETTLE[name] = settle

    def decorate(main: Main) -> Callable[[], None]:
        @functools.wraps(main)
        def command() -> None:
            sys.exit(run(name, main, sys.argv[1:]))

        return command

    return decorate


def run(name: str, main: Main, arguments: Sequence[str]) -> int:
    """Run one command with its command-line arguments and return its exit status."""
    if "--help" in arguments or "-h" in arguments:
        print(help_text(name, main.__doc__ or ""))
        return 0
    try:
        arguments = flags_first(arguments)
    except InputError as error:
        return report(name, error)
    try:
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    except ValueError:  # not the main thread: signals are somebody else's
        previous = None
    try:
        if name in SETTLE:
            arguments = SETTLE[name](list(arguments))
        _hydra(name, main, arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPT
    except SystemExit as error:  # argparse refuses a flag with 2, as we do
        return error.code if isinstance(error.code, int) else EXIT_FAILURE
    except BaseException as error:
        return report(name, error)
    finally:
        if previous is not None:
            signal.signal(signal.SIGINT, previous)
    return 0


def flags_first(arguments: Sequence[str]) -> list[str]:
    """Bring Hydra's flags before the overrides: its parser takes overrides on one side of a flag only.

    Raises
    ------
    InputError
        For a flag that doesn't exist, or a value that it doesn't take.
    """
    from hydra._internal.utils import get_args_parser

    known = get_args_parser()._option_string_actions
    flags: list[str] = []
    overrides: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.partition("=")
        if not argument.startswith("-"):
            overrides.append(argument)
            continue
        if name not in known:
            raise InputError(f"{name}: no such flag{nearest(name, known)}")
        flags.append(argument)
        action = known[name]
        values = [value] if equals else rest[:1] if action.nargs is None else []
        if action.nargs == "?" and not equals and rest and rest[0] in (action.choices or ()):
            values = rest[:1]
        if action.nargs is None and (not values or (action.choices and values[0] not in action.choices)):
            choices = " | ".join(action.choices) if action.choices else action.dest.upper()
            raise InputError(f"{' '.join([name, *values])}: the flag takes {choices}")
        if not equals:
            flags += values
            del rest[: len(values)]
    return flags + overrides


class _JobFailed(BaseException):
    """Carries a job's error past Hydra, which would print its own lines for an ``Exception``."""


def _hydra(name: str, main: Main, arguments: Sequence[str]) -> None:
    import hydra
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    for command, schema in SCHEMAS.items():
        store.store(name=f"{command}_schema", node=schema)

    def job(cfg: DictConfig) -> Any:
        try:
            logging.captureWarnings(
                True
            )  # warnings go to the job's log file; stderr is for the user's one line
            check_keys(cfg, name)
            check_complete(cfg)
            check_targets(cfg)
            return main(cfg)
        except Exception as error:
            raise _JobFailed from error

    job.__module__ = f"calcium_lightning.{name}"  # Hydra names the job, its folder and its log by it
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [f"calcium_lightning.{name}", *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions reach us instead of Hydra's own report
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(job)()
    except _JobFailed as failure:
        raise failure.__cause__ or failure from None
    finally:
        sys.argv = argv
        if full_error is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error


def report(name: str, error: BaseException) -> int:
    """Tell the user what went wrong, and give the exit status for it."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, InputError):
        message, status = str(error), EXIT_INPUT
    elif isinstance(error, HydraException | OmegaConfBaseException):
        message, status = _config_message(name, error), EXIT_INPUT
    elif isinstance(error, ProcessFailed):
        message, status = str(error), EXIT_FAILURE
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        message, status = (
            f"{error.filename or 'output'}: {os.strerror(error.errno)}; free some space and run again",
            1,
        )
    elif isinstance(error, MemoryError):
        message, status = "out of memory; a smaller batch or chunk needs less", EXIT_FAILURE
    else:
        traceback.print_exception(error)
        return EXIT_FAILURE
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return status


def _config_message(name: str, error: BaseException) -> str:
    """Hydra's and OmegaConf's errors in one line, with the nearest valid name."""
    text = str(error)
    cause = error.__cause__
    if group := re.search(r"Could not find '([\w/.-]+)'", text):
        folder, _, choice = group[1].rpartition("/")
        options = sorted(path.stem for path in (conf_dir() / folder).glob("*.yaml"))
        known = f"there are {', '.join(options)}{nearest(choice, options)}"
        return f"{folder or 'config'}={choice}: no such choice; {known}"
    if override := re.search(
        r"Could not (?:override|append to config).*?'?([\w./@]+)'?\.?\s*\n", text + "\n"
    ):
        key = re.search(r"override '([^']+)'", text)
        unknown = key[1] if key else override[1]
        missing = re.search(r"Key '(\w+)' (?:is )?not in", text + str(cause))
        if missing:
            return f"{unknown}: no such key{nearest(unknown, known_keys(name))}"
    if missing := re.search(r"Key '(\w+)' (?:is )?not in", text + str(cause)):
        return f"{missing[1]}: no such key{nearest(missing[1], known_keys(name))}"
    lines = [line.strip() for line in (text + (f"\n{cause}" if cause else "")).splitlines() if line.strip()]
    return "; ".join(
        line
        for line in dict.fromkeys(lines)
        if not line.startswith(("full_key:", "object_type", "reference_type"))
    )


def known_keys(name: str) -> list[str]:
    """Every key that the command accepts, dotted, and its config groups."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    keys = [field.name for field in dataclasses.fields(SCHEMAS[name])] if name in SCHEMAS else []
    keys += [path.name for path in conf_dir().iterdir() if path.is_dir()]
    try:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            keys += list(_dotted(compose(name)))
    except Exception:  # the suggestion is a courtesy: without a composed config the schema's keys must do
        logging.getLogger(__name__).debug("no config for suggestions", exc_info=True)
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
            raise InputError(f"{unknown[0]}: no such key{nearest(unknown[0], known_keys(name))}")


def _typed(cfg: DictConfig, schema: Any, prefix: str = "") -> Iterator[tuple[str, Any, DictConfig]]:
    """A config and those parts of it that have a schema of their own."""
    yield prefix, schema, cfg
    for field in dataclasses.fields(schema):
        inner = field.default_factory
        if dataclasses.is_dataclass(inner) and isinstance(cfg.get(field.name), DictConfig):
            yield from _typed(cfg[field.name], inner, f"{prefix}{field.name}.")


def check_complete(cfg: DictConfig) -> None:
    """Refuse a config with mandatory values missing, naming them."""
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise InputError(f"missing {', '.join(f'{key}=' for key in missing)}; --help explains the keys")


def check_targets(node: Any, path: str = "") -> None:
    """Refuse keys that a component's ``_target_`` doesn't take, with the nearest name that it does.

    Raises
    ------
    InputError
        For an unknown key, or a ``_target_`` that doesn't exist.
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
        except (ImportError, AttributeError, ValueError) as error:
            raise InputError(f"{path}._target_: {target} can't be imported ({error})") from error
        parameters = inspect.signature(component).parameters
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            for key in map(str, node):
                if key not in parameters and not key.startswith("_"):
                    raise InputError(f"{path}.{key}: {target} has no such setting{nearest(key, parameters)}")
    for key in map(str, node):
        if not OmegaConf.is_missing(node, key):
            check_targets(node[key], f"{path}.{key}" if path else str(key))


def as_paths(value: Any) -> list[Path]:
    """One path or a list of paths, as a list; relative ones are relative to the folder the user stands in."""
    values = list(value) if isinstance(value, list | tuple | ListConfig) else [value]
    if any(item is None or not str(item).strip() for item in values):
        raise InputError("an empty path; give one, or a list [A.h5,B.h5]")
    return [Path(str(item)).expanduser() for item in values]


def run_folder() -> Path:
    """The folder of the running job (``hydra.run.dir``, or its place in a sweep)."""
    from hydra.core.hydra_config import HydraConfig

    return Path(HydraConfig.get().runtime.output_dir)


def output_paths(inputs: Sequence[Path], output: Any, suffix: str) -> list[Path]:
    """Where each input's result goes.

    Parameters
    ----------
    inputs : sequence of Path
        One or several inputs.
    output : str, Path or None
        A file for one input, a folder for several; ``None`` is the run's folder.
    suffix : str
        Ending of the results, such as ``".h5"`` or ``".cells.h5"``.
    """
    if not inputs:
        raise InputError("an empty list of inputs; give a path, or a list [A.h5,B.h5]")
    if output is not None and len(inputs) == 1:
        path = Path(str(output)).expanduser()
        if not path.is_dir():
            return [path]
        return [path / f"{inputs[0].stem}{suffix}"]
    folder = run_folder() if output is None else Path(str(output)).expanduser()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output={folder}: with several inputs the output is a folder, and this is a file")
    paths = [folder / f"{path.stem}{suffix}" for path in inputs]
    twice = sorted({path.name for path in paths if paths.count(path) > 1})
    if twice:
        raise InputError(f"output={folder}: two inputs would be written to {twice[0]}; run them one by one")
    return paths


def help_text(name: str, description: str) -> str:
    """What ``--help`` prints: the purpose, the keys with units and defaults, and the groups."""
    lines = [f"python -m calcium_lightning.{name} key=value ...", "", inspect.cleandoc(description), ""]
    schema = SCHEMAS.get(name)
    if schema is not None:
        lines.append("Keys:")
        for field in dataclasses.fields(schema):
            default = field.default if field.default is not dataclasses.MISSING else None
            if field.default_factory is not dataclasses.MISSING:
                default = None
            shown = (
                "required"
                if default == "???"
                else ""
                if default is None
                else f"default: {str(default).lower() if isinstance(default, bool) else default}"
            )
            text = field.metadata.get("help", "")
            lines.append(f"  {field.name + '=':<22}{text}{f' ({shown})' if shown else ''}")
    groups = _groups(name)
    if groups:
        lines += ["", "Choices (group=choice; keys inside as group.key=value):"]
        lines += [f"  {group + '=':<22}{' | '.join(choices)}" for group, choices in groups.items()]
    lines += [
        "",
        "--cfg job prints the composed config, -m runs every combination of comma-separated values,",
        "--hydra-help tells the rest.",
        "Paths with spaces, commas or '=': quote them twice, as in 'session=\"my, file=1.h5\"'.",
    ]
    return "\n".join(lines)


def _groups(name: str) -> dict[str, list[str]]:
    """The config groups that a command's YAML mentions, with their choices."""
    path = conf_dir() / f"{name}.yaml"
    if not path.is_file():
        return {}
    raw = OmegaConf.load(path)
    groups: dict[str, list[str]] = {}
    defaults = raw.get("defaults", []) if isinstance(raw, DictConfig) else []
    for item in defaults:
        if isinstance(item, DictConfig):
            group = (
                str(next(iter(item)))
                .replace("optional ", "")
                .replace("override ", "")
                .split("@")[0]
                .strip("/")
            )
            choices = sorted(file.stem for file in (conf_dir() / group).glob("*.yaml"))
            if choices and group != "run":
                groups[group] = choices
    return groups
