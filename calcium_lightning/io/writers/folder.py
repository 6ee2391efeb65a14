"""Exports that are a folder of files: whole or not at all, and never in place of anybody else's files.

Knows paths only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from calcium_lightning.core.atomic import atomic_path, check_output
from calcium_lightning.core.errors import InputError


@contextmanager
def export_folder(target: Path, ours: tuple[str, ...], overwrite: bool) -> Iterator[Path]:
    """Give an empty folder that becomes ``target`` when the block succeeds.

    Parameters
    ----------
    target : Path
        The folder to make.
    ours : tuple of str
        Names of what such an export holds, ``*`` for any letters: a folder of these may be replaced.
    overwrite : bool
        Replace an existing one.

    Raises
    ------
    InputError
        If the target exists, or is a folder that holds anything else (which overwriting would remove).
    """
    check_output(target, overwrite, folder=True)
    if target.is_dir():
        entries = sorted(entry.name for entry in target.iterdir())
        foreign = [name for name in entries if not any(fnmatch(name, mine) for mine in ours)]
        if foreign:
            raise InputError(f"{target}: holds other files ({foreign[0]}); give a folder of its own")
    elif target.exists():
        raise InputError(f"{target}: is a file; a folder can't replace it")
    with atomic_path(target, overwrite, folder=True) as folder:
        folder.mkdir()
        yield folder
