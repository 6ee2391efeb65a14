"""Giving memory back to the system between the stages of a long computation.

The C library keeps what was freed for the next request of that size. The stages of an extraction need arrays
of different sizes, so what one has left is a hole for the next, and the process grows; threads have a store
of their own each, and what one thread has freed is no use to another. Knows nothing else.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

#: what ``mallopt`` calls the most stores, how much may lie free at the end of one, and from which size on a
#: request gets pages of its own (malloc.h)
ARENA_MAX, TRIM_THRESHOLD, MMAP_THRESHOLD = -8, -1, -3
#: bytes of the latter two; by themselves the first is twice the largest request that was freed, a few MB
FREE, OWN_PAGES = 1 << 26, 1 << 23


def give_back_freed() -> None:
    """Give what was freed back to the system, where its C library does that when it is asked (glibc)."""
    if (trim := _trim()) is not None:
        trim(0)


@cache
def one_store() -> None:
    """Let threads that come take what others have freed: one store of the C library for all (glibc).

    For the rest of the process; those who compute with large arrays hardly ever wait for each other there.
    Some of what was freed stays there until :func:`give_back_freed`, as the system clears each page that it
    hands out. (The less stays, the smaller the process, and the longer the system is busy.)
    """
    try:
        library = ctypes.CDLL(None)
        for setting, value in ((ARENA_MAX, 1), (TRIM_THRESHOLD, FREE), (MMAP_THRESHOLD, OWN_PAGES)):
            library.mallopt(setting, value)
    except (OSError, AttributeError, TypeError):  # another system, or another C library
        return


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another system, or another C library
        return None
