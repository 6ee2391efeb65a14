"""How the tissue moves, and images moved by it: jerky rigid motion, bending, sub-pixel interpolation.

Sign as in the session file: a point at c in the motion-corrected field lies at c + shifts[t] in frame t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from scipy.signal import butter, lfilter, sosfilt

from calcium_lightning.simulation.settings import SceneSettings

LOBES = 3  # of the Lanczos kernel: six taps
LIMIT = 4.5  # shifts are clipped to so many standard deviations
#: half waves along y and x of what bends the field, and their share of its variance
MODES = {(1, 0): 0.3, (0, 1): 0.3, (1, 1): 0.2, (2, 0): 0.1, (0, 2): 0.1}


def draw_motion(settings: SceneSettings, rng: np.random.Generator) -> np.ndarray:
    """Draw the motion of the tissue on the sensor: float32 (T, 2), pixels (dy, dx).

    A fast and a slow Ornstein-Uhlenbeck process, an oscillation that comes and goes, and rare jumps.
    """
    n_frames, fps = settings.n_frames, settings.fps
    spread = np.asarray(settings.motion_std_px)
    if not spread.any():
        return np.zeros((n_frames, 2), np.float32)
    fast, slow = (_wander(n_frames, fps, tau, rng) for tau in settings.motion_time_s)
    drift = _wander(n_frames, fps, 20 * settings.motion_time_s[1], rng)
    oscillation = _oscillation(n_frames, fps, settings.motion_oscillation_hz, rng)
    jump_rate = settings.motion_jumps_per_minute / (60 * fps)
    jumps = rng.standard_normal((n_frames, 2)) * (rng.random((n_frames, 1)) < min(1.0, jump_rate))
    keep = math.exp(-1 / (2 * settings.motion_time_s[1] * fps))
    shares = np.sqrt([0.45, 0.3, 0.1, 0.15])  # of the variance
    parts = shares[0] * fast + shares[1] * slow + shares[2] * drift + shares[3] * oscillation
    shifts = spread * (parts + 1.5 * lfilter([1.0], [1.0, -keep], jumps, axis=0))
    return np.clip(shifts, -LIMIT * spread, LIMIT * spread).astype(np.float32)


def draw_residual(settings: SceneSettings, rng: np.random.Generator) -> np.ndarray:
    """Draw what a motion correction left: float32 (T, 2), pixels, from frame to frame almost independent."""
    n_frames = settings.n_frames
    fast = rng.standard_normal((n_frames, 2))
    slow = _wander(n_frames, settings.fps, 10.0, rng)
    residual = settings.motion_residual_px * (0.8 * fast + 0.6 * slow)
    limit = LIMIT * settings.motion_residual_px
    return np.clip(residual, -limit, limit).astype(np.float32)


@dataclass(frozen=True)
class Bending:
    """Motion that differs over the field: a few half waves along y and x.

    Attributes
    ----------
    size : (int, int)
        Height and width of the field.
    strength : ndarray, float32 (T, 2, modes)
        Of each wave of :data:`MODES` in each frame, for dy and dx, pixels.
    """

    size: tuple[int, int]
    strength: np.ndarray

    @classmethod
    def draw(cls, settings: SceneSettings, rng: np.random.Generator) -> Bending | None:
        """Draw it, as jerky as the rigid motion; None where the field moves as one."""
        if not settings.motion_nonrigid_px:
            return None
        courses = [
            sum(_wander(settings.n_frames, settings.fps, tau, rng) for tau in settings.motion_time_s)
            for _ in MODES
        ]
        spread = settings.motion_nonrigid_px * np.sqrt(0.5 * np.array(list(MODES.values())))
        strength = np.clip(np.stack(courses, -1) * spread, -LIMIT * spread, LIMIT * spread)
        return cls((settings.height_px, settings.width_px), strength.astype(np.float32))

    def at(self, frame: int, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Displacement (2, ...), pixels, of what is seen at (y, x) on the sensor; their shapes broadcast."""
        y, x = ((part + 0.5) * (math.pi / length) for part, length in zip((y, x), self.size, strict=True))
        waves = [np.cos(k * y) * np.cos(m * x) * math.sqrt(2 ** ((k > 0) + (m > 0))) for k, m in MODES]
        return np.tensordot(self.strength[frame], np.stack(waves), 1)

    @property
    def reach(self) -> float:
        """The largest displacement that can be, pixels."""
        return 2 * float(np.abs(self.strength).sum(-1).max())


