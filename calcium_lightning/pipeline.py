"""From a session file to cells, in one call: what ``extract`` does, for notebooks too.

Puts the rooms together: preprocessing, a detector, localisation to cells, and the scale of the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from calcium_lightning.core.cells import Cells, StreamedCells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.progress import progress
from calcium_lightning.io.origin import made_by
from calcium_lightning.io.session import Session
from calcium_lightning.localize.assemble import Images, assemble
from calcium_lightning.localize.detect import Detector, Movie, detect
from calcium_lightning.localize.finder import CellFinder, LocalizeSettings
from calcium_lightning.localize.neuropil import NODE_STEP, remove_neuropil
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.nn.coordinates import CoordinateList
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.preprocess.prepare import PreprocessSettings, prepare
from calcium_lightning.preprocess.prepared import NETWORK_DIAMETER, Prepared
from calcium_lightning.preprocess.summary import RegisteredSummary

#: pixels of the session that are brought to the network's scale at a time: 64 frames of 256x256
CHUNK_PIXELS = 64 * 256**2


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
        if settings.neuropil is None:
            images = write_foreground(prepared, movie, device)
        else:
            with ScratchMovie(background_size(prepared)) as background:
                images = write_foreground(prepared, movie, device, background)
                remove_neuropil(movie, background, prepared.knots.numpy(), settings.neuropil)
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
        package_version=made_by(),
    )


def background_size(prepared: Prepared) -> tuple[int, int]:
    """Rows and columns of the places at which a session's background is kept."""
    rows, columns = (len(range(NODE_STEP // 2, length, NODE_STEP)) for length in prepared.scale.size)
    return rows, columns


def write_foreground(
    prepared: Prepared,
    movie: ScratchMovie,
    device: torch.device | str = "cpu",
    background: ScratchMovie | None = None,
) -> Images:
    """Bring every frame of a session to the network's scale, and look at the registered frames on the way.

    Parameters
    ----------
    prepared : Prepared
        The session.
    movie : ScratchMovie
        Takes the foreground, in units of its noise.
    device : torch.device or str
        Where to compute.
    background : ScratchMovie, optional
        Takes what was removed, :func:`background_size`, in units of the typical noise, the first frame's mean
        at 0.
    """
    session = prepared.session
    summary = RegisteredSummary(session.shape[1:])
    unit, level = prepared.noise.median(), None
    with progress("preparing", session.n_frames) as advance:
        for start, frames in session.chunks(CHUNK_PIXELS // (session.height * session.width)):
            foreground, removed = prepared.layers_of(torch.from_numpy(frames).to(device), start, NODE_STEP)
            movie.append(foreground)
            if background is not None:
                level = removed[0].mean() if level is None else level
                background.append((removed - level) / unit)
            span = slice(start, start + len(frames))
            summary.add(frames, prepared.tiles(span), prepared.gain[span], prepared.offset[span])
            advance(len(frames))
    return Images(summary.mean, summary.max)
