"""How much more noise there is at the scale of a cell than neighbouring frames tell of.

Compression, denoising and binning leave noise that is alike in neighbouring frames and pixels: it wanders
slowly, in blobs. The difference of neighbouring frames doesn't see it, a cell and the time of a transient do.
How much more they see than they would of white noise is measured where the recording is quiet. Many slow
cells leave no place quiet, and wander as slowly; but noise that is alike neither in neighbouring pixels nor
in neighbouring frames is white. Knows prepared sessions; knows nothing of cells that were found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from calcium_lightning.core.device import upload
from calcium_lightning.core.frames import at_a_time
from calcium_lightning.core.pieces import in_order
from calcium_lightning.core.progress import progress
from calcium_lightning.core.scale import CELL_SIGMA
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.preprocess.resample import apply_separable, gaussian_operator

#: about as long as a transient, seconds: the time over which frames are averaged
TRANSIENT_S = 0.5
#: pairs of such times that are looked at, spread evenly over the recording
PAIRS = 16
#: share of the field that is taken for quiet: where cells, neuropil and motion change least
QUIET = 0.05
#: factors below this can't be told from what cells do all over a field of white noise
LEAST = 1.2
#: so much more of noise that is alike in neighbouring frames do differences over two frames show
LEAST_NEXT = 1.1
#: standard deviation of the blur over the estimates of single pixels, network pixels
BLUR = 3.0


@dataclass(frozen=True)
class Wander:
    """Factors on the standard deviation of the noise; 1 for white noise, and never less.

    Attributes
    ----------
    time : float
        Of the mean over the time of a transient.
    field : float
        Of the mean over a cell. (Of the mean over both, it is about the product of the two: what is slow and
        what is smooth come of the same compression, but not the one from the other.)
    """

    time: float = 1.0
    field: float = 1.0

    @property
    def both(self) -> float:
        """Of the mean over a cell and the time of a transient."""
        return self.time * self.field


def estimate_wander(prepared: Prepared, device: torch.device | str = "cpu") -> Wander:
    """Compare the noise of means over a transient's time with that of single frames.

    Parameters
    ----------
    prepared : Prepared
        A session whose motion is known; its noise is not needed.
    device : torch.device or str
        Where to compute.
    """
    length = max(1, round(TRANSIENT_S * prepared.fps))
    last = prepared.shape[0] - 2 * length
    if last < 0:
        return Wander()
    starts = np.unique(np.linspace(0, last, PAIRS).astype(int)).tolist()
    plain, slow, broad, further = [], [], [], []

    def look(detail: Tensor) -> tuple[np.ndarray, ...]:
        steps = torch.diff(detail, dim=0).cpu()
        apart = (detail[2:] - detail[:-2]).cpu() if length > 1 else steps
        # Medians: a codec's whole frames jump, the many between them hardly differ from each other.
        wide, single, two = (_middle(part.abs_().numpy()) for part in (_over_cells(steps), steps, apart))
        slow = (detail[length:].mean(0) - detail[:length].mean(0)).cpu().abs() * length**0.5
        return single, slow.numpy(), wide, two

    with progress("noise in time and space", len(starts), "times") as advance:
        for frame, mean, wide, two in in_order(look, _details(prepared, starts, 2 * length, device)):
            plain.append(frame)
            slow.append(mean)
            broad.append(wide)
            further.append(two)
            advance(1)
    single, in_time, in_field, in_next = (_typical(stack) for stack in (plain, slow, broad, further))
    known = prepared.seen.numpy() > 0.5
    known &= single > 1e-3 * np.median(single)
    if not known.any():
        return Wander()
    field = _quiet(in_field[known] / single[known] / white_ratio(prepared), LEAST)
    if field == 1 and _quiet(in_next[known] / single[known], LEAST_NEXT) == 1:
        return Wander()
    return Wander(_quiet(in_time[known] / single[known], LEAST), field)


def _details(
    prepared: Prepared, starts: list[int], length: int, device: torch.device | str
) -> Iterator[Tensor]:
    """What is fine in so many frames (n, h, w) from each start on, read a few at a time."""
    session = prepared.session
    few = at_a_time(*session.shape[1:])
    runs = [session.spans(start, start + length, few) for start in starts]

    def fine(part: tuple[int, np.ndarray]) -> Tensor:
        start, frames = part
        return prepared.high_pass(prepared.resample(upload(torch.from_numpy(frames), device), start))

    read = ((low, session.frames(low, high)) for run in runs for low, high in run)
    parts = in_order(fine, read)
    for run in runs:
        yield torch.cat(list(islice(parts, len(run))))


def white_ratio(prepared: Prepared, frames: int = 8) -> float:
    """Noise of a mean over a cell over that of a pixel, where the sensor's noise is white."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(frames, *prepared.scale.field, generator=generator)
    detail = prepared.high_pass(prepared.resample(noise, 0))
    border = min(round(2 * CELL_SIGMA), (min(prepared.scale.size) - 1) // 2)  # there, less is averaged
    inner = (slice(None), *(slice(border, length - border) for length in prepared.scale.size))
    return float(_over_cells(detail)[inner].std() / detail[inner].std())


def _over_cells(images: Tensor) -> Tensor:
    """Correlate (n, h, w) with a cell of unit energy: of white noise, the standard deviation stays."""
    rows, columns = (gaussian_operator(length, CELL_SIGMA) for length in images.shape[-2:])
    return apply_separable(images, rows, columns).mul_(2 * np.sqrt(np.pi) * CELL_SIGMA)


def _middle(stack: np.ndarray) -> np.ndarray:
    """Median over the first axis of (n, h, w), the lower of two."""
    middle = (len(stack) - 1) // 2
    lines = stack.reshape(len(stack), -1).T.copy()
    # A copy: a view would hold the whole stack for as long as the median is kept.
    return np.partition(lines, middle, 1)[:, middle].copy().reshape(stack.shape[1:])


def _typical(stack: list[np.ndarray]) -> np.ndarray:
    """Median over times of (h, w), smooth over the field."""
    return gaussian_filter(_middle(np.stack(stack)), BLUR, mode="nearest")


def _quiet(ratio: np.ndarray, least: float) -> float:
    """A factor where the recording is quiet; 1 where it is less than can be told."""
    factor = float(np.quantile(ratio, QUIET))
    return factor if factor >= least else 1.0
