"""Stripes of a UCLA Miniscope V4, whose packets were written in each other's places: put in order again.

The scope's DAQ hands its frames on in packets that take turns in two buffers. When it loses one (a plug that
isn't seated, static), each packet of one buffer is written where that buffer's next one belongs, or the one
before, often until the recording ends: stripes of 13 rows, every other of them displaced by 27. Nothing is
lost (https://github.com/austinbaggetta/UCLA_V4_Stripe_Cleaner). Knows recordings; nothing of formats.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from calcium_lightning.io.readers.base import Recording

#: side of the sensor's frames, and pixels of a packet
SIDE, PACKET = 608, 8184
WHOLE = SIDE * SIDE // PACKET
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


def order_of(frames: np.ndarray) -> np.ndarray:
    """Row of :data:`ORDERS` in which the packets of each frame (n, SIDE, SIDE) fit best, int (n,)."""
    flat = frames.reshape(len(frames), -1)
    starts = PACKET * np.arange(WHOLE + 1)
    row = np.arange(SIDE)
    first, last = (
        flat[:, places].reshape(len(frames), -1, SIDE // SEGMENT, SEGMENT).mean(-1, dtype=np.float32)
        for places in (starts[:, None] + row, starts[1:, None] - SIDE + row)
    )
    rest = np.full((len(ORDERS), 1), WHOLE)  # what is left at the end is no whole packet, and stays
    below = np.concatenate([ORDERS[:, 1:], rest], 1)
    seams = np.stack(
        [
            np.abs(last[:, upper] - first[:, lower]).mean((1, 2))
            for upper, lower in zip(ORDERS, below, strict=True)
        ]
    )
    best = seams.argmin(0)
    return np.where(seams.min(0) < BETTER * seams[0], best, 0)


def in_order(frames: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Frames (n, SIDE, SIDE) with each one's packets in an order of :data:`ORDERS`; a copy."""
    flat = frames.reshape(len(frames), -1).copy()
    packets = flat[:, : WHOLE * PACKET].reshape(len(frames), WHOLE, PACKET)
    packets[:] = np.take_along_axis(packets, ORDERS[order][:, :, None], 1)
    return flat.reshape(frames.shape)


class PacketsInOrder(Recording):
    """A recording of a Miniscope V4, without stripes.

    The one packet that a buffer lacks at a frame's end is the one of the frame before or after.

    Parameters
    ----------
    whole : Recording
        As it was written; closed with this one.
    """

    def __init__(self, whole: Recording) -> None:
        self._whole = whole
        self._said: tuple[str, ...] = ()
        self._striped = np.zeros(whole.n_frames, bool)
        for name in Recording.__annotations__:
            if name != "notes":
                setattr(self, name, getattr(whole, name))

    @classmethod
    def of(cls, recording: Recording) -> Recording:
        """The same recording, if it can't be a V4's, or is a session, whose frames are what they are."""
        whole = recording.shape[1:] == (SIDE, SIDE) and recording.dtype == np.uint8
        plain = recording.kind != "dff" and not hasattr(recording, "session")
        return cls(recording) if whole and plain else recording

    def __getattr__(self, name: str) -> object:
        """What only some recordings know: cells, motion, a field."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._whole, name)

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What its user should know."""
        notes = (*self._whole.notes, *self._said)
        if not self._striped.any():
            return notes
        return (
            *notes,
            f"stripes in {self._striped.sum()} of {self.n_frames} frames (packets of the DAQ in each other's "
            "places): put in order; before the next recording, reseat the scope's cable and restart",
        )

    def note(self, text: str) -> None:
        """Add to what the user should know."""
        self._said = (*self._said, text)

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Frames [start, stop), without stripes."""
        for block in self._whole.blocks(start, stop, size):
            order = order_of(block)
            self._striped[start : start + len(block)] = order > 0
            start += len(block)
            yield in_order(block, order) if order.any() else block

    def close(self) -> None:
        """Close the recording as it was written."""
        self._whole.close()
