"""How wide cells are: the user's figure, or an estimate from the session's flashes.

A cell that lights up is a blob in the difference of two moments. In scale space a blob's response peaks at
its own size (Lindeberg 1998), so the sizes of the strongest blobs of many moments tell the diameter of cells.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import gaussian_laplace
from skimage.feature import peak_local_max
from skimage.registration import phase_cross_correlation

from calcium_lightning.core.errors import InputError, positive
from calcium_lightning.core.scale import FWHM, MAD_TO_STD
from calcium_lightning.io.base_session import BaseSession

#: the least diameter that can be asked for, pixels
LEAST_DIAMETER = 2.0
#: diameters that are looked for, pixels of the shrunken field
LEAST, MOST, SCALES = 3.0, 30.0, 12
#: the longest side that is looked at; larger fields are shrunk to it by averaging
LONGEST_SIDE = 192


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


def estimate_diameter(session: BaseSession, moments: int = 32) -> float:
    """Estimate the diameter of cells from the blobs that light up between two moments.

    Parameters
    ----------
    session : BaseSession
        The recording.
    moments : int
        How many pairs of moments are compared, spread over the session.

    Returns
    -------
    float
        Full width at half maximum, session pixels.
    """
    shrink = max(1, math.ceil(max(session.shape[1:]) / LONGEST_SIDE))
    span = max(1, round(0.2 * session.fps))
    lag = max(1, round(0.6 * session.fps))
    need = lag + 2 * span
    default = FWHM * 5.0 * shrink
    if session.n_frames < need:
        return default
    sigmas = np.geomspace(LEAST, MOST, SCALES) / FWHM
    found: list[np.ndarray] = []
    for start in np.unique(np.linspace(0, session.n_frames - need, moments).astype(int)):
        frames = session.frames(int(start), int(start) + need)
        first, second = (_moment(part, shrink) for part in (frames[:span], frames[-span:]))
        found.append(_blobs(first, second, session.motion_corrected, sigmas))
    blobs = np.concatenate(found) if found else np.zeros((0, 2))
    if len(blobs) < 5:
        return default
    # The strongest third of all blobs is cells; of equal strength they vote alike.
    strong = blobs[np.argsort(-blobs[:, 1])][: max(5, len(blobs) // 3)]
    return float(FWHM * np.exp(np.median(np.log(strong[:, 0]))) * shrink)


def _moment(frames: np.ndarray, shrink: int) -> np.ndarray:
    mean = frames.mean(0, dtype=np.float32)
    height, width = (side // shrink * shrink for side in mean.shape)
    mean = mean[:height, :width].reshape(height // shrink, shrink, width // shrink, shrink).mean((1, 3))
    # Frames that were stretched one by one become comparable.
    return (mean - mean.mean()) / max(float(mean.std()), 1e-9)


def _blobs(
    first: np.ndarray, second: np.ndarray, registered: bool, sigmas: np.ndarray, most: int = 6
) -> np.ndarray:
    """(sigma, strength) of the strongest blobs that appeared or vanished."""
    if not registered:
        shift, *_ = phase_cross_correlation(first, second, normalization=None)
        second = np.roll(second, tuple(int(s) for s in np.round(shift)), (0, 1))
    change = second - first
    space = np.stack([-(sigma**2) * gaussian_laplace(change, sigma, mode="nearest") for sigma in sigmas], 0)
    noise = np.median(np.abs(space), axis=(1, 2), keepdims=True) * MAD_TO_STD
    significance = np.abs(space) / np.maximum(noise, 1e-9)
    response = np.where(significance > 5, np.abs(space), 0)
    border = int(2 * sigmas[0]) + 1
    peaks = peak_local_max(response, min_distance=2, num_peaks=most, exclude_border=(1, border, border))
    if not len(peaks):
        return np.zeros((0, 2))
    strength = response[tuple(peaks.T)]
    return np.stack([_between(np.abs(space), peaks, sigmas), strength], 1)


def _between(response: np.ndarray, peaks: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Scales (P,) of peaks (P, 3) between those that were tried: tops of parabolas over their logarithm."""
    scale, y, x = peaks.T
    inner = scale.clip(1, len(sigmas) - 2)
    below, here, above = (response[inner + step, y, x] for step in (-1, 0, 1))
    bend = below - 2 * here + above
    top = np.divide(0.5 * (below - above), bend, out=np.zeros(len(peaks)), where=bend < 0)
    ratio = np.log(sigmas[1] / sigmas[0])
    return sigmas[scale] * np.exp(ratio * np.where(inner == scale, top.clip(-0.5, 0.5), 0.0))
