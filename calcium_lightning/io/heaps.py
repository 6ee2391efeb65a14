"""Whether HDF5 comes to an end when it reads a file: on some damage it goes round for ever.

Text of variable length lies in "global heaps", which HDF5 walks from object to object by their sizes. A size
of 0, as a lost block leaves it, makes the walk endless, within C, where nothing can interrupt it
(HDFGroup/hdf5#1707; 2.0.0 still does). Knows this one structure of the file format; opens nothing with HDF5.
"""

from __future__ import annotations

import os
import struct
from functools import lru_cache
from pathlib import Path

from calcium_lightning.core.errors import InputError

#: how a heap begins, with its version; its own size (8 bytes) follows, then its objects
MARK = b"GCOL\x01\0\0\0"
#: index, count of references, reserved, size of an object's data: all that HDF5 goes by
OBJECT = struct.Struct("<HHIQ")
#: text is written when a file is begun and when it is ended: of a larger file so many bytes of both are read
ENDS = 32 << 20


def check_heaps(path: Path | str) -> None:
    """Refuse a file in which HDF5 would read for ever.

    Raises
    ------
    InputError
        Saying where it is damaged.
    OSError
        If it can't be read.
    """
    state = os.stat(path)
    at = _endless(str(path), state.st_size, state.st_mtime_ns, state.st_ino)
    if at is not None:
        raise InputError(f"{path}: damaged at byte {at}, where it holds text; copy it again")


@lru_cache(maxsize=256)
def _endless(path: str, size: int, changed: int, number: int) -> int | None:
    """Where the first endless heap is; None where there is none."""
    with open(path, "rb") as stream:
        for begin in {0, max(0, size - ENDS)} if size > 2 * ENDS else {0}:
            stream.seek(begin)
            content = stream.read(ENDS if size > 2 * ENDS else size)
            at = content.find(MARK)
            while at >= 0:
                if _never_ends(content[at : at + int.from_bytes(content[at + 8 : at + 16], "little")]):
                    return begin + at
                at = content.find(MARK, at + 1)
    return None


def _never_ends(heap: bytes) -> bool:
    """Whether the walk through a heap's objects comes to one that takes no room."""
    at = len(MARK) + 8
    while at + OBJECT.size <= len(heap):
        index, _, _, size = OBJECT.unpack_from(heap, at)
        # object 0 is the room that is left, its header included
        step = (size if index == 0 else OBJECT.size + (size + 7) // 8 * 8) % (1 << 64)
        if step == 0:
            return True
        at += step
    return False
