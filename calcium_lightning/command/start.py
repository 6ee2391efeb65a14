"""What every entry point shares: Hydra, exit statuses, and how a command begins and ends.

For: the entry points, which are functions of a composed config.
Must not know: what any of them does; which plugins there are, and which folder a job has already, they say.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import io
import os
import select
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcium_lightning.command.config_keys import (
    choices_of,
    conf_dir,
    default_choice,
    groups_of,
    known_keys,
    refuse_hidden,
    search_in,
)
from calcium_lightning.command.failures import EXIT_FAILURE, EXIT_INTERRUPT, report
from calcium_lightning.command.interrupts import Terminated, heard
from calcium_lightning.command.job import ELSEWHERE, JobFailed, Main, Task
from calcium_lightning.command.mode import mode_of
from calcium_lightning.command.new_folder import new_folders
from calcium_lightning.command.own import find_from
from calcium_lightning.command.paths import as_typed, path_keys
from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.core.reading import raised_in, reason
from calcium_lightning.core.version import __version__

if TYPE_CHECKING:
    from omegaconf import DictConfig

ArgumentsHook = Callable[[list[str]], list[str]]


@dataclass(frozen=True)
class Parts:
    """What a command brings along from rooms that this one doesn't know.

    Attributes
    ----------
    complete : callable, optional
        May add to the arguments, before Hydra sees them, what folder the job or the sweep has already.
    plugins : callable, optional
        Makes sweepers known to Hydra.
    """

    complete: ArgumentsHook | None = None
    plugins: Callable[[], None] | None = None


#: libraries that make a config of arguments; what they can't, they say in errors of every kind
COMPOSERS = ("hydra", "omegaconf", "antlr4", "yaml")
#: command -> what it brings along
COMMANDS: dict[str, Parts] = {}


def entry_point(
    name: str,
    *,
    complete: ArgumentsHook | None = None,
    plugins: Callable[[], None] | None = None,
    elsewhere: Callable[[DictConfig], bool] | None = None,
) -> Callable[[Main], Callable[[], Any]]:
    """Turn ``main(cfg)`` into the Hydra application ``python -m calcium_lightning.<name>``.

    Exit status 0 on success, 2 on bad input or configuration (one line on stderr), 130 on Ctrl-C, 143 on
    SIGTERM, 1 on a failure of the machine (one line) or of ours (with the traceback).

    Parameters
    ----------
    name : str
        The command's name, and its config's.
    complete, plugins : callable, optional
        See :class:`Parts`.
    elsewhere : callable, optional
        Of a job's config: whether other processes do the work, and check what its components take.
    """
    COMMANDS[name] = Parts(complete, plugins)
    if elsewhere is not None:
        ELSEWHERE[name] = elsewhere

    def decorate(main: Main) -> Callable[[], None]:
        @functools.wraps(main)
        def command() -> None:
            try:
                status = run(name, main, sys.argv[1:])
            except KeyboardInterrupt:  # before signals are heard, or when they aren't any more
                print("interrupted", file=sys.stderr)
                status = EXIT_INTERRUPT
            sys.exit(status)

        return command

    return decorate


def run(name: str, main: Main, arguments: Sequence[str]) -> int:
    """Run one command with its command-line arguments and return its exit status."""
    if sys.stdout is None:  # it was closed (``>&-``): what is told goes nowhere
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
            return run(name, main, arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may hold what a terminal can't show
        sys.stdout.reconfigure(errors="backslashreplace")
    # What OpenBLAS is asked for is small; its threads spin while they wait, on cores that others need.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    came: list[int] = []
    try:
        with heard() as came:
            _dispatch(name, main, arguments)
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPT
    except Terminated as error:
        print("terminated", file=sys.stderr)
        return error.status
    except SystemExit as error:  # argparse refuses a flag with 2, as we do
        return error.code if isinstance(error.code, int) else EXIT_FAILURE
    except BrokenPipeError as error:
        return EXIT_FAILURE if leave_quietly() else report(name, error)
    except BaseException as error:
        if came:  # a library made an error of its own of the signal
            print("interrupted" if came[-1] == signal.SIGINT else "terminated", file=sys.stderr)
            return 128 + came[-1]
        return report(name, error)
    return 0


def _dispatch(name: str, main: Main, arguments: Sequence[str]) -> None:
    """Tell what there is, or do the work."""
    search_in(config_dirs(arguments))
    if "--help" in arguments or "-h" in arguments:
        from calcium_lightning.command.help import help_text

        tell(help_text(name, main.__doc__ or ""))
        return
    if "--version" in arguments:  # Hydra would tell its own
        tell(__version__)
        return
    if "-sc" in arguments or "--shell-completion" in arguments:
        from calcium_lightning.command.completion import answer

        tell(answer([name, *arguments]))
        return
    refuse_hidden()
    arguments = flags_first(arguments, name)
    sweeping = is_sweep(arguments)
    arguments = as_typed(name, arguments, sweeping)
    if (
        sweeping
        and default_choice(name, "run") == "here"
        and not any(a.startswith("run=") for a in arguments)
    ):
        arguments = [*arguments, "run=folder"]
    parts = COMMANDS.get(name, Parts())
    _register(name, parts)
    find_from(arguments)
    if parts.complete is not None:
        arguments = parts.complete(list(arguments))
    _hydra(name, main, arguments)


def is_sweep(arguments: Sequence[str]) -> bool:
    """Whether arguments ask for several jobs."""
    return any(item in ("-m", "--multirun", "hydra.mode=MULTIRUN") for item in arguments)


def _is_shown(arguments: Sequence[str]) -> bool:
    """Whether arguments ask for the config, and not for what it describes."""
    return any(item.partition("=")[0] in ("--cfg", "-c", "--info", "-i") for item in arguments)


def config_dirs(arguments: Sequence[str]) -> list[Path]:
    """The folders of config files that the user brings along (``--config-dir``)."""
    found: list[Path] = []
    for index, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in ("--config-dir", "-cd"):
            found.append(Path(value if equals else next(iter(arguments[index + 1 :]), "")).expanduser())
    return found


def tell(text: str) -> None:
    """Print what was asked for; who has read enough of it may close the pipe."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        if not leave_quietly():
            raise


