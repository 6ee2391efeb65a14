"""Which end of an array of frames is time, told by what its frames look like.

Labs keep frames as (T, H, W) and as (H, W, T), and few files say which. What stays the same from frame to
frame is a picture: it depends on row and column together, and is as smooth along the one as along the other.
What depends on time and place together is less, or uneven. For: readers of arrays, and the array's door. Must
not know: files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

#: how much of an array is looked at, from its middle
WINDOW = 96
#: a picture's share of the variance, at least
SHARE = 0.05
#: the share of another even pair, at most, and what part it may be of the greatest
OTHER, PART = 0.03, 1 / 3
#: by so much (r) neighbours in a picture are more alike along one axis than the other, at most
UNEVEN = 0.1
#: how alike they are, at least, where there is hardly a picture
SMOOTH = 0.8
#: shorter than this along one axis nothing is told
LEAST = 8


def middle(shape: Sequence[int], most: int = WINDOW) -> tuple[slice, ...]:
    """Slices of the part of an array that is looked at, at most so long along each axis."""
    lengths = [min(int(size), most) for size in shape]
    starts = [(int(size) - length) // 2 for size, length in zip(shape, lengths, strict=True)]
    return tuple(slice(start, start + length) for start, length in zip(starts, lengths, strict=True))


def time_axis(block: np.ndarray) -> Literal["first", "last"] | None:
    """Tell whether time is the first or the last axis of frames.

    The variance of the block is divided, as an analysis of variance does, into what each pair of axes has in
    common beyond each axis' own course. The only pair that is even along both axes is the picture.

    Parameters
    ----------
    block : ndarray, three dimensions
        A part of the frames, neighbours beside each other.

    Returns
    -------
    {"first", "last"} or None
        None where it isn't certain.
    """
    if min(block.shape) < LEAST or block.dtype.kind not in "fiub":
        return None
    values = np.nan_to_num(block.astype(np.float32), posinf=0, neginf=0)
    values -= values.mean()
    courses = [values.mean((1, 2), keepdims=True), values.mean((0, 2), keepdims=True)]
    courses.append(values.mean((0, 1), keepdims=True))
    for course in courses:
        values -= course
    whole = float(values.var())
    if not 0 < whole < np.inf:
        return None
    pictures = [values.mean(axis) for axis in range(3)]  # with time first, the first is one
    shares = [float(p.var()) / whole - 1 / size for p, size in zip(pictures, block.shape, strict=True)]
    if max(shares) >= OTHER:
        # By ranks: text, dead lines and spots are far brighter or darker than tissue, and sharp.
        even = [axis for axis in range(3) if _even(_ranks(pictures[axis]))]
        found = [axis for axis in even if shares[axis] >= min(OTHER, PART * max(shares))]
        certain = [axis for axis in found if shares[axis] >= SHARE]
    else:  # ΔF/F
        found = certain = [axis for axis in range(3) if _even(pictures[axis], least=SMOOTH)]
    if found not in ([0], [2]) or not certain:
        return None
    return "first" if found == [0] else "last"


def _ranks(picture: np.ndarray) -> np.ndarray:
    """The rank of each pixel's value in a picture; the mean rank of those that are alike."""
    from scipy.stats import rankdata  # takes as long to load as all else that reads files

    return np.asarray(rankdata(picture)).reshape(picture.shape)


def _even(picture: np.ndarray, least: float = -1.0) -> bool:
    """Whether neighbours are as alike along one axis as along the other, and by ``least`` along both."""
    alike = _alike(picture), _alike(picture.T)
    return abs(alike[0] - alike[1]) <= UNEVEN and min(alike) >= least


def _alike(picture: np.ndarray) -> float:
    """Pearson's r of neighbours along the first axis."""
    centred = picture - picture.mean(0)
    return float((centred[1:] * centred[:-1]).mean() / max(float((centred**2).mean()), 1e-30))
