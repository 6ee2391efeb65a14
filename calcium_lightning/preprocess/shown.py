"""Where places of the tissue lie in the frames: whether they show it, and how near its edges they are.

Knows a prepared session and points; must not know what is at them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from calcium_lightning.preprocess.prepared import Prepared

#: share of the frames in which a cell must be clear of what shows no tissue
SHOWN = 0.8
#: a lens's edge that goes on beyond the frames' border is no farther from it, cell diameters
NEAR_EDGE = 0.5
#: frames that are looked at, spread evenly
FRAMES = 512
#: a cell that lies nearer to the border of what a frame shows is cut by it, cell diameters; and by so much it
#: must lie further in at another time to be told by that alone
CUT, FURTHER = 0.5, 0.5
#: ... in a quarter of the frames that show it, of these
QUARTER, SOME_FRAMES = 75, 128
#: pixels of the network between places for which that is told
STEP = 2
#: the field drifts, or jumps for good, where its median over so many seconds moves; cells that are cut for
#: moments gather where they are all the same
LONG_S = 5.0


def shows(prepared: Prepared, points: np.ndarray) -> np.ndarray:
    """Whether points (K, 2), session pixels, show tissue most of the time, bool (K,)."""
    usable = prepared.usable
    if usable is None or not len(points):
        return np.ones(len(points), bool)
    return usable.numpy()[_pixels_of(prepared, points)].mean(0) >= SHOWN


def from_edge(prepared: Prepared, points: np.ndarray) -> np.ndarray | None:
    """How far points (K, 2), session pixels, lie from a lens's edge, whose shade moves against them.

    Cell diameters, in half of the frames at least, (K,); None where no lens shows.
    """
    view = getattr(prepared.session, "view", None)
    if view is None or not view.outside.any():
        return None
    outside = _going_on(view.outside, NEAR_EDGE * prepared.cell_diameter)
    distance = distance_transform_edt(~outside)[1:-1, 1:-1] / prepared.cell_diameter
    return np.median(distance[_pixels_of(prepared, points)], 0)


def _going_on(outside: np.ndarray, near: float) -> np.ndarray:
    """What lies outside a lens, bool (H, W), and where it goes on just beyond the frames, (H + 2, W + 2).

    A round lens about as large as the frames leaves them for a while, and is no farther beyond than ``near``.
    """
    wide = np.pad(outside, 1, mode="edge")
    bottom, right = np.array(wide.shape) - 1
    down, along = np.arange(bottom), np.arange(right)
    around = (  # once, from the upper left corner
        np.concatenate([0 * along, down, 0 * along + bottom, bottom - down]),
        np.concatenate([along, 0 * down + right, right - along, 0 * down]),
    )
    seen = np.flatnonzero(wide[around])
    if len(seen):
        # The chord of a circle as wide as the frames at that depth.
        chord = 2 * np.sqrt(min(outside.shape) * near)
        steps = np.diff(seen, append=seen[0] + len(around[0]))
        wide[around] |= np.roll(np.repeat(steps <= chord, steps), seen[0])
    return wide


def _pixels_of(prepared: Prepared, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (n, K) where points (K, 2) of the tissue lay in the frames that are looked at."""
    index = np.unique(np.linspace(0, len(prepared.shifts) - 1, FRAMES).astype(int))
    shifts = prepared.shifts_at(points)[index]
    places = np.round(np.nan_to_num(points)[None] + shifts).astype(int)
    row, column = (
        np.clip(places[..., axis], 0, length - 1) for axis, length in enumerate(prepared.scale.field)
    )
    return row, column


@dataclass(frozen=True)
class PassingBorder:
    """The border of what frames show, as it passes over tissue that drifts by more than half a cell.

    A cell that the border cuts seems to lie further in than it does, and elsewhere each time: where a field
    drifts, or recordings are joined, one cell is told as several.

    Attributes
    ----------
    prepared : Prepared
        The session.
    depth : ndarray, float32 (H, W)
        How far each pixel of a frame lies inside what frames show, pixels.
    usual : ndarray, float32 (rows, columns)
        How far inside each place of the tissue lies at its best, pixels; every :data:`STEP` network pixels.
    """

    prepared: Prepared
    depth: np.ndarray
    usual: np.ndarray

    @classmethod
    def of(cls, prepared: Prepared) -> PassingBorder | None:
        """That of a session; None where the field drifts less."""
        length = len(prepared.shifts)
        count = int(np.clip(round(length / (LONG_S * prepared.fps)), 1, length))
        places = [np.median(part, 0) for part in np.array_split(prepared.shifts, count)]
        if np.ptp(places, 0).max() < FURTHER * prepared.cell_diameter:
            return None
        usable = prepared.usable
        shown = np.ones(prepared.scale.field, bool) if usable is None else usable.numpy()
        depth = distance_transform_edt(np.pad(shown, 1))[1:-1, 1:-1].astype(np.float32)
        lines = [np.arange(0, side, STEP) for side in prepared.scale.size]
        points = prepared.scale.to_session(np.stack(np.meshgrid(*lines, indexing="ij"), -1))
        found = np.stack([_looked_up(depth, points + shift) for shift in prepared.shifts[_some(length)]])
        found[found == 0] = np.nan
        unseen = np.isnan(found).all(0)
        found[:, unseen] = 0
        return cls(prepared, depth, np.nanpercentile(found, QUARTER, axis=0).astype(np.float32))

    def cuts(self, frames: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Which cells at points (..., 2), session pixels, it cuts in frames (...), but not always, bool."""
        depth = _looked_up(self.depth, points + self.prepared.shifts[frames])
        place = np.round(self.prepared.scale.to_network(points) / STEP).astype(int)
        row, column = (place[..., axis].clip(0, length - 1) for axis, length in enumerate(self.usual.shape))
        diameter = self.prepared.cell_diameter
        cut: np.ndarray = (depth < CUT * diameter) & (self.usual[row, column] - depth > FURTHER * diameter)
        return cut

    def cut_frames(self, points: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Which of points (K, 2), session pixels, it cuts now and then, and in which frames, bool (T,)."""
        points, frames = np.nan_to_num(points), np.arange(len(self.prepared.shifts))
        now_and_then = self.cuts(_some(len(frames))[:, None], points).any(0)
        for row in np.flatnonzero(now_and_then).tolist():
            yield row, self.cuts(frames, points[row])


def _some(length: int) -> np.ndarray:
    """A few of so many frames, spread evenly."""
    return np.unique(np.linspace(0, length - 1, SOME_FRAMES).astype(int))


def _looked_up(depth: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The depth at places (..., 2) of a frame, pixels; 0 beyond it."""
    row, column = np.moveaxis(np.round(places).astype(int), -1, 0)
    within = (row >= 0) & (row < depth.shape[0]) & (column >= 0) & (column < depth.shape[1])
    return np.where(within, depth[row.clip(0, depth.shape[0] - 1), column.clip(0, depth.shape[1] - 1)], 0.0)