def leave_quietly() -> bool:
    """If nobody reads stdout any more, send the rest nowhere: Python would complain at its end."""
    if not hasattr(select, "poll"):  # Windows
        return False
    with contextlib.suppress(io.UnsupportedOperation, ValueError):
        output = sys.stdout.fileno()
        poll = select.poll()
        poll.register(output, select.POLLOUT)
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, output)
            os.close(nowhere)
            return True
    return False


def flags_first(arguments: Sequence[str], command: str) -> list[str]:
    """Bring Hydra's flags before the overrides: its parser takes overrides on one side of a flag only.

    Raises
    ------
    InputError
        For a flag that doesn't exist, or a value that it doesn't take; for what is neither a flag nor has a
        key and a value.
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
            if not equals and not argument.startswith("~"):
                raise InputError(_without_key(argument, rest, command))
            if value == "null" and name in groups_of(command):
                raise InputError(f"{argument}: no such choice; there are {', '.join(choices_of(name))}")
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
    if "--resolve" in flags and not {"--cfg", "-c"} & {flag.partition("=")[0] for flag in flags}:
        raise InputError("--resolve: goes with --cfg, as in --cfg job --resolve")
    return flags + overrides


def _without_key(argument: str, rest: Sequence[str], command: str) -> str:
    """What is said of an argument that has no ``=``: a key whose value stands apart, or a value."""
    key = argument.lstrip("+")
    if key in known_keys(command):
        value = next(iter(rest), "VALUE")
        return f"{argument}: its value stands right after it, as in {argument}={value}"
    wanted = (field.name for field in dataclasses.fields(SCHEMAS[command]) if field.default == "???")
    needed = next((key for key in wanted if key in path_keys(command, "input")), None)
    shown = f", as in {needed}={shlex.quote(argument)}" if needed else ""
    return f"{argument}: no key; settings are typed as KEY=VALUE{shown}"


def _register(name: str, parts: Parts) -> None:
    """Make the schema of a command, and what it brings along, known to Hydra."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name=f"{name}_schema", node=SCHEMAS[name])
    if parts.plugins is not None:
        parts.plugins()


def _hydra(name: str, main: Main, arguments: Sequence[str]) -> None:
    import hydra
    from hydra.errors import HydraException

    job = Task(name, main)
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [f"calcium_lightning.{name}", *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions reach us instead of Hydra's own report
    failed: JobFailed | None = None
    try:
        with new_folders(only_shown=_is_shown(arguments)), mode_of(arguments):
            hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(job)()
    except JobFailed as failure:
        failed = failure
    except BrokenPipeError:  # whoever read what is printed has gone
        raise
    except OSError as error:  # Hydra makes the job's folder
        if error.filename is None or error.errno not in (errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
            raise
        raise InputError(f"{error.filename}: can't be made a folder ({os.strerror(error.errno)})") from error
    except Exception as error:  # a job's own come as JobFailed; told apart by where it was raised
        if raised_in(error) == "logging.config" and isinstance(error.__cause__, OSError):
            raise error.__cause__ from error  # the job's log file can't be made
        composing = raised_in(error).partition(".")[0] in COMPOSERS or isinstance(error, UnicodeDecodeError)
        if not composing or isinstance(error, HydraException):
            raise
        raise InputError(f"{name}: its arguments make no config ({reason(error)})") from error
    finally:
        sys.argv = argv
        if full_error is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error
    if failed is not None:  # out here the job's error keeps its own cause
        raise failed.__cause__ or failed
