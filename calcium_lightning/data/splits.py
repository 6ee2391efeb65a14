"""Which frames are for training, which for validation, and in which blocks they are read.

Knows numbers of frames only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from calcium_lightning.core.errors import InputError


@dataclass(frozen=True)
class Splits:
    """Ranges of middle frames; the frames between them are the guard gaps."""

    train: range
    validation: range
    test: range


@dataclass(frozen=True)
class Block:
    """Consecutive middle frames of a session: the segment of reading and of shuffling.

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
        Frames that one window looks at, S of :func:`~calcium_lightning.nn.windows.window_weights`.
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


def equal_blocks(session: int, frames: range, count: int) -> list[Block]:
    """Cut a range of middle frames into blocks of ``count`` frames (or the whole range, where it is shorter).

    The last block is moved back to fit, so a few frames may be in two blocks; every frame is in one.
    """
    count = min(count, len(frames))
    if count == 0:
        return []
    return [
        Block(session, min(start, frames.stop - count), count)
        for start in range(frames.start, frames.stop, count)
    ]


def segment_blocks(session: int, n_frames: int, count: int, segment: int, margin: int) -> list[Block]:
    """Cut a whole session into blocks of at most ``count`` frames that become complete segment by segment.

    Parameters
    ----------
    session : int
        Index of the session, for the blocks.
    n_frames : int
        Its length.
    count : int
        Most frames in a block.
    segment : int
        Frames that are read at once.
    margin : int
        Frames that a window looks at before and after its middle. So the last windows of a segment wait for
        the next, and the windows that reach beyond the session's ends have blocks of their own.
    """
    inner = range(segment - margin, n_frames - margin, segment)
    cuts = {0, *inner, n_frames} | ({margin, n_frames - margin} if n_frames > 2 * margin else set())
    return [
        Block(session, start, min(count, end - start))
        for begin, end in pairwise(sorted(cuts))
        for start in range(begin, end, count)
    ]
