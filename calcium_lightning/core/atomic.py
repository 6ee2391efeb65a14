"""Files appear whole or not at all: written beside the target, then renamed.

For: every file that the package writes. A target that can't be, or that must not be, is refused before work
begins: no folder to write in, a name too long, no regular file, something that the command reads.
Must not know: what is written.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.temporaries import sweep, temporary_name

#: what the running command reads, by device and inode: nothing is written over it, whatever its name
_INPUTS: ContextVar[dict[tuple[int, int], Path] | None] = ContextVar("inputs", default=None)
#: files -> size, time of the last change
State = Mapping[Path, tuple[int, int]]
#: what the running command must find unchanged, with its state at the beginning
_STEADY: ContextVar[Mapping[Path, Mapping[Path, tuple[int, int]]]] = ContextVar(
    "steady", default=MappingProxyType({})
)
#: what this process has written
_MADE: set[Path] = set()
#: of a path of the user's, and not of the machine: told as bad input
USERS = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.EINVAL,
    }
)
#: of the machine: a full disk, a broken one, no memory
MACHINES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOMEM, errno.EMFILE})
APPEARED = "{}: has appeared meanwhile, and is kept; overwrite=true replaces it"
#: what NumPy says of an array for which there was no room
SHORT = re.compile(r"\d+ requested and \d+ written")
#: bytes that a file system has at least, or it is full
PROBE = b"\0" * 4096


@contextmanager
def guarding(paths: Iterable[Path] = ()) -> Iterator[None]:
    """Within the block no output may be one of these files, also by another name or a link."""
    token = _INPUTS.set({})
    try:
        guard(paths)
        yield
    finally:
        _INPUTS.reset(token)


def guard(paths: Iterable[Path]) -> None:
    """Add to the files that the block of :func:`guarding` protects; nothing outside of one."""
    inputs = _INPUTS.get()
    if inputs is None:
        return
    for path in paths:
        try:
            found = path.stat()
        except (OSError, ValueError):  # the command itself says best what is wrong with it
            continue
        if not stat.S_ISDIR(found.st_mode):
            inputs[found.st_dev, found.st_ino] = path


@contextmanager
def steady(paths: Iterable[Path]) -> Iterator[None]:
    """Within the block nothing is made of these files if they change meanwhile; of folders, any file in them.

    A recording that is still written, or copied, would give a result of neither its old state nor its new.

    Raises
    ------
    InputError
        In place of the last step of :func:`atomic_path`, naming the file.
    """
    outer = _STEADY.get()
    token = _STEADY.set({**outer, **{path: _state(path) for path in paths}})
    try:
        yield
    finally:
        _STEADY.reset(token)


def check_steady() -> None:
    """Refuse to go on if what is read has changed since :func:`steady` began.

    Raises
    ------
    InputError
        Naming the file.
    """
    for path, before in _STEADY.get().items():
        now = _state(path)
        if now != before:
            changed = next((name for name in [*before, *now] if before.get(name) != now.get(name)), path)
            if changed not in now:
                raise InputError(f"{changed}: went away while it was read; is its disk, or network, there?")
            raise InputError(f"{changed}: changed while it was read; wait until it is whole, and run again")


def _state(path: Path) -> State:
    """Size and time of the last change of a file, or of all files in a folder that aren't hidden."""
    found: dict[Path, tuple[int, int]] = {}
    files = [path]
    if path.is_dir():
        files = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    for file in files:
        with suppress(OSError):
            state = file.stat()
            if not file.name.startswith(".") and not _is_made(file):
                found[file] = state.st_size, state.st_mtime_ns
    return found


def _is_made(file: Path) -> bool:
    """Whether a file is one that the running command has written: into the folder that it reads, perhaps."""
    return file.resolve() in _MADE


