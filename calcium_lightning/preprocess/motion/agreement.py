"""Whether frames tell their motion at all: parts of the field must say the same of it.

Frames whose own mean was taken off (ΔF/F, in percent or stretched to 8 bits) hold no picture that stands
still, and registration follows noise and cells that are lit. Knows tensors only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from calcium_lightning.core.pieces import in_order
from calcium_lightning.preprocess.motion.registration import FEW, Correlator, shift_frames

#: rows and columns
Part = tuple[slice, slice]
#: in so many of the frames parts must agree, to within so many pixels, of which a cell is four wide. Of 30
#: recordings that show the tissue the best two parts do to within .03 to 1.5, where the mean was taken off to
#: within 10 and more
FRAMES, NEAR = 0.9, 2.5
#: a field that moves less than this hardly does, pixels
HARDLY = 1.0
#: between parts lie so many cells, none of which reaches into both; and a part is so many wide at least
APART, WIDE = 2, 2


def tells_motion(correlate: Correlator, frames: Tensor, template: Tensor, shifts: Tensor) -> bool:
    """Whether two parts of the field, halves or quarters beside each other, move as the whole does.

    One isn't enough: what shows a single bright cell rules the whole field, and moves as that. Where the
    field hardly moves, or has no room for two parts, it is believed.

    Parameters
    ----------
    correlate : Correlator
        Of the whole field.
    frames : Tensor, float32 (n, h, w)
        Some of a session.
    template : Tensor (h, w)
        What they are registered to.
    shifts : Tensor (n, 2)
        By which the whole field says that they moved.
    """
    height, width = correlate.size
    gap, least = (math.ceil(cells * correlate.cell_diameter) for cells in (APART, WIDE))
    moved = shifts - shifts.median(0).values

    def possible(pair: tuple[Part, Part]) -> bool:
        if any(lines.stop - lines.start < least for part in pair for lines in part):
            return False
        return correlate.usable is None or all(bool(correlate.usable[part].any()) for part in pair)

    halves = _halves((slice(0, height), slice(0, width)), gap)
    quarters = [pair for both in halves for half in both for pair in _halves(half, gap)]
    pairs = list(filter(possible, [*halves, *quarters]))
    if _usual(moved.norm(dim=1)) < HARDLY or not pairs:
        return True
    # Of frames that are moved back, so that parts show the same tissue however far it went.
    registered = torch.cat(
        [shift_frames(*few) for few in zip(frames.split(FEW), moved.split(FEW), strict=True)]
    )

    def alike(pair: tuple[Part, Part]) -> bool:
        first, second = (
            _shifts(correlate.part(*part), registered[:, *part].contiguous(), template[part].contiguous())
            for part in pair
        )
        return _usual(torch.stack([first - second, first, second]).norm(dim=2).amax(0)) < NEAR

    return any(map(alike, pairs))


def _halves(part: Part, gap: int) -> list[tuple[Part, Part]]:
    """A part's upper and lower half, and its left and right one."""
    rows, columns = part
    (upper, lower), (left, right) = _split(rows, gap), _split(columns, gap)
    return [((upper, columns), (lower, columns)), ((rows, left), (rows, right))]


def _split(lines: slice, gap: int) -> tuple[slice, slice]:
    first = (lines.start + lines.stop - gap) // 2
    return slice(lines.start, first), slice(first + gap, lines.stop)


def _shifts(correlate: Correlator, frames: Tensor, template: Tensor) -> Tensor:
    """Shifts (n, 2), pixels, their median 0."""
    parts = in_order(lambda few: correlate(correlate.transform(few), template), frames.split(FEW))
    shifts = torch.cat(list(parts))
    return shifts - shifts.median(0).values


def _usual(lengths: Tensor) -> float:
    """What lengths (n,) don't exceed in most frames."""
    return float(lengths.quantile(FRAMES))
