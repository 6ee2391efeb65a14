"""What the user is told of a failure: one line where the reason is known, and the exit status.

Knows errors of ours, Hydra's and the machine's; knows nothing of commands.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from dataclasses import dataclass

from calcium_lightning.command.config_keys import choices_of, no_such_key
from calcium_lightning.core.atomic import USERS
from calcium_lightning.core.errors import InputError, ProcessFailed, nearest
from calcium_lightning.core.reading import raised_in

EXIT_INPUT, EXIT_FAILURE, EXIT_INTERRUPT = 2, 1, 130
#: characters of a line of error
LONGEST = 2000
#: what Torch says in a RuntimeError where it gets no memory
OUT_OF_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|CUDA out of memory|CUDA error: out of memory"
)
#: where Hydra makes a component of its settings, and refuses some with errors of every kind
INSTANTIATE = "hydra._internal.instantiate"
#: Hydra's plugins that are extras of ours: config group -> choice -> extra
PLUGINS = {
    "hydra/launcher": {
        "joblib": "joblib",
        "submitit_local": "slurm",
        "submitit_slurm": "slurm",
        "ray": "ray",
    }
}


@dataclass(frozen=True)
class Failure:
    """How a command or a job failed, in a form that crosses processes and machines.

    Attributes
    ----------
    message : str
        One line: what, where, what to do.
    status : int
        The exit status for it.
    explained : bool
        The line says all; otherwise the fault is ours, and the traceback is wanted.
    """

    message: str
    status: int
    explained: bool = True


class BatchFailed(Exception):
    """Some sessions of a batch or jobs of a sweep failed, the others ran; each has a line in the message.

    Attributes
    ----------
    status : int
        The exit status: bad input if nothing else was the reason.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def diagnose(name: str, error: BaseException) -> Failure:
    """Say what went wrong in the command ``name``, in one line."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    explained = True
    # Hydra wraps what a component says of its settings in lines about itself.
    if isinstance(error, HydraException) and isinstance(error.__cause__, InputError):
        error = error.__cause__
    if isinstance(error, InputError):
        message, status = str(error), EXIT_INPUT
    elif isinstance(error, HydraException | OmegaConfBaseException) or raised_in(error).startswith(
        INSTANTIATE
    ):
        message, status = _config_message(name, error), EXIT_INPUT
    elif isinstance(error, ProcessFailed):
        message, status = str(error), EXIT_FAILURE
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        message = f"{error.filename or 'output'}: {os.strerror(error.errno)}; free some space and run again"
        status = EXIT_FAILURE
    elif isinstance(error, OSError) and error.filename and error.errno in USERS:
        message, status = f"{error.filename}: {os.strerror(error.errno)}", EXIT_INPUT
    elif isinstance(error, OSError) and error.filename and error.errno in (errno.EIO, errno.ESTALE):
        message = f"{error.filename}: {os.strerror(error.errno)}; is the disk, or the network, all right?"
        status = EXIT_FAILURE
    elif isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error))
    ):
        message, status = "out of memory; a smaller batch, crop or network needs less", EXIT_FAILURE
    else:
        message, status, explained = f"{type(error).__name__}: {error}", EXIT_FAILURE, False
    return Failure(_short(" ".join(message.split())), status, explained)


def _short(line: str) -> str:
    """A line that a terminal can show, whatever was in the file that it tells of."""
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"


def report(name: str, error: BaseException) -> int:
    """Tell the user what went wrong, and give the exit status for it."""
    if isinstance(error, BatchFailed):
        print(f"error: {error}", file=sys.stderr)
        return error.status
    failure = diagnose(name, error)
    if failure.explained:
        print(f"error: {failure.message}", file=sys.stderr)
    else:
        traceback.print_exception(error)
    return failure.status


def _config_message(name: str, error: BaseException) -> str:
    """Hydra's and OmegaConf's errors in one line, with the nearest valid name."""
    text = str(error)
    cause = error.__cause__
    if group := re.search(r"Could not find '([\w/.-]+)'", text):
        folder, _, choice = group[1].rpartition("/")
        if extra := PLUGINS.get(folder, {}).get(choice):
            return f"{group[1]}: not installed; pip install 'calcium-lightning[{extra}]'"
        if folder and not folder.startswith("hydra/"):  # choices may be in folders of their own
            folder, _, choice = group[1].partition("/")
        options = choices_of(folder)
        known = f"there are {', '.join(options)}{nearest(choice, options)}"
        return f"{folder or 'config'}={choice}: no such choice; {known}"
    if override := re.search(
        r"Could not (?:override|append to config).*?'?([\w./@]+)'?\.?\s*\n", text + "\n"
    ):
        key = re.search(r"override '([^']+)'", text)
        unknown = key[1] if key else override[1]
        missing = re.search(r"Key '(\w+)' (?:is )?not in", text + str(cause))
        if missing:
            return no_such_key(unknown, name)
    if missing := re.search(r"Key '(\w+)' (?:is )?not in", text + str(cause)):
        return no_such_key(missing[1], name)
    lines = [line.strip() for line in (text + (f"\n{cause}" if cause else "")).splitlines() if line.strip()]
    return "; ".join(
        line
        for line in dict.fromkeys(lines)
        if not line.startswith(("full_key:", "object_type", "reference_type"))
    )
