"""Giving memory back to the system between the stages of a long computation.

The C library keeps what was freed for the next request of that size. The stages of an extraction need arrays
of different sizes, so what one has left is a hole for the next, and the process grows. Knows nothing else.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


def give_back_freed() -> None:
    """Give what was freed back to the system, where its C library does that when it is asked (glibc)."""
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another system, or another C library
        return None
