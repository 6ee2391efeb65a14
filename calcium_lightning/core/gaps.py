"""Bad frames put back: cells of the frames that were used, in the time of the whole recording.

What was not measured is ``nan``, or bridged by a line where that is asked for; a frame that repeats the one
before shows what that one shows. Knows cells and arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from calcium_lightning.core.cells import Cells, LocalizationBlocks, Localizations, Rows, StreamedCells


@dataclass(frozen=True)
class GappedRows:
    """Traces (K, T) of which only some frames are known.

    Attributes
    ----------
    rows : Rows
        (K, T'), of those frames.
    kept : ndarray of int (T',)
        Which they are.
    n_frames : int
        T.
    bridged : bool
        Whether the others lie on a line between them; ``nan`` otherwise.
    repeated : ndarray, bool (T,), optional
        Frames that show what the one before shows, and have its value.
    once : bool
        What a frame tells happened in it, and not again in its repeats: there it is 0.
    """

    rows: Rows
    kept: np.ndarray
    n_frames: int
    bridged: bool = False
    repeated: np.ndarray | None = None
    once: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(K, T)."""
        return self.rows.shape[0], self.n_frames

    def __getitem__(self, rows: slice) -> np.ndarray:
        seen, source = _shown(self.kept, self.n_frames, self.repeated)
        known = self.rows[rows][:, source]
        if self.once and self.repeated is not None:
            known[:, self.repeated[seen]] = 0
        if self.bridged:
            return bridged(known.T, seen, self.n_frames).T
        whole = np.full((len(known), self.n_frames), np.nan, np.float32)
        whole[:, seen] = known
        return whole


def _shown(kept: np.ndarray, count: int, repeated: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Frames that show something, and which of those that were used each of them shows."""
    place = np.full(count, -1)
    place[kept] = np.arange(len(kept))
    if repeated is not None:
        frames = np.arange(count)
        place = place[np.maximum.accumulate(np.where(repeated, 0, frames))]
    seen = np.flatnonzero(place >= 0)
    return seen, place[seen]


@dataclass(frozen=True)
class GappedLocalizations:
    """Localisations whose frames are counted in the whole recording.

    Attributes
    ----------
    localizations : LocalizationBlocks
        Counted in the frames that were used.
    kept : ndarray of int (T',)
        Which those are.
    """

    localizations: LocalizationBlocks
    kept: np.ndarray

    def blocks(self) -> Iterator[Localizations]:
        """Yield them in the order of their frames."""
        for block in self.localizations.blocks():
            yield replace(block, frame=self.kept[block.frame].astype(np.int32))


def with_gaps(
    cells: StreamedCells,
    kept: np.ndarray,
    timestamps: np.ndarray,
    bridge: bool = False,
    repeated: np.ndarray | None = None,
) -> StreamedCells:
    """Cells of some frames as cells of all frames.

    Parameters
    ----------
    cells : StreamedCells
        Of T' frames.
    kept : ndarray of int (T',)
        Which frames of the recording those are.
    timestamps : ndarray, float64 (T,)
        Of the recording.
    bridge : bool
        Bridge traces over the frames that weren't used; they are ``nan`` otherwise. Motion always is.
    repeated : ndarray, bool (T,), optional
        Frames that weren't used because they show what the one before shows: no bad ones.
    """
    count = len(timestamps)
    if len(kept) == count:
        return replace(cells, timestamps=timestamps)
    seen, source = _shown(kept, count, repeated)
    bad = np.ones(count, bool)
    bad[seen] = False
    patches = cells.patch_shifts
    return replace(
        cells,
        traces=GappedRows(cells.traces, kept, count, bridge, repeated),
        denoised=GappedRows(cells.denoised, kept, count, bridge, repeated),
        spikes=GappedRows(cells.spikes, kept, count, bridge, repeated, once=True),
        localizations=GappedLocalizations(cells.localizations, kept),
        shifts=bridged(cells.shifts[source], seen, count),
        patch_shifts=None if patches is None else bridged(patches[source], seen, count),
        timestamps=timestamps,
        bad_frames=bad if bad.any() else None,
    )


def without_gaps(cells: Cells) -> Cells:
    """Cells whose traces are bridged where they hold no number, and have no activity there: to be drawn."""
    traces, denoised = map(_rows_bridged, (cells.traces, cells.denoised))
    spikes = np.where(np.isfinite(cells.spikes), cells.spikes, np.float32(0))
    return replace(cells, traces=traces, denoised=denoised, spikes=spikes)


def _rows_bridged(values: np.ndarray) -> np.ndarray:
    """Rows (K, T), each on lines over what of it is no number; 0 where nothing is."""
    known, frames = np.isfinite(values), np.arange(values.shape[1])
    if known.all():
        return values
    found = np.where(known, values, np.float32(0))
    for k in np.flatnonzero(~known.all(1) & known.any(1)):
        found[k] = np.interp(frames, frames[known[k]], values[k, known[k]])
    return found


def bridged(values: np.ndarray, kept: np.ndarray, count: int) -> np.ndarray:
    """Values (T', ...) at some frames, on lines between them at the others, float32 (T, ...)."""
    frames = np.arange(count)
    right = np.searchsorted(kept, frames).clip(0, len(kept) - 1)
    left = np.where(kept[right] == frames, right, np.maximum(right - 1, 0))
    span = np.maximum(kept[right] - kept[left], 1)
    share = np.clip((frames - kept[left]) / span, 0, 1).astype(np.float32)
    share = share.reshape(-1, *(1,) * (values.ndim - 1))
    return (values[left] * (1 - share) + values[right] * share).astype(np.float32)
