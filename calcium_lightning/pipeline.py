"""From a session file to cells, in one call: what ``extract`` does, for notebooks too.

Puts the rooms together: preprocessing, a detector, localisation to cells, and the scale of the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
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
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.nn.coordinates import CoordinateList
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.preprocess.check import motion_line
from calcium_lightning.preprocess.gaps import with_gaps
from calcium_lightning.preprocess.prepare import PreprocessSettings, prepare
from calcium_lightning.preprocess.prepared import NETWORK_DIAMETER, Prepared
from calcium_lightning.preprocess.repaired import RepairedSession
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
    bridge: bool = False,
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
    bridge : bool
        Bridge traces over bad frames, where they are ``nan`` otherwise.
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
    if preprocess is None or preprocess.repair_defects:
        session = RepairedSession.of(session)  # before anything looks at a frame
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
    original = session.original if isinstance(session, RepairedSession) else session
    kept = session.kept if isinstance(session, RepairedSession) else np.arange(session.n_frames)
    timestamps = original.timestamps
    if timestamps is None or fps is not None:
        timestamps = np.arange(original.n_frames) / rate
    cells = assemble(
        prepared,
        found,
        images,
        settings,
        timestamps[kept],
        session=str(session.path),
        session_sha256=session.sha256(),
        fps=rate,
        kind=session.kind,
        pixel_size_um=pixel_size_um or session.pixel_size_um,
        config=config,
        package_version=made_by(),
        field=None if session.field.all() else session.field,
    )
    cells = replace(cells, notes=_notes(session, cells))
    yield with_gaps(cells, kept, timestamps, bridge)


def _notes(session: Session, cells: StreamedCells) -> tuple[str, ...]:
    """What a person should know of the recording before trusting its cells."""
    if not isinstance(session, RepairedSession):
        return ()
    motion = motion_line(cells.shifts, cells.nonrigid, bool(session.view.outside.any()))
    return (*session.findings.lines(), *([motion] if motion else []))


def write_foreground(prepared: Prepared, movie: ScratchMovie, device: torch.device | str = "cpu") -> Images:
    """Bring every frame of a session to the network's scale, and look at the registered frames on the way."""
    session = prepared.session
    summary = RegisteredSummary(session.shape[1:])
    with progress("preparing", session.n_frames) as advance:
        for start, frames in session.chunks(CHUNK_PIXELS // (session.height * session.width)):
            movie.append(prepared.foreground_of(torch.from_numpy(frames).to(device), start))
            span = slice(start, start + len(frames))
            summary.add(frames, prepared.tiles(span), prepared.gain[span], prepared.offset[span])
            advance(len(frames))
    return Images(summary.mean, summary.max)