def check_output(target: Path, overwrite: bool, folder: bool = False) -> None:
    """Refuse a target that can't or must not be written, before any work is done for it.

    Dead temporaries of the same target are removed on the way.

    Parameters
    ----------
    target : Path
        The file, or folder, to be made.
    overwrite : bool
        An existing one may be replaced.
    folder : bool
        A folder is meant.

    Raises
    ------
    InputError
        If ``target`` exists and ``overwrite`` is false; if it is an input of the running command, or neither
        a regular file nor (where a folder is meant) a folder; if it can't be made where it should be.
    OSError
        If the disk is full.
    """
    if "\0" in str(target):
        raise InputError(f"{str(target)!r}: no file can be named so")
    try:
        found = target.stat()
    except (FileNotFoundError, NotADirectoryError):
        found = None
    except OSError as error:
        raise _refused(target, error) from error
    if found is not None:
        inputs = _INPUTS.get() or {}
        if (found.st_dev, found.st_ino) in inputs:
            raise InputError(
                f"{target}: is an input of this command ({inputs[found.st_dev, found.st_ino]}); "
                "give it another output"
            )
        if stat.S_ISDIR(found.st_mode) and not folder:
            raise InputError(f"{target}: is a folder; a file is to be written")
        if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
            raise InputError(f"{target}: is no regular file; give a file that can be replaced")
        if folder and not stat.S_ISDIR(found.st_mode):
            raise InputError(f"{target}: is a file; a folder is to be written")
        if not overwrite:
            raise InputError(f"{target}: exists; overwrite=true replaces it")
    _probe(target)


def _probe(target: Path) -> None:
    """Try to make a file where the target's temporary will be; folders that aren't there yet stay unmade."""
    if target.name in ("", ".."):
        raise InputError(f"{target}: other things are in this folder; give a new one for the output")
    try:
        place = target.parent
        while not place.exists():
            if os.path.lexists(place):
                raise InputError(f"{place}: a link to nothing; can't be made a folder")
            _check_name(place.parent, place.name)
            place = place.parent
        if not place.is_dir():
            raise InputError(f"{place}: can't be made a folder (a file of that name is there)")
        _check_name(place, target.name)
        sweep(target)
        probe = temporary_name(place / target.name)
        try:
            probe.write_bytes(PROBE)
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(target, error) from error


def _check_name(folder: Path, name: str) -> None:
    while not folder.exists():
        folder = folder.parent
    longest = os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    if len(os.fsencode(name)) > longest:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))


def _refused(target: Path, error: OSError) -> InputError | OSError:
    """The user's mistake in one line; a failure of the machine as it is."""
    if error.errno not in MACHINES:
        return InputError(f"{_short(target)}: can't be written ({error.strerror})")
    return OSError(error.errno, error.strerror, str(target.parent.absolute()))


def _short(target: Path) -> str:
    text = str(target)
    return text if len(text) <= 300 else f"{text[:140]}...{text[-140:]}"


@contextmanager
def atomic_path(target: Path | str, overwrite: bool = False, folder: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``target`` that is renamed to it when the block succeeds.

    Whatever ends the block early (an error, Ctrl-C, SIGTERM) removes the temporary file or folder and leaves
    an existing target as it was. Without ``overwrite`` nothing is replaced, not even what appeared meanwhile.

    Parameters
    ----------
    target, overwrite, folder
        As for :func:`check_output`.

    Raises
    ------
    InputError
        As :func:`check_output`; also at the end, if something has appeared at ``target`` meanwhile.
    """
    target = Path(target)
    check_output(target, overwrite, folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(target, error) from error
    temporary = temporary_name(target)
    try:
        yield temporary
        check_steady()
        _MADE.add(target.resolve())
        _rename(temporary, target, overwrite)
    except BaseException as error:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and (number := _of_machine(error, temporary)) is not None:
            words, where = error.strerror or os.strerror(number), str(target.parent.absolute())
            raise OSError(number, words, where) from error
        raise


def _of_machine(error: OSError, temporary: Path) -> int | None:
    """The number of a failure of the machine that names no file, or none that the user knows."""
    if error.errno is None and SHORT.fullmatch(str(error)):
        return errno.ENOSPC
    if isinstance(error, FileNotFoundError) and temporary.name in str(error.filename):
        return errno.ESTALE  # with its folder: a network's that is there no more
    unknown = error.filename is None or temporary.name in str(error.filename)
    return error.errno if error.errno in MACHINES and unknown else None


def _rename(temporary: Path, target: Path, overwrite: bool) -> None:
    if temporary.is_dir():
        if overwrite and target.is_dir():
            target = target.resolve()
            shutil.rmtree(target)
        try:
            os.rename(temporary, target)  # never onto a folder that holds anything
        except OSError as error:
            if not os.path.lexists(target):
                raise
            raise InputError(APPEARED.format(target)) from error
    elif overwrite:
        os.replace(temporary, target)
    else:
        try:
            os.link(temporary, target)
        except FileExistsError as error:
            raise InputError(APPEARED.format(target)) from error
        except OSError:  # a file system without links
            if os.path.lexists(target):
                raise InputError(APPEARED.format(target)) from None
            os.rename(temporary, target)
        else:
            temporary.unlink()
