"""A recording's frames as blocks of a session: checked, cropped, filled, averaged, by whole chunks.

Memory is bounded by a few chunks whatever the recording's length; the next block is read while one is used.
Knows nothing of number types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from calcium_lightning.core.background import ahead
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.geometry import Cut
from calcium_lightning.io.missing import Missing
from calcium_lightning.io.readers.base import Recording

#: frames are read in blocks of about this size
BLOCK_BYTES = 4 << 20


def session_blocks(
    recording: Recording, cut: Cut, missing: Missing, chunk: int, advance: Callable[[int], Any]
) -> Iterator[np.ndarray]:
    """Yield the session's frames (n, H, W), still in the recording's type or averaged, by whole chunks.

    Parameters
    ----------
    recording : Recording
        Where they come from.
    cut : Cut
        Which are kept, and what is averaged.
    missing : Missing
        Fills what is no data, and remembers it.
    chunk : int
        Frames of a chunk of the session's file.
    advance : callable
        Told how many of the recording's frames were read.

    Raises
    ------
    InputError
        For infinite values.
    """
    size = max(1, BLOCK_BYTES // (recording.shape[1] * recording.shape[2] * recording.dtype.itemsize))
    return _whole_chunks(_averaged(recording, cut, size, missing, advance), chunk)


def _averaged(
    recording: Recording, cut: Cut, size: int, missing: Missing, advance: Callable[[int], Any]
) -> Iterator[np.ndarray]:
    """Read, check, crop, fill and average; blocks of any length."""
    index = cut.start
    left = None  # frames of a temporal bin that isn't full yet
    for block in ahead(recording.stream(cut.start, cut.stop, size)):
        if block.dtype.kind == "f" and (infinite := np.isinf(block).any(axis=(1, 2))).any():
            frame = index + int(np.argmax(infinite))
            raise InputError(
                f"{recording.path}: frame {frame} holds infinite values; leave it out (start=, stop=) or its "
                "border (crop=)"
            )
        index += len(block)
        frames = missing.fill(cut.pixels(block))
        if cut.temporal > 1:
            frames = frames.astype(np.float32, copy=False)
            frames = frames if left is None else np.concatenate([left, frames])
            full = len(frames) // cut.temporal
            left = frames[full * cut.temporal :].copy()
            frames = (
                frames[: full * cut.temporal]
                .reshape(full, cut.temporal, *frames.shape[1:])
                .mean(axis=1, dtype=np.float32)
            )
        yield frames
        advance(len(block))


def _whole_chunks(blocks: Iterator[np.ndarray], chunk: int) -> Iterator[np.ndarray]:
    """Join and split blocks so that each write covers whole chunks of the file."""
    waiting: list[np.ndarray] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count >= chunk:
            joined = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            whole = count // chunk * chunk
            yield joined[:whole]
            waiting, count = ([joined[whole:].copy()], count - whole) if count > whole else ([], 0)
    if count:
        yield np.concatenate(waiting)
