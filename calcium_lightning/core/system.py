"""What operating systems differ in, for all who would do the same about it.

For: reading and writing at a place in a file, locks of files that are open, whether a process lives, how much
memory and how many cores there are, what is brought down to the disk. Windows has no ``pread``, ``flock`` or
signal 0, and opens no folder. Must not know: what files and processes are for.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import psutil

WINDOWS = os.name == "nt"
#: of ``os.open``: bytes are written as they are (Windows would make two of each line's end), and no link is
#: followed where a system can be told so
BINARY, NO_LINK = getattr(os, "O_BINARY", 0), getattr(os, "O_NOFOLLOW", 0)
#: s between two looks at a lock that somebody else has
POLL_S = 0.05
_MOVING = threading.Lock()


def write_at(descriptor: int, data: memoryview, position: int) -> int:
    """Write bytes at a place in a file; how many were written. Threads may do so at the same time."""
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, data, position)
    with _MOVING:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.write(descriptor, data)


def read_at(descriptor: int, buffer: memoryview, position: int) -> int:
    """Fill a buffer from a place in a file; how many bytes there were. Threads may do so at the same time."""
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], position)
    with _MOVING:
        os.lseek(descriptor, position, os.SEEK_SET)
        data = os.read(descriptor, len(buffer))
    buffer[: len(data)] = data
    return len(data)


def lock(descriptor: int, wait: bool = True) -> bool:
    """Lock an open file until it is closed, or its process ends; whether that could be done.

    For files that others own, which may be opened for reading only; filelock does it for one's own.

    Parameters
    ----------
    descriptor : int
        Of the file.
    wait : bool
        Until whoever has it lets go.
    """
    if sys.platform == "win32":
        import msvcrt

        while True:
            try:
                os.lseek(descriptor, 0, os.SEEK_SET)
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                return True
            except OSError:
                if not wait:
                    return False
            time.sleep(POLL_S)
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        if wait:
            raise
        return False
    return True


def lives(process: int) -> bool:
    """Whether a process of this number is there; to send it signal 0 would be Ctrl-C on Windows."""
    return bool(psutil.pid_exists(process))


def is_own(state: os.stat_result) -> bool:
    """Whether a file is this user's; Windows doesn't tell, and keeps each user's folders apart."""
    return not hasattr(os, "getuid") or state.st_uid == os.getuid()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Bytes of memory that this machine has."""
    return int(psutil.virtual_memory().total)


def sync(path: Any) -> None:
    """Bring a file, or a folder's list of files, down to the disk: a machine that fails keeps it.

    Windows opens no folder, and keeps the list by itself; it synchronises only what may be written.
    """
    if WINDOWS and os.path.isdir(path):
        return
    handle = os.open(path, (os.O_RDWR if WINDOWS else os.O_RDONLY) | BINARY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
