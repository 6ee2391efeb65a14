"""From a session file to cells, in one call: what ``extract`` does, for notebooks too.

Puts the rooms together: preprocessing, a detector, localisation to cells, and the scale of the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from calcium_lightning import __version__
from calcium_lightning.assembly import Images, assemble
from calcium_lightning.cells import Cells, StreamedCells
from calcium_lightning.data.windows import WindowSettings
from calcium_lightning.errors import InputError
from calcium_lightning.localize.cells import CellFinder, LocalizeSettings
from calcium_lightning.localize.detect import Detector, Movie, detect
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.nn.coordinates import CoordinateList
from calcium_lightning.preprocess.prepared import NETWORK_DIAMETER, Prepared
from calcium_lightning.preprocess.statistics import PreprocessSettings, prepare
from calcium_lightning.progress import progress
from calcium_lightning.session import Session

#: frames that are brought to the network's scale at a time
CHUNK = 64


def extract_cells(
    session: Session, detector: Detector, window: WindowSettings, cell_diameter: float, **how: Any
) -> Cells:
    """Find the cells of a session, in memory; the parameters are those of :func:`streamed_cells`."""
    with streamed_cells(session, detector, window, cell_diameter, **how) as cells:
        return cells.in_memory()


@contextmanager
def streamed_cells(
    session: Session,
    detector: Detector,
    window: WindowSettings,
    cell_diameter: float,
    *,
    preprocess: PreprocessSettings | None = None,
    settings: LocalizeSettings | None = None,
    fps: float | None = None,
    pixel_size_um: float | None = None,
    device: torch.device | str = "cpu",
    config: str = "",
) -> Iterator[StreamedCells]:
    """Find the cells of a session in memory that doesn't grow with its number of frames.

    Traces and localisations are on disk, and gone when the context ends.

    Parameters
    ----------
    session : Session
        The recording.
    detector : Detector
        A :class:`~calcium_lightning.nn.network.LocalizationNetwork`, or the baseline.
    window : WindowSettings
        What the detector looks at.
    cell_diameter : float
        Full width at half maximum of a typical footprint, session pixels.
    preprocess, settings : optional
        How frames are prepared, and how localisations become cells.
    fps, pixel_size_um : float, optional
        In place of the session's.
    device : torch.device or str
        Where the network runs.
    config : str
        Kept in the result (YAML).

    Yields
    ------
    StreamedCells
        Sorted by score, the best first.

    Raises
    ------
    InputError
        If the session is too short, or its cells are too large for its field.
    """
    settings = settings or LocalizeSettings()
    rate = fps or session.fps
    least = max(4, round(window.seconds * rate))
    if session.n_frames < least:
        raise InputError(
            f"{session.path}: {session.n_frames} frames are fewer than a window of {window.seconds:g} s "
            f"({least} frames at {rate:g} Hz)"
        )
    prepared = prepare(session, cell_diameter, preprocess, fps=fps, device=device)
    if min(prepared.scale.size) < 2 * NETWORK_DIAMETER:
        raise InputError(
            f"{session.path}: cells of {cell_diameter:g} px don't fit a field of {session.shape[1:]} px; "
            "check cell_diameter="
        )

    def run(movie: Movie, stride: int) -> Iterable[CoordinateList]:
        return detect(
            movie, detector, window, rate, threshold=settings.threshold, stride=stride, device=device
        )

    with ScratchMovie(prepared.scale.size) as movie:
        images = write_foreground(prepared, movie, device)
        found = CellFinder(movie, prepared.noise, prepared.background_sigma, rate, run, settings).find()
    timestamps = session.timestamps
    yield assemble(
        prepared,
        found,
        images,
        settings,
        timestamps if timestamps is not None and fps is None else np.arange(session.n_frames) / rate,
        session=str(session.path),
        session_sha256=session.sha256(),
        fps=rate,
        kind=session.kind,
        pixel_size_um=pixel_size_um or session.pixel_size_um,
        config=config,
        package_version=__version__,
    )


def write_foreground(prepared: Prepared, movie: ScratchMovie, device: torch.device | str = "cpu") -> Images:
    """Bring every frame of a session to the network's scale, and look at the registered frames on the way."""
    session = prepared.session
    total = np.zeros(session.shape[1:], np.float64)
    count = np.zeros(session.shape[1:], np.float64)
    peak = np.full(session.shape[1:], -np.inf, np.float32)
    with progress("preparing", session.n_frames) as advance:
        for start, frames in session.chunks(CHUNK):
            block = torch.from_numpy(frames.astype(np.float32)).to(device)
            movie.append(prepared.foreground_of(block, start))
            registered, rows, columns = _registered(frames, prepared, start)
            total += registered.sum(0, dtype=np.float64)
            count += rows.T.astype(np.float64) @ columns
            np.maximum(peak, registered.max(0), out=peak)
            advance(len(frames))
    mean = (total / np.maximum(count, 1)).astype(np.float32)
    return Images(mean, np.where(count > 0, peak, 0).astype(np.float32))


def _registered(
    frames: np.ndarray, prepared: Prepared, start: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames moved back by whole pixels, 0 where nothing was seen; rows (n, H) and columns (n, W) seen."""
    shifts = np.round(prepared.shifts[start : start + len(frames)]).astype(int)
    _, height, width = frames.shape
    y = np.arange(height) + shifts[:, :1]
    x = np.arange(width) + shifts[:, 1:]
    rows, columns = (y >= 0) & (y < height), (x >= 0) & (x < width)
    index = np.arange(len(frames))[:, None, None]
    moved = frames[index, np.clip(y, 0, height - 1)[:, :, None], np.clip(x, 0, width - 1)[:, None, :]].astype(
        np.float32
    )
    gain = prepared.gain[start : start + len(frames), None, None]
    offset = prepared.offset[start : start + len(frames), None, None]
    moved = (moved - offset) / gain
    moved *= rows[:, :, None]
    moved *= columns[:, None, :]
    return moved, rows, columns
