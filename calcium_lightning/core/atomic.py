"""Files appear whole or not at all: written beside the target, then renamed."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calcium_lightning.core.errors import InputError


def check_output(target: Path, overwrite: bool) -> None:
    """Refuse a target that exists, before any work is done for it.

    Raises
    ------
    InputError
        If ``target`` exists and ``overwrite`` is false, or if its folder can't be made.
    """
    if target.exists() and not overwrite:
        raise InputError(f"{target}: exists; overwrite=true replaces it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"{target.parent}: can't be made a folder ({error.strerror})") from error


@contextmanager
def atomic_path(target: Path | str, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``target`` that is renamed to it when the block succeeds.

    Whatever ends the block early (an error, Ctrl-C) removes the temporary file or folder and leaves an
    existing target as it was.

    Raises
    ------
    InputError
        If ``target`` exists and ``overwrite`` is false.
    """
    target = Path(target)
    check_output(target, overwrite)
    # The ending stays last: writers choose their format by it.
    temporary = target.with_name(f".{target.stem}.{uuid.uuid4().hex[:8]}.tmp{target.suffix}")
    try:
        yield temporary
        if target.is_dir() and temporary.is_dir():
            shutil.rmtree(target)
        os.replace(temporary, target)
    except BaseException:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise
