"""Whose fault an error is that comes while a file is read: the file's, the machine's, or ours.

For: one guard around every reader of files. What a library makes of a file that it can't make sense of is
told as bad input. Errors of our own code stay what they are, since a damaged file mustn't hide a bug, but
where a block does nothing else than make sense of what a stranger's file says.
Must not know: any format.
"""

from __future__ import annotations

import errno
import os
import stat
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calcium_lightning.core.atomic import MACHINES, USERS
from calcium_lightning.core.errors import InputError, nearest

PACKAGE = __name__.partition(".")[0]
#: characters of a library's own words that are passed on
LONGEST = 300
#: what NumPy raises where an array's file isn't one, or isn't whole
NO_ARRAY = (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError)
ADVICE = "the file is damaged or was cut off: copy it again, or make it anew"
#: what our own code raises on values that it wasn't made for: a size of 0, text in place of a list
VALUES = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, StopIteration, RecursionError)


@contextmanager
def reading(path: Path | str, part: str = "", advice: str = ADVICE, parsing: bool = False) -> Iterator[None]:
    """Within the block, tell a library's failure as the fault of the file that it reads.

    Parameters
    ----------
    path : path-like
        The file, as messages name it.
    part : str
        What of it: frames, a dataset.
    advice : str
        What its user can do.
    parsing : bool
        Whether the block only takes the file apart: what our own code then stumbles over (:data:`VALUES`)
        is a value of the file's. The traceback is that of the error's cause.

    Raises
    ------
    InputError
        In place of any error that a library has made; see :func:`is_foreign`. Before the block, for a pipe.
    OSError
        Of the machine (a broken disk, too many open files), with the file's name.
    """
    check_regular(path)
    try:
        yield
    except (InputError, MemoryError):
        raise
    except OSError as error:
        raise _of_system(path, part, advice, error) from error
    except Exception as error:  # told apart by where it was raised
        if is_foreign(error):
            raise _unreadable(path, part, advice, reason(error)) from error
        if not (parsing and isinstance(error, VALUES)):
            raise
        raise _unreadable(path, part, advice, f"{type(error).__name__}: {reason(error)}") from error


def not_there(path: Path, noun: str = "file or folder") -> str:
    """Why there is nothing at a path, in words: a link that leads nowhere, or a name like that of others."""
    if path.is_symlink():
        return f"a link to {path.readlink()}, which isn't there"
    siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"no such {noun}{nearest(path.name, siblings)}"


def check_regular(path: Path | str) -> None:
    """Refuse a pipe, a socket or a device, which might never end; what isn't there is told elsewhere.

    Raises
    ------
    InputError
        Naming it.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{path}: no regular file; take it away")


def check_no_pipe(path: Path) -> None:
    """As :func:`check_regular`, in a folder too, at any depth.

    Raises
    ------
    InputError
        Naming the first.
    """
    check_regular(path)
    for folder, _, _ in os.walk(path):
        with os.scandir(folder) as entries:
            for entry in entries:
                if not (entry.is_dir() or entry.is_file()):  # a link to nothing isn't there
                    check_regular(entry.path)


def is_foreign(error: BaseException) -> bool:
    """Whether a library has made an error: by its class, or by the code that raised it.

    Functions of C leave no trace: what ``int`` or NumPy's own operators raise counts as the caller's.

    Examples
    --------
    >>> import json
    >>> try:
    ...     json.loads("{")
    ... except ValueError as error:
    ...     is_foreign(error)
    True
    >>> is_foreign(KeyError("raised by nobody"))
    False
    """
    if isinstance(error, UnicodeError | EOFError):  # of text and streams, which only files are here
        return True
    kind = type(error).__module__
    if kind != "builtins" and not _is_ours(kind):
        return True
    module = raised_in(error)
    return bool(module) and not _is_ours(module)


def raised_in(error: BaseException) -> str:
    """The module whose code raised an error; empty where nothing tells."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return str(trace.tb_frame.f_globals.get("__name__", ""))


def reason(error: BaseException) -> str:
    """A library's words on one line, and not too many."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _unreadable(path: Path | str, part: str, advice: str, why: str) -> InputError:
    return InputError(f"{path}: {f'{part} ' if part else ''}can't be read ({why}); {advice}")


def _of_system(path: Path | str, part: str, advice: str, error: OSError) -> Exception:
    if error.errno in MACHINES:
        return OSError(error.errno, os.strerror(error.errno), error.filename or str(path))
    if error.errno in USERS - {errno.EINVAL} | {errno.ENOENT}:
        return InputError(f"{error.filename or path}: {os.strerror(error.errno or 0)}")
    return _unreadable(path, part, advice, reason(error))


def _is_ours(module: str) -> bool:
    return module == PACKAGE or module.startswith(f"{PACKAGE}.")