def _wander(n_frames: int, fps: float, time_s: float, rng: np.random.Generator) -> np.ndarray:
    """Ornstein-Uhlenbeck process of unit variance, (T, 2)."""
    keep = math.exp(-1.0 / (time_s * fps))
    start = keep * rng.standard_normal((1, 2))
    noise = rng.standard_normal((n_frames, 2))
    return lfilter([math.sqrt(1 - keep * keep)], [1.0, -keep], noise, axis=0, zi=start)[0]


def _oscillation(
    n_frames: int, fps: float, band_hz: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Band-passed noise, strong for some seconds and weak for others, mostly along one direction: (T, 2)."""
    direction = rng.normal([1.0, 0.4], 0.2)
    direction *= math.sqrt(2) / np.linalg.norm(direction)
    warmup = math.ceil(2 * fps) + 100
    noise = rng.standard_normal(n_frames + warmup)
    band = np.asarray(band_hz) * [0.9, 1.1]
    if band[1] < 0.49 * fps:
        noise = sosfilt(butter(1, band, "bandpass", fs=fps, output="sos"), noise)
    # otherwise the frames are too slow to follow it: it looks like white noise
    noise = noise[warmup:] / noise.std()
    return noise[:, None] * direction * np.exp(0.5 * _wander(n_frames, fps, 3.0, rng)[:, :1] - 0.25)


def margin_px(shifts: np.ndarray) -> int:
    """Pixels that an image needs around the field so that `shifted` never leaves it."""
    return math.ceil(float(np.abs(shifts).max(initial=0.0))) + LOBES


def shifted(images: torch.Tensor, shifts: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """Move images by sub-pixel shifts and cut the field out of them.

    Lanczos interpolation along each axis: frame(x) = image(x - shift). Every frame is computed alike whatever
    frames are beside it.

    Parameters
    ----------
    images : Tensor, float32 (n or 1, height + 2 m, width + 2 m)
        Images with the same margin m (at least `margin_px(shifts)`) on all sides.
    shifts : ndarray (n, 2)
        Pixels (dy, dx).
    size : (int, int)
        Height and width of the result.
    """
    margin = (images.shape[1] - size[0]) // 2
    moved = _shifted_rows(images, shifts[:, 0], margin, size[0])
    moved = _shifted_rows(moved.transpose(1, 2), shifts[:, 1], margin, size[1])
    return moved.transpose(1, 2)


def bent(
    images: torch.Tensor, frames: np.ndarray, shifts: np.ndarray, bending: Bending, size: tuple[int, int]
) -> torch.Tensor:
    """As :func:`shifted`, of images that bend too in some frames (n,); by cubic splines, one by one."""
    margin = (images.shape[1] - size[0]) // 2
    y, x = np.arange(size[0], dtype=float)[:, None], np.arange(size[1], dtype=float)
    result = np.empty((len(frames), *size), np.float32)
    for target, frame, shift, image in zip(
        result, frames, shifts, images.expand(len(frames), -1, -1).numpy(), strict=True
    ):
        down, right = shift[:, None, None] + bending.at(frame, y, x)
        map_coordinates(image, (y + margin - down, x + margin - right), target, order=3, mode="nearest")
    return torch.from_numpy(result)


def _shifted_rows(images: torch.Tensor, shifts: np.ndarray, margin: int, size: int) -> torch.Tensor:
    """Shift along axis 1 and cut `size` rows: (n, R, C) -> (n, size, C)."""
    position = -shifts.astype(np.float64)
    whole = np.floor(position)
    taps = np.arange(1 - LOBES, LOBES + 1)
    distance = taps - (position - whole)[:, None]
    weights = np.sinc(distance) * np.sinc(distance / LOBES)
    weights /= weights.sum(1, keepdims=True)
    first = torch.from_numpy(whole.astype(np.int64) + margin + 1 - LOBES)
    count = len(shifts)
    rows = first[:, None] + torch.arange(size + len(taps) - 1)
    frame = torch.arange(count)[:, None] if len(images) == count else torch.zeros(1, 1, dtype=torch.int64)
    window = images[frame, rows]
    kernel = torch.from_numpy(weights.astype(np.float32))[:, :, None, None]
    result = window[:, :size] * kernel[:, 0]
    for tap in range(1, len(taps)):
        result.addcmul_(window[:, tap : tap + size], kernel[:, tap])
    return result
