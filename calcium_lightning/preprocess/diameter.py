"""How wide cells are: the user's figure, or an estimate from the session's flashes.

A cell that lights up is a blob in the difference of two moments. In scale space a blob's response peaks at
its own size (Lindeberg 1998), so the sizes of the strongest blobs of many moments tell the diameter of cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from skimage.feature import peak_local_max
from torch import Tensor

from calcium_lightning.core.errors import InputError, positive
from calcium_lightning.core.pieces import in_order
from calcium_lightning.core.scale import FWHM, MAD_TO_STD
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.preprocess.motion.blocks import binned
from calcium_lightning.preprocess.motion.registration import Correlator, shift_frames, smooth
from calcium_lightning.preprocess.resample import gaussian_operator

#: the least diameter that can be asked for, pixels
LEAST_DIAMETER = 2.0
#: diameters that are looked for, pixels of the shrunken field; the largest at most a third of its short side
LEAST, MOST = 3.0, 60.0
#: from one diameter that is looked for to the next
RATIO = 1.233
#: a guess is sure of so many flashing places, where half of them differ by less than this factor
SURE_PLACES, SURE_SPREAD = 12, 1.6
#: found cells are of another width than told where their median is so many times it
TOO_WIDE, TOO_NARROW = 1.35, 0.7
#: so many cells have a median
LEAST_CELLS = 10
#: the longest side that is looked at; larger fields are shrunk to it by averaging
LONGEST_SIDE = 192
#: frames less than a second apart are registered as if cells were so wide, pixels of the shrunken field, and
#: moved by so much of the field at most
REGISTERED_DIAMETER, REGISTERED_SHIFT = 8.0, 0.15
#: frames are added up to so many a second: faster, nothing moves far
MOST_FPS = 30.0
#: a change less what a Gaussian so wide leaves of it is noise, which is much alike so far around, pixels of
#: the shrunken field, and nowhere less than so much of the usual
FINE, NOISE_REACH, LEAST_NOISE = 1.5, 8.0, 0.2


def cell_diameter_of(
    session: BaseSession,
    cell_diameter: float | None = None,
    cell_diameter_um: float | None = None,
    pixel_size_um: float | None = None,
) -> float:
    """Full width at half maximum of a typical cell of a session, pixels.

    Parameters
    ----------
    session : BaseSession
        The recording.
    cell_diameter : float, optional
        Pixels.
    cell_diameter_um : float, optional
        Micrometres; the session, or ``pixel_size_um``, must tell the pixel size.
    pixel_size_um : float, optional
        In place of the session's.

    Raises
    ------
    InputError
        If the figure makes no sense, or micrometres are given without a pixel size.
    """
    if cell_diameter is not None and cell_diameter_um is not None:
        raise InputError("cell_diameter= and cell_diameter_um= say the same thing; give one of them")
    if cell_diameter_um is not None:
        size = session.pixel_size_um if pixel_size_um is None else positive("pixel_size_um", pixel_size_um)
        if size is None:
            raise InputError(
                f"{session.path}: cell_diameter_um= needs the pixel size, which the session doesn't know; "
                "add pixel_size_um="
            )
        cell_diameter = positive("cell_diameter_um", cell_diameter_um) / size
    if cell_diameter is None:
        return estimate_diameter(session)
    diameter, most = positive("cell_diameter", cell_diameter), max(session.shape[1:])
    if not LEAST_DIAMETER <= diameter <= most:
        raise InputError(
            f"cell_diameter={diameter:g} px: between {LEAST_DIAMETER:g} and the field's {most} px"
        )
    return diameter


@dataclass(frozen=True)
class DiameterGuess:
    """What a session's flashes tell of the width of cells.

    Attributes
    ----------
    diameter : float
        Full width at half maximum of a typical cell, session pixels.
    low, high : float
        Half of the flashes are that wide, session pixels.
    places : int
        Different places that flashed.
    """

    diameter: float
    low: float
    high: float
    places: int

    @property
    def sure(self) -> bool:
        """Whether it rests on enough places that agree."""
        return self.places >= SURE_PLACES and self.high < SURE_SPREAD * self.low

    def __str__(self) -> str:
        if not self.places:
            return "a guess without a single flash: give cell_diameter="
        spread = f"from {self.places} places that flash, half of them {self.low:.1f} to {self.high:.1f} px"
        return f"guessed {spread}" if self.sure else f"an unsure guess {spread}: better give cell_diameter="


def check_diameter(widths: np.ndarray, diameter: float) -> str:
    """One line where cells are much wider or narrower than they were sought, with what to try; else nothing.

    Parameters
    ----------
    widths : ndarray (K,)
        Of the accepted cells, over ``diameter``.
    diameter : float
        That they were sought with, session pixels.
    """
    if len(widths) < LEAST_CELLS:
        return ""
    typical = float(np.median(widths))
    if TOO_NARROW <= typical <= TOO_WIDE:
        return ""
    how = "wide" if typical > 1 else "narrow"
    factor = typical if typical > 1 else 1 / typical
    return (
        f"the cells found are {factor:.1f} times as {how} as the {diameter:.1f} px they were sought with; "
        f"try cell_diameter={typical * diameter:.1f}"
    )


def estimate_diameter(session: BaseSession, moments: int = 32) -> float:
    """The diameter of :func:`guess_diameter`."""
    return guess_diameter(session, moments).diameter


def guess_diameter(session: BaseSession, moments: int = 32) -> DiameterGuess:
    """Estimate the diameter of cells from the blobs that light up between two moments.

    Parameters
    ----------
    session : BaseSession
        The recording.
    moments : int
        How many pairs of moments are compared, spread over the session.
    """
    shrink = max(1, math.ceil(max(session.shape[1:]) / LONGEST_SIDE))
    step = max(1, round(session.fps / MOST_FPS))
    span = step * max(1, round(0.2 * session.fps / step))
    lag = max(1, round(0.6 * session.fps))
    need = lag + 2 * span
    default = FWHM * 5.0 * shrink
    nothing = DiameterGuess(default, LEAST * shrink, MOST * shrink, 0)
    if session.n_frames < need:
        return nothing
    most = min(MOST, max(10 * LEAST, min(session.shape[1:]) / shrink / 3))
    sigmas = LEAST / FWHM * RATIO ** np.arange(1 + round(math.log(most / LEAST) / math.log(RATIO)))

    def look(frames: tuple[np.ndarray, np.ndarray]) -> Tensor:
        looked = torch.cat([_shrunken(part, step, shrink) for part in frames])
        if not session.motion_corrected:
            looked = _registered(looked)
        first, second = looked.chunk(2)
        return second.mean(0) - first.mean(0)

    starts = np.unique(np.linspace(0, session.n_frames - need, moments).astype(int)).tolist()
    read = (
        (session.frames(start, start + span), session.frames(start + need - span, start + need))
        for start in starts
    )
    changes = torch.stack(list(in_order(look, read)))
    changes /= _noise(changes)
    blobs = np.concatenate(list(in_order(lambda change: _blobs(change, sigmas), changes)))
    if len(blobs) < 5:
        return nothing
    # The strongest third of all blobs is cells; of equal strength they vote alike.
    strong = blobs[np.argsort(-blobs[:, 1])][: max(5, len(blobs) // 3)]
    low, middle, high = FWHM * shrink * np.exp(np.quantile(np.log(strong[:, 0]), [0.25, 0.5, 0.75]))
    return DiameterGuess(float(middle), float(low), float(high), _places(strong))


def _places(blobs: np.ndarray) -> int:
    """How many different places (sigma, strength, y, x) are: nearer than half a blob is the same."""
    kept = np.zeros((0, 2))
    for sigma, _, y, x in blobs:
        if not len(kept) or np.hypot(*(kept - (y, x)).T).min() > 0.5 * FWHM * sigma:
            kept = np.vstack([kept, (y, x)])
    return len(kept)


def _shrunken(frames: np.ndarray, step: int, shrink: int) -> Tensor:
    """Averages (n / step, h, w) over times and squares; frames that were stretched one by one compare."""
    height, width = (side // shrink for side in frames.shape[1:])
    squares = torch.from_numpy(binned(frames[:, : height * shrink, : width * shrink], shrink))
    small = squares.unflatten(0, (-1, step)).mean(1)
    spread, mean = torch.std_mean(small, (1, 2), keepdim=True, correction=0)
    return (small - mean) / spread.clamp_min(1e-9)


def _registered(frames: Tensor) -> Tensor:
    """Frames (n, h, w), one by one and to parts of a pixel.

    What is sharp and bright and never flashes would else do so wherever it moved by half its width.
    """
    _, height, width = frames.shape
    correlate = Correlator(height, width, REGISTERED_DIAMETER, REGISTERED_SHIFT, frames.device)
    spectra, moved = correlate.transform(frames), frames[:1]
    for _ in range(2):
        moved = shift_frames(frames, correlate(spectra, moved.mean(0)))
    return moved


def _noise(changes: Tensor) -> Tensor:
    """What is fine in changes (n, h, w) as a rule, by place: dim corners of ΔF/F are noisier than cells."""
    usual = (changes - smooth(changes, FINE)).abs().median(0).values
    noise = smooth(usual.square(), NOISE_REACH).sqrt()
    return noise.clamp_min(LEAST_NOISE * float(noise.median())).clamp_min(1e-9)


def _blobs(change: Tensor, sigmas: np.ndarray, most: int = 6) -> np.ndarray:
    """(sigma, strength, y, x) of the strongest blobs that appeared or vanished in a change (h, w)."""
    space = np.stack([-(sigma**2) * _laplace(change, float(sigma)) for sigma in sigmas], 0)
    noise = np.median(np.abs(space), axis=(1, 2), keepdims=True) * MAD_TO_STD
    significance = np.abs(space) / np.maximum(noise, 1e-9)
    response = np.where(significance > 5, np.abs(space), 0)
    border = int(2 * sigmas[0]) + 1
    peaks = peak_local_max(response, min_distance=2, num_peaks=most, exclude_border=(1, border, border))
    if not len(peaks):
        return np.zeros((0, 4))
    strength = response[tuple(peaks.T)]
    return np.stack([_between(np.abs(space), peaks, sigmas), strength, *peaks[:, 1:].T], 1)


def _laplace(image: Tensor, sigma: float) -> np.ndarray:
    """Laplacian of an image (h, w) after a Gaussian blur."""
    (rows, bent_rows), (columns, bent_columns) = (
        (gaussian_operator(length, sigma), gaussian_operator(length, sigma, 2)) for length in image.shape
    )
    return (bent_rows @ image @ columns.T + rows @ image @ bent_columns.T).numpy()


def _between(response: np.ndarray, peaks: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Scales (P,) of peaks (P, 3) between those that were tried: tops of parabolas over their logarithm."""
    scale, y, x = peaks.T
    inner = scale.clip(1, len(sigmas) - 2)
    below, here, above = (response[inner + step, y, x] for step in (-1, 0, 1))
    bend = below - 2 * here + above
    top = np.divide(0.5 * (below - above), bend, out=np.zeros(len(peaks)), where=bend < 0)
    ratio = np.log(sigmas[1] / sigmas[0])
    return sigmas[scale] * np.exp(ratio * np.where(inner == scale, top.clip(-0.5, 0.5), 0.0))
