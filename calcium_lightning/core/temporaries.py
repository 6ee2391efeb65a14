"""Names of temporary files beside their targets, which tell whether who made them is still at work.

For: :mod:`~calcium_lightning.core.atomic`, so that what a killed process has left is removed by the next.
Must not know: what is in them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import time
import uuid
from functools import cache
from pathlib import Path

from calcium_lightning.core import system

#: another machine's is taken for dead when nothing was written to it for so many seconds
FOREIGN_S = 24 * 3600.0
#: bytes of a file's name, on most file systems
NAME_MAX = 255
#: and of those that a temporary's name has more than its target's: host, process, a number, dots
MARK = 6 + 10 + 8 + len(".--..tmp")


def temporary_name(target: Path) -> Path:
    """A new name beside ``target``; its ending stays last: writers choose their format by it."""
    mark = f"{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    return target.with_name(f".{_stem(target)}.{mark}.tmp{target.suffix}")


def sweep(target: Path) -> None:
    """Remove what processes that are no more have left of earlier attempts at ``target``."""
    # The middle of older versions' names was eight hexadecimal digits.
    mark = r"(?:(?P<host>[0-9a-f]{6})-(?P<process>\d+)-)?[0-9a-f]{8}"
    pattern = re.compile(rf"\.(?P<stem>.+)\.{mark}\.tmp{re.escape(target.suffix)}", re.DOTALL)
    with contextlib.suppress(OSError):
        for path in target.parent.iterdir():
            found = pattern.fullmatch(path.name)
            if found is None or found["stem"] not in (target.stem, _stem(target)):
                continue
            if _dead(path, found["host"], int(found["process"] or 0)):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def _dead(path: Path, host: str | None, process: int) -> bool:
    written = path.lstat().st_mtime
    if host != _host():
        return time.time() - written > FOREIGN_S
    if process == os.getpid():
        return written < _STARTED  # of an earlier process with our number: in containers they begin at 1
    return not system.lives(process)


def _stem(target: Path) -> str:
    """The target's stem, or as much of it as leaves room for the rest of a temporary's name."""
    room = NAME_MAX - MARK - len(os.fsencode(target.suffix))
    return os.fsencode(target.stem)[: max(1, room)].decode(errors="ignore")


@cache
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


_STARTED = time.time()
