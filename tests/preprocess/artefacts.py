"""Made-up recordings with what sensors, lenses and cables do to them, in random places and strengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from calcium_lightning.preprocess.survey import Survey, survey


@dataclass
class Made:
    """A recording, and what is known of it.

    Attributes
    ----------
    frames : ndarray, float32 (T, H, W)
    centers : ndarray (K, 2)
    shifts : ndarray (T, 2)
    random : Generator
        For what is done to it next.
    """

    frames: np.ndarray
    centers: np.ndarray
    shifts: np.ndarray
    random: np.random.Generator

    @property
    def size(self) -> tuple[int, int]:
        return self.frames.shape[1:]

    def stored(self) -> np.ndarray:
        return np.clip(np.rint(self.frames), 0, 255).astype(np.uint8)


def make(
    seed: int,
    size: tuple[int, int] = (96, 104),
    count: int = 200,
    cells: int = 8,
    motion: float = 1.2,
    noise: float = 2,
) -> Made:
    """Tissue with texture and vignette that moves, cells that light up, noise."""
    random = np.random.default_rng(seed)
    height, width = size
    steps = np.cumsum(random.normal(size=(count, 2)), 0)
    steps -= gaussian_filter(steps, (20, 0))
    shifts = steps * motion / steps.std()
    texture = gaussian_filter(random.normal(size=(height + 40, width + 40)), 3)
    texture *= 6 / texture.std()
    y, x = np.mgrid[:height, :width]
    shade = np.exp(-(((y - height / 2) / (0.9 * height)) ** 2) - ((x - width / 2) / (0.9 * width)) ** 2)
    centers = random.uniform([10, 10], [height - 10, width - 10], (cells, 2))
    calcium = np.zeros((cells, count))
    for begin in range(0, count, 25):
        for cell, start in enumerate(random.integers(begin, begin + 25, cells)):
            later = np.arange(count - start) if start < count else np.zeros(0)
            calcium[cell, start:] += 25 * np.exp(-later / 10) * (random.random() < 0.5)
    frames = np.empty((count, height, width), np.float32)
    for t in range(count):
        (down, right), (first, left) = np.modf(20 - shifts[t])
        rows = texture[int(first) :][: height + 1, int(left) :][:, : width + 1]
        rows = (1 - down) * rows[:-1] + down * rows[1:]
        cy, cx = (centers + shifts[t]).T
        blobs = (
            np.exp(-((line - c[:, None]) ** 2) / (2 * 3.4**2)) for line, c in ((y[:, 0], cy), (x[0], cx))
        )
        of_rows, of_columns = blobs
        lit = (calcium[:, t] * of_rows.T) @ of_columns
        frames[t] = (80 + (1 - right) * rows[:, :-1] + right * rows[:, 1:] + lit) * shade
    frames += random.normal(size=frames.shape).astype(np.float32) * noise
    return Made(frames, centers, shifts, random)


def look(frames: np.ndarray) -> Survey:
    """A survey of frames (T, H, W)."""
    return survey((frames[i : i + 64] for i in range(0, len(frames), 64)), frames.shape, frames.dtype)


def lens(made: Made, soft: float) -> np.ndarray:
    """A lens, an ellipse off the middle, whose edge stands still; its inside, bool (H, W)."""
    height, width = made.size
    random = made.random
    center = np.array([height, width]) / 2 + random.uniform(-0.06, 0.06, 2) * (height, width)
    radii = random.uniform(0.38, 0.46, 2) * (height, width)
    y, x = np.mgrid[:height, :width]
    distance = (np.hypot((y - center[0]) / radii[0], (x - center[1]) / radii[1]) - 1) * radii.mean()
    made.frames[:] = 12 + made.frames / (1 + np.exp(distance / (soft / 4)))
    made.frames += random.normal(size=made.frames.shape).astype(np.float32) * 1.5
    return distance < 0


def dead_lines(made: Made, kind: str, across: int = 1) -> np.ndarray:
    """One or two lines beside each other that are dead, stuck or dim; where, bool (H, W)."""
    random, (height, width) = made.random, made.size
    hit = np.zeros(made.size, bool)
    if random.random() < 0.5:
        start = random.integers(2, height - 4)
        hit[start : start + across] = True
    else:
        start = random.integers(2, width - 4)
        hit[:, start : start + across] = True
    if kind == "dim":
        made.frames[:, hit] *= random.uniform(0.6, 0.85)
    else:
        made.frames[:, hit] = {"dead": 0, "stuck": 200, "white": 255}[kind]
    return hit


def frame(made: Made) -> np.ndarray:
    """A black frame around the picture, each side of another width; where, bool (H, W)."""
    height, width = made.size
    top, bottom, left, right = made.random.integers(2, 14, 4)
    hit = np.ones(made.size, bool)
    hit[top : height - bottom, left : width - right] = False
    made.frames[:, hit] = made.random.integers(0, 30)
    return hit


def text(made: Made) -> np.ndarray:
    """Burned-in text on a dark ground in some corner; where, bool (H, W)."""
    height, width = made.size
    random = made.random
    rows, columns = random.integers(7, 11), random.integers(24, 40)
    top = random.integers(1, 4) if random.random() < 0.5 else height - rows - random.integers(1, 4)
    left = random.integers(1, 4) if random.random() < 0.5 else width - columns - random.integers(1, 4)
    hit = np.zeros(made.size, bool)
    hit[top : top + rows, left : left + columns] = True
    made.frames[:, hit] = 16
    ink = random.random((rows - 3, columns - 4)) < 0.4
    made.frames[:, top + 1 : top + rows - 2, left + 2 : left + columns - 2][:, ink] = 235
    return hit


def stuck_block(made: Made) -> np.ndarray:
    """A block of pixels that always say the same; where, bool (H, W)."""
    rows, columns = made.random.integers(2, 7, 2)
    top, left = (made.random.integers(10, length - 20) for length in made.size)
    hit = np.zeros(made.size, bool)
    hit[top : top + rows, left : left + columns] = True
    made.frames[:, hit] = made.random.integers(0, 255)
    return hit


def clock(made: Made) -> np.ndarray:
    """Digits in a corner that change every second; where, bool (H, W)."""
    hit = np.zeros(made.size, bool)
    hit[3:13, 4:46] = True
    made.frames[:, hit] = 16
    for second in range(0, len(made.frames), 20):
        ink = np.kron(made.random.random((8, 10)) < 0.5, np.ones((1, 4))) > 0
        made.frames[second : second + 20, 4:12, 5:45] = np.where(ink, 235, 16)
    return hit


def rim(made: Made, radius: float = 0.4) -> np.ndarray:
    """A lens whose rim shines, of some radius over the field's side; its inside, bool (H, W)."""
    height, width = made.size
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2) - radius * min(height, width)
    made.frames[:] = 12 + made.frames / (1 + np.exp(distance / 1.25))
    made.frames += 60 * np.exp(-(((distance - 4) / 2) ** 2))
    made.frames += made.random.normal(size=made.frames.shape).astype(np.float32) * 1.5
    return distance < -1


