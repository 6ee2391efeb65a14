"""Plane waves that run across the frames: interference, whichever way it lies.

A wave is one sharp peak in the spectrum of what frames have beyond their mean, as strong in every frame; what
tissue does there is spread over all frequencies around, and goes as it moves. Of each frame, that one
frequency's amplitude and phase are fitted and taken off. Whole rows and columns, whatever their profile, are
for :mod:`~calcium_lightning.preprocess.bands`. Knows frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft
from scipy.ndimage import uniform_filter

from calcium_lightning.core.frames import Frames
from calcium_lightning.preprocess.expected import Expected

#: places in the recording that are looked at, neighbouring frames at each, and pixels along a side at most
PLACES, RUN, SIDE = 8, 6, 384
#: a peak has so many times the power of the frequencies around it: half a window as wide as a peak, and one
#: wider than it
RATIO, INNER, OUTER = 30.0, 5, 15
#: a wave's amplitude differs between frames by less than this share of its mean; what tissue leaves as it
#: moves differs by more than half
STEADY = 0.35
#: fewer periods than this across the frame are light, not a wave; no more waves than this are taken off
PERIODS, MOST = 3.0, 4
#: frequencies that are tried around a peak along each axis, and how far, as a share of a period per frame
FINE, REACH = 25, 0.75


@dataclass(frozen=True)
class Waves:
    """Waves, and what the field shows without them.

    Attributes
    ----------
    frequency : ndarray (N, 2)
        Periods per pixel along y and x.
    strength : ndarray (N,)
        Usual amplitude, units of the frames.
    usable : ndarray, bool (H, W)
        Pixels that show tissue.
    expected : Expected
        What frames show without waves.
    """

    frequency: np.ndarray
    strength: np.ndarray
    usable: np.ndarray
    expected: Expected

    @classmethod
    def none(cls) -> Waves:
        """No wave."""
        nothing = np.zeros((0, 0), np.float32)
        return cls(np.zeros((0, 2)), np.zeros(0), nothing.astype(bool), Expected(nothing))

    def __len__(self) -> int:
        return len(self.frequency)

    @property
    def lengths(self) -> np.ndarray:
        """Wavelengths, pixels (N,)."""
        length: np.ndarray = 1 / np.linalg.norm(self.frequency, axis=1)
        return length

    def take_off(self, frames: np.ndarray, start: int) -> None:
        """Take waves off float frames (n, H, W), the first of which is frame ``start``, in place."""
        if not len(self):
            return
        basis = _basis(self.frequency, self.usable.shape)
        fitted = _fitted(self.expected.beyond(frames, start), basis, _window(self.usable))
        frames -= np.tensordot(fitted[:, 1:], basis[1:], 1)

    def after_motion(self, session: Frames, shifts: np.ndarray) -> Waves:
        """The same, of a session whose motion (T, 2) is known; a sample of its frames is looked at."""
        return replace(self, expected=self.expected.after_motion(session, shifts)) if len(self) else self


def find_waves(session: Frames, mean: np.ndarray, usable: np.ndarray) -> Waves:
    """Find waves in a sample of the frames of a recording.

    Parameters
    ----------
    session : Frames
        (T, H, W).
    mean : ndarray, float32 (H, W)
        Of the recording.
    usable : ndarray, bool (H, W)
        Pixels that show tissue.
    """
    part = tuple(_middle(usable, axis) for axis in (0, 1))
    window = _window(usable[part])
    if not window.any() or min(window.shape) < 2 * OUTER:
        return Waves.none()
    frames = _sample(session, part) - mean[part]
    found: list[np.ndarray] = []
    strength: list[float] = []
    while len(found) < MOST:
        peak = _peak(frames, window)
        if peak is None:
            break
        basis = _basis(peak[None], window.shape)
        fitted = _fitted(frames, basis, window)
        frames -= np.tensordot(fitted[:, 1:], basis[1:], 1)
        found.append(peak)
        strength.append(float(np.median(np.hypot(fitted[:, 1], fitted[:, 2]))))
    if not found:
        return Waves.none()
    return Waves(np.stack(found), np.array(strength), usable, Expected(mean))


def _middle(usable: np.ndarray, axis: int) -> slice:
    """The middle of the usable pixels along an axis, no more than :data:`SIDE`."""
    known = np.flatnonzero(usable.any(1 - axis))
    if not len(known):
        return slice(0, 0)
    first, last = int(known[0]), int(known[-1]) + 1
    cut = max(0, last - first - SIDE) // 2
    return slice(first + cut, min(last, first + cut + SIDE))


def _sample(session: Frames, part: tuple[slice, ...]) -> np.ndarray:
    """Frames from all over a recording, float32 (n, h, w)."""
    count = session.shape[0]
    starts = np.unique(np.linspace(0, max(0, count - RUN), PLACES).astype(int))
    read = (session.frames(int(start), min(int(start) + RUN, count)) for start in starts)
    return np.concatenate([frames[:, *part].astype(np.float32) for frames in read])


def _window(usable: np.ndarray) -> np.ndarray:
    """Hann's window over the pixels that show tissue, float32 (H, W): a wave's peak has no skirt."""
    rows, columns = (np.hanning(length + 2)[1:-1].astype(np.float32) for length in usable.shape)
    window: np.ndarray = rows[:, None] * columns * usable
    return window


def _basis(frequency: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """1, and a cosine and a sine for each of N frequencies, float32 (1 + 2 N, H, W)."""
    rows, columns = (np.arange(length) for length in shape)
    parts = [np.ones(shape, np.float32)]
    for along_y, along_x in 2 * np.pi * frequency:
        wave = np.exp(1j * along_y * rows)[:, None] * np.exp(1j * along_x * columns)
        parts += [wave.real.astype(np.float32), wave.imag.astype(np.float32)]
    return np.stack(parts)


def _fitted(frames: np.ndarray, basis: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Coefficients (n, B) of a basis (B, H, W) in frames (n, H, W), least squares with weights (H, W)."""
    known = np.flatnonzero(window)
    flat = basis.reshape(len(basis), -1)[:, known]
    weighted = flat * window.ravel()[known]
    moments = weighted @ frames.reshape(len(frames), -1)[:, known].T
    fitted: np.ndarray = np.linalg.solve((weighted @ flat.T).astype(np.float64), moments).T
    return fitted.astype(np.float32)


