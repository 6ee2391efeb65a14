"""Damage that knows nothing of a file's structure: bytes, and something else in the file's place."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

#: what may stand where a size does
SIZES = (0, 1, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**63 - 1)


def replaced(path: Path, rng: random.Random) -> str:
    """Something else where the file was."""
    what = rng.choice(("gone", "folder", "empty", "dangling", "fifo", "text", "html"))
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "empty":
        path.touch()
    elif what == "dangling":
        path.symlink_to("nowhere")
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "text":
        path.write_text("this is no such file\n", encoding="utf-8")
    elif what == "html":
        path.write_text("<!DOCTYPE html><html><body>404</body></html>", encoding="utf-8")
    return f"{path.name}: {what}"


def flipped(path: Path, rng: random.Random) -> str:
    content = bytearray(path.read_bytes())
    size = len(content)
    if not size:
        return "empty already"
    # headers tell more than pixels
    at = rng.randrange(min(size, 600)) if rng.random() < 0.5 else rng.randrange(size)
    what = rng.choice(("flip", "cut", "zero", "size", "insert", "remove", "swap", "append", "noise", "few"))
    count = min(rng.choice((1, 2, 8, 64, 1024)), size - at)
    if what == "flip":
        content[at] ^= 1 << rng.randrange(8)
    elif what == "few":
        for _ in range(rng.randrange(2, 20)):
            content[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif what == "cut":
        del content[at:]
    elif what == "zero":
        content[at : at + count] = bytes(count)
    elif what == "size":
        form = rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
        value = rng.choice(SIZES) & ((1 << 8 * struct.calcsize(form)) - 1)
        content[at : at + struct.calcsize(form)] = struct.pack(form, value)
    elif what == "insert":
        content[at:at] = rng.randbytes(count)
    elif what == "remove":
        del content[at : at + count]
    elif what == "swap":
        other = rng.randrange(size)
        piece, there = content[at : at + count], content[other : other + count]
        content[other : other + len(piece)] = piece
        content[at : at + len(there)] = there
    elif what == "append":
        content += rng.randbytes(count)
    else:
        content[at : at + count] = rng.randbytes(count)
    path.write_bytes(bytes(content))
    return f"{what} at {at} of {size}"
