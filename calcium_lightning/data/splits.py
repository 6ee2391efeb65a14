"""Which frames are for training, which for validation, and in which blocks they are read.

Knows numbers of frames only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcium_lightning.errors import InputError


@dataclass(frozen=True)
class Splits:
    """Ranges of middle frames; the frames between them are the guard gaps."""

    train: range
    validation: range
    test: range


@dataclass(frozen=True)
class Block:
    """Consecutive middle frames of a session: the unit of reading and of shuffling.

    Attributes
    ----------
    session : int
        Index of the session.
    start, count : int
        First middle frame and their number.
    """

    session: int
    start: int
    count: int


def split_in_time(
    n_frames: int, span: int, validation: float = 0.1, test: float = 0.0, *, where: str = "session"
) -> Splits:
    """Cut a session into training, validation and test frames, in this order in time.

    Between two parts lies a gap of ``span - 1`` middle frames, so that no window of one part looks at a
    frame that a window of another looks at. The last part is the validation's (and test's): brightness
    drifts, and what is asked of a model is the next minutes.

    Parameters
    ----------
    n_frames : int
        Length of the session.
    span : int
        Frames that one window looks at, S of :func:`~calcium_lightning.data.windows.window_weights`.
    validation, test : float
        Shares of the frames; 0 for none, otherwise at least one frame each.
    where : str
        The session's name, for the message.

    Raises
    ------
    InputError
        If the session is too short for one window in each part.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise InputError(
            f"data.validation={validation} data.test={test}: shares of the frames, together below 1"
        )
    gap = span - 1
    parts = 1 + (validation > 0) + (test > 0)
    usable = n_frames - gap * (parts - 1)
    if n_frames < span or usable < parts:
        need = max(span, parts + gap * (parts - 1))
        raise InputError(
            f"{where}: {n_frames} frames are too few for windows of {span} frames, at least {need} "
            "are needed; window.seconds= makes windows shorter"
        )
    held = [max(1, round(share * usable)) if share > 0 else 0 for share in (validation, test)]
    while usable - sum(held) < 1:
        held[held.index(max(held))] -= 1
    stop = usable - sum(held)
    train = range(0, stop)
    ranges = []
    for count in held:
        start = stop + gap if count else stop
        ranges.append(range(start, start + count))
        stop = start + count
    return Splits(train, *ranges)


def chunk_blocks(session: int, frames: range, count: int, chunk_frames: int) -> list[Block]:
    """Cut a range of middle frames into blocks that don't straddle the file's chunks where they needn't.

    Every block has ``count`` frames (or the whole range, where that is shorter); inside a chunk the last one
    is moved back to fit, so some frames may be in two blocks, and every frame is in one.

    Parameters
    ----------
    session : int
        Index of the session, for the blocks.
    frames : range
        The middle frames.
    count : int
        Frames in a block.
    chunk_frames : int
        Frames in a chunk of the file.
    """
    count = min(count, len(frames))
    if count == 0:
        return []
    # Several chunks make one unit where blocks are longer than a chunk.
    unit = chunk_frames * -(-count // chunk_frames)
    starts: set[int] = set()
    for begin in range(frames.start // unit * unit, frames.stop, unit):
        first, last = max(begin, frames.start), min(begin + unit, frames.stop)
        for start in range(first, last, count):
            starts.add(int(np.clip(min(start, last - count), frames.start, frames.stop - count)))
    return [Block(session, start, count) for start in sorted(starts)]
