"""Whether a session is the recording that cells were found in, by what the cells do in it.

A session that was ingested anew, or got time stamps since, is another file of the same frames, and another
day's has the same shape: neither the file's content nor its size tell. Knows sessions and cells; must not
know what they are compared for.
"""

from __future__ import annotations

import numpy as np

from calcium_lightning.core.cells import Cells, StreamedCells
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.base_session import BaseSession

#: so many cells are looked at, each where it is brightest, and so many further frames from all over
CELLS, FRAMES = 40, 40
#: a cell's surroundings reach so far, pixels
SURROUNDINGS = 12
#: least correlation with what the cells' traces say; other days of the same field have .03, the same one .8
LEAST = 0.3


def check_recording(session: BaseSession, cells: Cells | StreamedCells) -> None:
    """Refuse a session that isn't the recording of cells.

    Raises
    ------
    InputError
        If it has other frames, or the cells' activity isn't seen in it and its content is another, too.
    """
    shape = (cells.n_frames, *cells.frame_shape)
    if session.shape != shape:
        raise InputError(f"{session.path}: has frames {session.shape}, the cells are of {shape}")
    # Other programs don't say which recording it was, nor how it moved.
    if not cells.session_sha256 or agreement(session, cells) >= LEAST:
        return
    if session.sha256() != cells.session_sha256:
        raise InputError(
            f"{session.path}: isn't the recording of these cells, whose activity isn't seen in it; they are "
            f"of {cells.session}"
        )


def agreement(session: BaseSession, cells: Cells | StreamedCells) -> float:
    """How far frames show cells as bright as their traces say, against their surroundings.

    Parameters
    ----------
    session : BaseSession
        Of the cells' shape.
    cells : Cells or StreamedCells
        With their motion.

    Returns
    -------
    float
        Correlation, -1 to 1; 1 where there is no cell to look at.
    """
    good = np.flatnonzero(cells.accepted & np.isfinite(cells.centers).all(1))
    snr = np.nan_to_num(cells.quality.get("snr", np.zeros(len(cells))))
    rows = good[np.argsort(-snr[good], kind="stable")[:CELLS]]
    if not len(rows):
        return 1.0
    traces = np.nan_to_num(np.concatenate([cells.denoised[slice(row, row + 1)] for row in rows.tolist()]))
    spread = np.linspace(0, session.n_frames - 1, FRAMES).astype(int)
    index = np.unique(np.concatenate([traces.argmax(1), spread]))
    places = np.rint(cells.centers[rows] + cells.shifts[index, None]).astype(int)
    seen = np.stack(
        [
            _contrasts(np.nan_to_num(session.frames(frame, frame + 1)[0].astype(np.float64)), at)
            for frame, at in zip(index.tolist(), places, strict=True)
        ],
        axis=1,
    )
    told = traces[:, index].astype(np.float64)
    seen -= np.median(seen, axis=1, keepdims=True)
    told -= np.median(told, axis=1, keepdims=True)
    length = float(np.linalg.norm(seen) * np.linalg.norm(told))
    return float((seen * told).sum()) / length if length > 0 else 0.0


def _contrasts(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How much brighter the pixels about places (K, 2) are than their surroundings, (K,)."""
    places = np.clip(places, 0, np.array(image.shape) - 1)

    def about(y: int, x: int, reach: int) -> np.ndarray:
        return image[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]

    return np.array(
        [about(y, x, 1).mean() - np.median(about(y, x, SURROUNDINGS)) for y, x in places.tolist()]
    )