def _peak(frames: np.ndarray, window: np.ndarray) -> np.ndarray | None:
    """Frequency (2,) of the sharpest peak of frames (n, h, w), if it is a wave's."""
    weighted = frames - np.average(frames.reshape(len(frames), -1), 1, window.ravel())[:, None, None]
    weighted *= window
    height, width = window.shape
    spectra = np.abs(fft.rfft2(weighted))
    power = np.square(spectra).mean(0, dtype=np.float64)
    inner, outer = (uniform_filter(power, size, mode=("wrap", "reflect")) for size in (INNER, OUTER))
    around = (OUTER**2 * outer - INNER**2 * inner) / (OUTER**2 - INNER**2)
    along_y, along_x = fft.fftfreq(height)[:, None], fft.rfftfreq(width)
    fine = np.hypot(along_y * height, along_x * width) >= PERIODS
    # Sums over large powers leave rounding errors where there is hardly any.
    ratio = np.where(fine, power / np.maximum(around, 1e-9 * power.max() + 1e-30), 0)
    row, column = np.unravel_index(ratio.argmax(), ratio.shape)
    amplitude = spectra[:, row, column]
    if ratio[row, column] < RATIO or amplitude.std() > STEADY * amplitude.mean():
        return None
    return _refined(weighted, float(along_y[row, 0]), float(along_x[column]))


def _refined(weighted: np.ndarray, along_y: float, along_x: float) -> np.ndarray:
    """The frequency near a peak at which weighted frames (n, h, w) have most power, (2,)."""
    _, height, width = weighted.shape
    steps = np.linspace(-REACH, REACH, FINE)
    rows, columns = along_y + steps / height, along_x + steps / width
    first = np.exp(-2j * np.pi * rows[:, None] * np.arange(height)).astype(np.complex64)
    second = np.exp(-2j * np.pi * columns[:, None] * np.arange(width)).astype(np.complex64)
    power = np.square(np.abs(first @ weighted @ second.T)).sum(0)
    row, column = np.unravel_index(power.argmax(), power.shape)
    return np.array(
        [
            rows[row] + _vertex(power[:, column], row) * (rows[1] - rows[0]),
            columns[column] + _vertex(power[row], column) * (columns[1] - columns[0]),
        ]
    )


def _vertex(power: np.ndarray, index: np.intp) -> float:
    """How far the vertex of the parabola through three points is from the middle one, in steps."""
    if not 0 < index < len(power) - 1:
        return 0.0
    left, middle, right = np.log(power[index - 1 : index + 2])
    bend = left - 2 * middle + right
    return float(0.5 * (left - right) / bend) if bend < 0 else 0.0
