"""What a file's content is, in 64 letters; remembered for big files that haven't changed."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.errors import InputError

PACKAGE = Path(__file__).resolve().parent.parent
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
    note = _notes() / hashlib.sha256(f"{path}\0{state.st_size}\0{state.st_mtime_ns}".encode()).hexdigest()
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


def code_of(names: Sequence[str]) -> str:
    """SHA-256, hexadecimal, of some of the package's files and folders: their names, code and data.

    Parameters
    ----------
    names : sequence of str
        Relative to the package.
    """
    digest = hashlib.sha256()
    for name in names:
        path = PACKAGE / name
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(PACKAGE).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _notes() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("calcium-lightning") / "sha256"
