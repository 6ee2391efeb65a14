"""Places for locks that several processes, or several users of a machine, must agree on.

The temporary folder is everybody's: what is made there may be somebody else's already, or a trap.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from calcium_lightning.core import system
from calcium_lightning.core.errors import InputError


def own_folder(name: str) -> Path:
    """A folder for the locks of one user: in the temporary folder, or in the user's cache if that is taken.

    Raises
    ------
    InputError
        If neither can be used.
    """
    from platformdirs import user_cache_path

    user = os.getuid() if hasattr(os, "getuid") else 0
    places = (Path(tempfile.gettempdir()) / f"{name}-{user}", user_cache_path(name) / "locks")
    for place in places:
        with contextlib.suppress(OSError):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            state = place.lstat()
            if stat.S_ISDIR(state.st_mode) and system.is_own(state) and os.access(place, os.W_OK):
                return place
    raise InputError(f"{places[0]}: belongs to somebody else; set TMPDIR to a folder of your own")


def shared_folder(name: str) -> Path:
    """A folder of the temporary one for the locks of all users.

    Raises
    ------
    InputError
        If it can't be used.
    """
    place = Path(tempfile.gettempdir()) / name
    try:
        place.mkdir(exist_ok=True)
        if system.is_own(place.lstat()):
            place.chmod(0o1777)
    except OSError as error:
        raise InputError(f"{place}: {error.strerror}; set TMPDIR to another folder") from error
    return place


def open_shared(path: Path) -> int:
    """Open a file that all users may lock, and make it where it is missing; the descriptor.

    A file of somebody else in a folder of all mustn't be opened with the wish to make it: Linux refuses.

    Raises
    ------
    InputError
        If it can't be opened.
    """
    try:
        for flags in (os.O_RDWR, os.O_RDONLY):
            with contextlib.suppress(FileNotFoundError, PermissionError):
                return os.open(path, flags | system.NO_LINK)
        made = os.open(path, os.O_RDWR | os.O_CREAT | system.NO_LINK, 0o666)
        if hasattr(os, "fchmod"):
            os.fchmod(made, 0o666)  # whatever the umask says
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; set TMPDIR to another folder") from error
    return made
