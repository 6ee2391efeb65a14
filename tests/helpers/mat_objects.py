"""MATLAB's objects, byte by byte as its files of version 5 hold them: nothing else writes them."""

from __future__ import annotations

import struct

#: what stands at the beginning of a file
HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<HH", 0x100, 0x4D49)


def opaque(name: str, kind: str) -> bytes:
    """A variable that is an object (a string, a table, a class of one's own): its name, class, and a number."""
    numbers = (
        _element(6, struct.pack("<II", 13, 0))  # an array of uint32
        + _element(5, struct.pack("<ii", 1, 1))
        + _element(1, b"")
        + _element(6, struct.pack("<I", 1))
    )
    flags = _element(6, struct.pack("<II", 17, 0))  # an object
    words = b"".join(_element(1, word.encode()) for word in (name, "MCOS", kind))
    return _element(14, flags + words + _element(14, numbers))


def _element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)
