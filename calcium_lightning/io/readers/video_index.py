"""Which frames a video file really holds, and when each is shown: counted, not believed from its header.

Knows containers and packets through PyAV, no pixels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: containers whose index lists each frame with its place
INDEXED = ("avi", "mov")
#: bytes behind the last frame of a complete file that an index and such may take, and those per frame
SLACK, SLACK_PER_FRAME = 256, 24
#: bytes of 0 at a frame's end that are none of its own
BLANK = 16


@dataclass(frozen=True)
class VideoIndex:
    """The frames of a video.

    Attributes
    ----------
    count : int
        How many there are.
    promised : int
        How many the header says, empty ones (the last is shown again) not counted.
    repeats : int
        Places between frames where the last is shown again.
    fps : float or None
        Frames per second.
    times : ndarray or None
        Seconds of each frame, where they are not even.
    """

    count: int
    promised: int
    repeats: int
    fps: float | None
    times: np.ndarray | None


def read_index(container: Any, stream: Any, path: Path) -> VideoIndex:
    """List the frames of an open container.

    Parameters
    ----------
    container, stream
        PyAV's.
    path : Path
        Its file.
    """
    ticks = _listed(container, stream, path.stat().st_size)
    if ticks is None:
        ticks, clean = _demuxed(container, stream, path)
    else:
        clean = True
    count = len(ticks)
    header = int(stream.frames)
    base = float(stream.time_base or 0)
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    known = np.sort(ticks[np.isfinite(ticks)])
    if len(known) < 2 or not base:
        return VideoIndex(count, max(header, count + (not clean)), 0, rate or None, None)
    steps = np.diff(known)
    usual = float(np.median(steps))
    even = bool(np.abs(known - np.linspace(known[0], known[-1], len(known))).max() <= max(1.0, 0.02 * usual))
    if container.format.name == "avi":  # one tick is one frame of the header's
        shown = round(float(known[-1] - known[0])) + 1
        repeats = shown - count
        # behind the last frame it may be shown again as often as behind the others
        lost = header - shown if header - shown >= usual else 0
        promised = count + lost
        if not lost and not clean:
            promised = count + 1
    else:
        repeats = 0
        promised = max(header, count + (not clean))
        if not header and rate:  # Matroska promises a duration
            missing = (_duration(container, stream) - (float(known[-1]) + usual) * base) * rate
            promised = count + round(missing) if missing > 0.5 else promised
    if even and usual:
        measured = (len(known) - 1) / (float(known[-1] - known[0]) * base)
        close = rate > 0 and abs(measured / rate - 1) < 0.005
        return VideoIndex(count, promised, repeats, rate if close else measured, None)
    usual_fps = 1 / (float(np.mean(steps[steps < 1.75 * usual])) * base) if usual else rate or None
    times = (known - known[0]) * base if len(known) == count else None
    return VideoIndex(count, promised, repeats, usual_fps, times)


def _duration(container: Any, stream: Any) -> float:
    """Seconds that the header promises of this stream; 0 where it promises none."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", str(stream.metadata.get("DURATION", "")))
    if match:
        return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
    return float(container.duration or 0) / 1e6 if len(container.streams) == 1 else 0.0


def _listed(container: Any, stream: Any, size: int) -> np.ndarray | None:
    """Times of the frames from the container's index; None unless it covers the whole file."""
    if not any(name in container.format.name.split(",") for name in INDEXED):
        return None
    entries = [entry for entry in stream.index_entries if entry.size > 0]
    if not entries or len(entries) < stream.frames // 2:
        return None
    end = max(entry.pos + entry.size for entry in entries)
    avi = container.format.name == "avi"
    if end > size or (avi and size - end > SLACK + SLACK_PER_FRAME * len(entries)):
        return None
    if not avi and stream.codec_context.has_b_frames:
        return None  # the index is in the order of decoding
    return np.array([entry.timestamp for entry in entries], float)


def _demuxed(container: Any, stream: Any, path: Path) -> tuple[np.ndarray, bool]:
    """Times of the frames from their packets, and whether the last one is whole."""
    ticks: list[float] = []
    clean, tail = True, b""
    for packet in container.demux(stream):
        if packet.is_corrupt:
            clean = False
            break
        if packet.size and not packet.is_discard:
            ticks.append(float("nan") if packet.pts is None else packet.pts)
            tail = bytes(packet)[-BLANK:]
    # numbers that aren't compressed may be 0
    may_be_black = stream.codec_context.name == "rawvideo" and len(ticks) >= stream.frames
    if ticks and not may_be_black and not any(tail) and _ends_blank(path):
        ticks.pop()  # a copy was broken off within it, in a file that had its size from the beginning
        clean = False
    return np.array(ticks), clean


def _ends_blank(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-min(SLACK, file.seek(0, 2)), 2)
        return not any(file.read())
