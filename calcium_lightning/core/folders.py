"""A walk through folders that comes to an end: whoever names ``/`` by mistake isn't left waiting.

For: whatever looks for files anywhere below a folder that the user has named.
Must not know: what is looked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from calcium_lightning.core.errors import InputError

#: folders that are looked into: more hold no one's runs or sessions, but a whole disk
MOST_FOLDERS = 20_000


def walk(root: Path, followlinks: bool = False) -> Iterator[tuple[str, list[str], list[str]]]:
    """As :func:`os.walk`, from the top down.

    Raises
    ------
    InputError
        After :data:`MOST_FOLDERS` folders.
    """
    for count, found in enumerate(os.walk(root, followlinks=followlinks)):
        if count == MOST_FOLDERS:
            raise InputError(
                f"{root}: more than {MOST_FOLDERS} folders are in it; name the one that is meant"
            )
        yield found


def check_folder(key: str, path: Path) -> None:
    """Refuse the root of the file system, which is nobody's recording.

    Raises
    ------
    InputError
        Naming the key.
    """
    if path.is_dir() and path.resolve() == Path(path.resolve().anchor):
        raise InputError(
            f"{key}={path}: is the root of the file system; name the file or folder that is meant"
        )