def dust(made: Made, spots: int = 4) -> np.ndarray:
    """Dark spots that stand still; what is left of the light, (H, W)."""
    height, width = made.size
    y, x = np.mgrid[:height, :width]
    left = np.ones(made.size)
    for row, column in zip(
        np.linspace(24, height - 24, spots), made.random.uniform(24, width - 24, spots), strict=True
    ):
        left -= 0.35 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 2.5**2))
    made.frames *= left.astype(np.float32)
    return left


#: rows that are lost on the way, and the share of their length
LOST = {"three rows": (3, 1.0), "one row": (1, 1.0), "half a row": (1, 0.5)}


def bands(made: Made, strength: float, width: float) -> None:
    """Bands along rows, other ones in each frame: so strong, and smooth over so many rows."""
    profile = gaussian_filter1d(made.random.normal(size=made.frames.shape[:2]), width, axis=1)
    made.frames += (profile * strength / profile.std()).astype(np.float32)[:, :, None]


def torn(made: Made, kind: str) -> np.ndarray:
    """Frames that are torn: rolled, moved sideways from some line on, or with lines of noise; which, bool (T,)."""
    random, (height, width) = made.random, made.size
    hit = np.zeros(len(made.frames), bool)
    for t in random.choice(np.arange(5, len(hit) - 5), 4, replace=False):
        line = int(random.integers(height // 4, 3 * height // 4))
        part = made.frames[t]
        if kind == "rolled":
            made.frames[t] = np.roll(part, line, 0)
        elif kind == "sideways":
            part[line:] = np.roll(part[line:], random.integers(20, 50), 1)
        elif kind == "other":
            part[line:] = made.frames[t - 1][: height - line]
        elif kind == "noise":
            part[line : line + 12] = random.uniform(0, 255, part[line : line + 12].shape)
        elif kind in LOST:
            rows, share = LOST[kind]
            start, length = int(random.integers(0, width * (1 - share) + 1)), int(width * share)
            part[line : line + rows, start : start + length] = random.choice([0, 255], (rows, length))
        else:
            part[line:] = 0
        hit[t] = True
    return hit


def striped(made: Made, hit: np.ndarray, rows: float) -> None:
    """In some frames, bool (T,), every other packet of so many rows lies where the next but one belongs."""
    packet = int(rows * made.size[1])
    flat = made.frames[hit].reshape(hit.sum(), -1)
    count = flat.shape[1] // packet
    packets = flat[:, : count * packet].reshape(len(flat), count, packet)
    packets[:, ::2] = np.roll(packets[:, ::2], 1, 1)
    made.frames[hit] = flat.reshape(-1, *made.size)


def gone(made: Made, kind: str) -> np.ndarray:
    """Frames without a picture: black (with a sensor's noise), white, or repeated; which, bool (T,)."""
    random, count = made.random, len(made.frames)
    hit = np.zeros(count, bool)
    start, length = random.integers(0, count - 40), random.integers(1, 20)
    hit[start : start + length] = True
    hit[random.integers(0, count - 1, 3)] = True
    if kind == "repeated":
        hit[0] = False
        for t in np.flatnonzero(hit):
            made.frames[t] = made.frames[t - 1]
    else:
        level = 255 if kind == "white" else random.uniform(0, 6)
        noise = random.normal(size=(int(hit.sum()), *made.size)) * (kind == "black")
        made.frames[hit] = level + noise
    return hit
