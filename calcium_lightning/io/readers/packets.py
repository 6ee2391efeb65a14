"""Stripes of a UCLA Miniscope V4, whose packets were written in each other's places: put in order again.

The scope's DAQ hands its frames on in packets that take turns in two buffers. When it loses one (a plug that
isn't seated, static), each packet of one buffer is written where that buffer's next one belongs, or the one
before, often until the recording ends: stripes of 13 rows, every other of them displaced by 27. Nothing is
lost (https://github.com/austinbaggetta/UCLA_V4_Stripe_Cleaner). Knows recordings; nothing of formats.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import distance_transform_edt

from calcium_lightning.io.readers.base import Recording

#: side of the sensor's frames, and pixels of a packet
SIDE, PACKET = 608, 8184
WHOLE = SIDE * SIDE // PACKET
#: rows or columns of the sensor that recordings leave out at most
SPARE = 16
#: how many of its own packets one buffer may be ahead or behind
FURTHEST = 2
#: pixels along a seam whose means are compared: noise is gone
SEGMENT = 16
#: in another order the packets fit each other so much better, or they are in order: of frames in order any
#: other fits worse
BETTER = 0.6


def _orders() -> np.ndarray:
    """Which packet belongs where if a buffer is ahead or behind, int (9, WHOLE); in the first, none is."""
    orders = [np.arange(WHOLE)]
    for buffer in (0, 1):
        own = np.arange(buffer, WHOLE, 2)
        for step in (*range(-FURTHEST, 0), *range(1, FURTHEST + 1)):
            order = np.arange(WHOLE)
            order[own] = np.roll(own, step)
            orders.append(order)
    return np.stack(orders)


ORDERS = _orders()


class Sensor:
    """The packets of the sensor's frames, of which a recording keeps (H, W) pixels.

    Parameters
    ----------
    size : (int, int)
        (H, W).
    origin : (int, int)
        (y, x) of the first pixel that is kept.
    """

    def __init__(self, size: tuple[int, int], origin: tuple[int, int]) -> None:
        self.size, self._origin = size, origin
        self._written: dict[int, np.ndarray] = {}
        starts, row = PACKET * np.arange(WHOLE + 1)[:, None], np.arange(SIDE)
        self._first, self._last = self._kept(starts + row), self._kept(starts[1:] - SIDE + row)

    @classmethod
    def all_of(cls, size: tuple[int, int]) -> list[Sensor]:
        """Where on the sensor frames (H, W) may lie: at its beginning, or in its middle; none: they don't."""
        spare = SIDE - size[0], SIDE - size[1]
        if not 0 <= min(spare) <= max(spare) <= SPARE:
            return []
        return [cls(size, origin) for origin in sorted({(0, 0), (spare[0] // 2, spare[1] // 2)})]

    def _kept(self, places: np.ndarray) -> np.ndarray:
        """Where in a frame that is kept places of the sensor's lie, or what is nearest to them."""
        lines = np.unravel_index(places, (SIDE, SIDE))
        inside = (
            np.clip(line - first, 0, side - 1)
            for line, first, side in zip(lines, self._origin, self.size, strict=True)
        )
        return np.ravel_multi_index(tuple(inside), self.size)

    def order_of(self, frames: np.ndarray) -> np.ndarray:
        """Row of :data:`ORDERS` in which the packets of each frame (n, H, W) fit best, int (n,)."""
        flat = frames.reshape(len(frames), -1)
        first, last = (
            flat[:, places].reshape(len(frames), -1, SIDE // SEGMENT, SEGMENT).mean(-1, dtype=np.float32)
            for places in (self._first, self._last)
        )
        rest = np.full((len(ORDERS), 1), WHOLE)  # what is left at the end is no whole packet, and stays
        below = np.concatenate([ORDERS[:, 1:], rest], 1)
        seams = np.stack(
            [
                np.abs(last[:, upper] - first[:, lower]).mean((1, 2))
                for upper, lower in zip(ORDERS, below, strict=True)
            ]
        )
        return np.where(seams.min(0) < BETTER * seams[0], seams.argmin(0), 0)

    def in_order(self, frames: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Frames (n, H, W) with each one's packets in an order of :data:`ORDERS`; a copy."""
        result = frames.copy()
        for row in np.unique(order[order > 0]).tolist():
            which = order == row
            if row not in self._written:
                self._written[row] = self._where_written(row)
            result[which] = frames[which].reshape(which.sum(), -1)[:, self._written[row]]
        return result

    def _where_written(self, row: int) -> np.ndarray:
        """Where in a frame each of its pixels was written, int (H, W); of what wasn't kept, the nearest."""
        place = np.arange(SIDE * SIDE)
        place[: WHOLE * PACKET] = (ORDERS[row][:, None] * PACKET + np.arange(PACKET)).ravel()
        window = tuple(
            slice(first, first + side) for first, side in zip(self._origin, self.size, strict=True)
        )
        place = place.reshape(SIDE, SIDE)[window]
        lines = np.unravel_index(place, (SIDE, SIDE))
        lost = np.zeros(self.size, bool)
        for line, first, side in zip(lines, self._origin, self.size, strict=True):
            lost |= (line < first) | (line >= first + side)
        nearest = distance_transform_edt(lost, return_distances=False, return_indices=True)
        return self._kept(place)[tuple(nearest)]


class PacketOrder:
    """Puts packets of a V4's frames in order; where on the sensor they lie, the first stripes tell."""

    def __init__(self) -> None:
        self._size: tuple[int, ...] = ()
        self._sensors: list[Sensor] = []

    def restore(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames (n, H, W) without stripes, and which had some, bool (n,); no V4's stay as they are."""
        if frames.shape[1:] != self._size:
            self._size = frames.shape[1:]
            self._sensors = Sensor.all_of((frames.shape[1], frames.shape[2]))
        for sensor in self._sensors if frames.dtype == np.uint8 else ():
            order = sensor.order_of(frames)
            if order.any():
                self._sensors = [sensor]
                return sensor.in_order(frames, order), order > 0
        return frames, np.zeros(len(frames), bool)


class PacketsInOrder(Recording):
    """A recording of a Miniscope V4, without stripes.

    The one packet that a buffer lacks at a frame's end is the one of the frame before or after; what lies in
    places whose pixels weren't kept (recordings of 600 x 600) is filled with the nearest.

    Parameters
    ----------
    whole : Recording
        As it was written; closed with this one.
    """

    def __init__(self, whole: Recording) -> None:
        self._whole = whole
        self._packets = PacketOrder()
        self._striped = np.zeros(whole.n_frames, bool)
        self._said = ""
        for name in Recording.__annotations__:
            setattr(self, name, getattr(whole, name))

    @classmethod
    def of(cls, recording: Recording) -> Recording:
        """The same recording, if it can't be a V4's, or is a session, whose frames are what they are."""
        plain = recording.kind != "dff" and not hasattr(recording, "session")
        if not plain or recording.dtype != np.uint8 or not Sensor.all_of(recording.shape[1:]):
            return recording
        return cls(recording)

    def __getattr__(self, name: str) -> object:
        """What only some recordings know: cells, motion, a field."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._whole, name)

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Frames [start, stop), without stripes."""
        for block in self._whole.blocks(start, stop, size):
            restored, striped = self._packets.restore(block)
            self._striped[start : start + len(block)] = striped
            start += len(block)
            if striped.any():
                self._say()
            yield restored

    def _say(self) -> None:
        """Say in how many frames there were stripes so far, once however often they are read."""
        others = tuple(note for note in self.notes if note != self._said)
        self._said = (
            f"stripes in {self._striped.sum()} of {self.n_frames} frames (packets of the DAQ in each other's "
            "places): put in order; before the next recording, reseat the scope's cable and restart"
        )
        self.notes = (*others, self._said)

    def close(self) -> None:
        """Close the recording as it was written."""
        self._whole.close()
