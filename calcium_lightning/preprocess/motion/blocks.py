"""How a session is cut for motion: spans of frames, averaged pixels; and shifts where frames were lost.

Knows arrays only.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

#: pixels that are averaged at a time: they stay in the processor's cache
TOGETHER = 1 << 20


def blocks(count: int, size: int) -> list[tuple[int, int]]:
    """Spans of about ``size`` frames; no short one at the end."""
    pieces = max(1, round(count / size))
    edges = [round(i * count / pieces) for i in range(pieces + 1)]
    return list(pairwise(edges))


def binned(frames: np.ndarray, side: int) -> np.ndarray:
    """Mean over squares of ``side`` pixels, float32."""
    if side == 1:
        return frames.astype(np.float32)
    count, height, width = frames.shape
    result = np.empty((count, -(-height // side), -(-width // side)), np.float32)
    step = max(1, TOGETHER // max(1, height * width))
    for start in range(0, count, step):
        _bin(frames[start : start + step], side, result[start : start + step])
    return result


def _bin(frames: np.ndarray, side: int, result: np.ndarray) -> None:
    # Integers are summed as integers, rows first: whole lines at a time.
    kinds = {np.dtype(np.uint8): np.uint16, np.dtype(np.uint16): np.uint32}
    rows = frames[:, ::side].astype(kinds.get(frames.dtype, np.float32))
    for row in range(1, side):
        np.add(rows, frames[:, row::side], out=rows)
    result[:] = rows[:, :, ::side]
    for column in range(1, side):
        np.add(result, rows[:, :, column::side], out=result)
    result /= side**2


def repaired(shifts: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Shifts (T, n), those of lost frames interpolated, of median 0 over the others; float32."""
    good = np.flatnonzero(~lost)
    columns = [np.interp(np.arange(len(shifts)), good, column) for column in shifts[good].T]
    result = np.stack(columns, 1)
    return (result - np.median(result[good], 0)).astype(np.float32)
