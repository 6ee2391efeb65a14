"""What a file's content is, in 64 letters; remembered for big files that haven't changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.errors import InputError

#: smaller files, bytes, are read faster than it takes to remember them
LEAST = 1 << 25
#: a file that was written so many seconds ago may be written again without its time stamp telling
SETTLED_S = 5.0


def sha256_of(path: Path | str, least: int = LEAST) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    A sweep asks for that of the same recordings again and again, so it is kept in the user's cache folder,
    by path, size and time of the last change.

    Parameters
    ----------
    path : path-like
        The file.
    least : int
        Bytes from which on it is remembered.
    """
    path = Path(path).resolve()
    state = path.stat()
    if state.st_size < least:
        return _digest(path)
    note = _notes() / hashlib.sha256(os.fsencode(f"{path}\0{state.st_size}\0{state.st_mtime_ns}")).hexdigest()
    with contextlib.suppress(OSError):
        known = note.read_text()
        if len(known) == 64:
            return known
    value = _digest(path)
    if time.time() - state.st_mtime > SETTLED_S:
        # A cache that can't be written is no loss.
        with contextlib.suppress(OSError, InputError), atomic_path(note, overwrite=True) as temporary:
            temporary.write_text(value)
    return value


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _notes() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("calcium-lightning") / "sha256"
