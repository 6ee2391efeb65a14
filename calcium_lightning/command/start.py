"""What every entry point shares: Hydra, exit statuses, help, and one clear line for a mistake.

An entry point is a function of a composed config. This module knows how commands begin and end, and nothing
of what they do.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from calcium_lightning.command.failures import EXIT_FAILURE, EXIT_INTERRUPT, report
from calcium_lightning.command.interrupts import heard
from calcium_lightning.command.job import JobFailed, Main, Task
from calcium_lightning.command.keys import conf_dir
from calcium_lightning.command.own import find_from
from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.core.errors import InputError, nearest

Settle = Callable[[list[str]], list[str]]
#: commands whose jobs go on in the folder that they have already: what adds it to their arguments
SETTLE: dict[str, Settle] = {}


def entry_point(name: str, settle: Settle | None = None) -> Callable[[Main], Callable[[], Any]]:
    """Turn ``main(cfg)`` into the Hydra application ``python -m calcium_lightning.<name>``.

    ``settle`` may add to the arguments, before Hydra sees them, what folder the job or the sweep has already.

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
        with heard():
            _register()
            find_from(arguments)
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


def _register() -> None:
    """Make our schemas and sweepers known to Hydra."""
    from hydra.core.config_store import ConfigStore

    from calcium_lightning.sweeps.plugins import register

    store = ConfigStore.instance()
    for command, schema in SCHEMAS.items():
        store.store(name=f"{command}_schema", node=schema)
    register()


def _hydra(name: str, main: Main, arguments: Sequence[str]) -> None:
    import hydra

    job = Task(name, main)
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [f"calcium_lightning.{name}", *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions reach us instead of Hydra's own report
    failed: JobFailed | None = None
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(job)()
    except JobFailed as failure:
        failed = failure
    finally:
        sys.argv = argv
        if full_error is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error
    if failed is not None:  # out here the job's error keeps its own cause
        raise failed.__cause__ or failed


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
        A file for one input, a folder for several (or for one, with a slash at its end); ``None`` is the
        run's folder.
    suffix : str
        Ending of the results, such as ``".h5"`` or ``".cells.h5"``.
    """
    if not inputs:
        raise InputError("an empty list of inputs; give a path, or a list [A.h5,B.h5]")
    if output is not None and len(inputs) == 1:
        path = Path(str(output)).expanduser()
        if not path.is_dir() and not str(output).endswith("/"):
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
