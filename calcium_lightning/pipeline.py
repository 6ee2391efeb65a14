"""From a recording to cells, in one call: what ``extract`` does, for notebooks too.

Puts the rooms together: a recording given as whatever it is, preprocessing, a detector, localisation to
cells, and the scale of the session. :func:`extract` gives cells in memory; :func:`extract_streamed`, beside
it, leaves what grows with the recording on disk, for writing a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calcium_lightning.core.cells import Cells, StreamedCells
from calcium_lightning.core.device import choose_device
from calcium_lightning.core.errors import InputError, positive
from calcium_lightning.core.gaps import with_gaps
from calcium_lightning.core.memory import give_back_freed
from calcium_lightning.core.motion_summary import MotionSummary
from calcium_lightning.core.parts import import_parts
from calcium_lightning.core.pieces import on_all_cores
from calcium_lightning.core.scale import NETWORK_DIAMETER
from calcium_lightning.io.array_session import as_session
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.io.origin import package_stamp
from calcium_lightning.localize.assemble import assemble
from calcium_lightning.localize.detect import Movie, detect
from calcium_lightning.localize.detectors.base import WindowDetector
from calcium_lightning.localize.finder import CellFinder, LocalizeSettings
from calcium_lightning.localize.foreground import write_foreground
from calcium_lightning.localize.localizer import Localizer
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.localize.solvers import solvers
from calcium_lightning.localize.twin import find_both
from calcium_lightning.localize.wandering import wandering, wandering_line
from calcium_lightning.nn.checkpoint import load_network
from calcium_lightning.nn.coordinates import LocalizationBatch
from calcium_lightning.preprocess.check import motion_line, rate_line
from calcium_lightning.preprocess.diameter import (
    DiameterGuess,
    cell_diameter_of,
    check_diameter,
    guess_diameter,
)
from calcium_lightning.preprocess.prepare import PreprocessSettings, as_settings, prepare
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.preprocess.repaired import RepairedSession, kept_frames, rate_of, repeated_frames
from calcium_lightning.preprocess.shown import PassingBorder


@dataclass(frozen=True)
class Extraction:
    """What was found in a recording, and what was done to it on the way.

    Attributes
    ----------
    cells : StreamedCells
        Sorted by score, the best first.
    prepared : Prepared
        The recording as the detector saw it: its motion, baseline, noise, diameter, defects. Bad frames are
        not among its frames; in the cells, they are back in their place.
    """

    cells: StreamedCells
    prepared: Prepared

    def __str__(self) -> str:
        """What the user should know: what was found, in one line, and a line for each of the cells' notes."""
        cells, session = self.cells, self.prepared.session
        parts = [
            f"{int(cells.accepted.sum())} cells accepted of {len(cells)} found",
            f"{cells.n_frames} frames",
            f"cell diameter {self.prepared.cell_diameter:.1f} px",
            "" if cells.nonrigid is None else str(MotionSummary.of(cells)),
            str(session.defects) if isinstance(session, RepairedSession) else "",
        ]
        line = ", ".join(part for part in parts if part)
        if cells.verdict:
            line = f"{line}; {cells.verdict}"
        return "\n  ".join([line, *cells.notes])


def extract(
    recording: Any,
    *,
    fps: float | None = None,
    cell_diameter: float | None = None,
    cell_diameter_um: float | None = None,
    pixel_size_um: float | None = None,
    detector: WindowDetector | None = None,
    preprocess: PreprocessSettings | None = None,
    localize: LocalizeSettings | None = None,
    device: torch.device | str = "auto",
    field: Any = None,
    bridge_bad_frames: bool = False,
    config: str = "",
) -> Cells:
    """Find the cells of a recording: where they are, their footprints, their activity, their quality.

    Parameters
    ----------
    recording : array-like (T, H, W), path-like, BaseSession or Recording
        Frames in a NumPy, torch, h5py, zarr or dask array (sliced as they are needed, so they need not fit in
        memory); the path of a session file, or of any recording that
        :func:`~calcium_lightning.io.readers.formats.open_recording` reads, or what that gives; a
        :class:`~calcium_lightning.io.session.Session`. An array that is ΔF/F,
        motion-corrected or has time stamps is told so as an
        :class:`~calcium_lightning.io.array_session.ArraySession`.
    fps : float
        Frame rate, Hz; a session knows its own, and then this is in place of it.
    cell_diameter : float, optional
        Full width at half maximum of a typical footprint, pixels; default: estimated from the recording.
    cell_diameter_um : float, optional
        The same in micrometres, where the pixel size is known.
    pixel_size_um : float, optional
        Micrometres per pixel, in place of the session's.
    detector : WindowDetector, optional
        What localises cells in frames, from :func:`load_model`; default: the weights in the package.
    preprocess, localize : optional
        How frames are prepared, and how localisations become cells.
    device : torch.device or str
        Where the detector runs: ``auto``, ``cpu``, ``cuda``, ``mps``.
    field : array-like, bool (H, W), optional
        The only pixels that may be used, where the recording says of more that they show tissue; no lens's
        edge is sought then.
    bridge_bad_frames : bool
        Bridge traces over frames that hold no picture, where they are ``nan`` otherwise.
    config : str
        Kept in the result (YAML).

    Returns
    -------
    Cells
        Sorted by score, the best first; rejected ones too (``cells.accepted``).

    Raises
    ------
    InputError
        If the recording can't be taken, is too short, holds no picture, or its cells are too large for its
        field.

    Examples
    --------
    >>> cells = extract(frames, fps=20, cell_diameter=12)  # doctest: +SKIP
    >>> cells.to_nwb("cells.nwb")  # doctest: +SKIP
    """
    with extract_streamed(
        recording,
        fps=fps,
        cell_diameter=cell_diameter,
        cell_diameter_um=cell_diameter_um,
        pixel_size_um=pixel_size_um,
        detector=detector,
        preprocess=preprocess,
        localize=localize,
        device=device,
        field=field,
        bridge_bad_frames=bridge_bad_frames,
        config=config,
    ) as extraction:
        return extraction.cells.in_memory()


@contextmanager
def extract_streamed(
    recording: Any,
    *,
    fps: float | None = None,
    cell_diameter: float | None = None,
    cell_diameter_um: float | None = None,
    pixel_size_um: float | None = None,
    detector: WindowDetector | None = None,
    preprocess: PreprocessSettings | None = None,
    localize: LocalizeSettings | None = None,
    device: torch.device | str = "auto",
    field: Any = None,
    bridge_bad_frames: bool = False,
    config: str = "",
) -> Iterator[Extraction]:
    """Find the cells of a recording in memory that doesn't grow with its number of frames.

    Traces and localisations are on disk, and gone when the context ends. Parameters and errors are those of
    :func:`extract`.

    Yields
    ------
    Extraction
        The cells, and how the recording was prepared.
    """
    chosen = choose_device(device)
    rate = None if fps is None else positive("fps", fps)
    pixel_size = None if pixel_size_um is None else positive("pixel_size_um", pixel_size_um)
    session = as_session(recording, rate, pixel_size)
    detector = detector or load_model(device=chosen)
    preprocess, localize = as_settings(preprocess), localize or LocalizeSettings()
    threads = torch.get_num_threads()
    with on_all_cores(chosen):
        session = _repaired(session, preprocess, field)  # before anything looks at a frame
        guess = None
        if cell_diameter is None and cell_diameter_um is None:
            guess = guess_diameter(session)
        diameter = (
            guess.diameter
            if guess
            else cell_diameter_of(session, cell_diameter, cell_diameter_um, pixel_size)
        )
        give_back_freed()
        prepared = _prepare(session, diameter, rate, detector, preprocess, chosen)
        give_back_freed()

        border = PassingBorder.of(prepared)

        def run(movie: Movie, stride: int) -> Iterable[LocalizationBatch]:
            found = detect(
                movie,
                detector.detector,
                detector.window,
                prepared.fps,
                threshold=localize.threshold,
                stride=stride,
                device=chosen,
            )
            return found if border is None else map(partial(_uncut, border), found)

        with solvers(threads), ScratchMovie(prepared.scale.size) as movie:
            images = write_foreground(prepared, movie, chosen, localize.neuropil)
            give_back_freed()
            finder = CellFinder(
                movie, prepared.noise, prepared.background_sigma, prepared.fps, run, localize, prepared.wander
            )
            found, decoys = find_both(finder) if localize.twin else (finder.find(), None)
        session = prepared.session
        original = session.original if isinstance(session, RepairedSession) else session
        kept = kept_frames(session)
        timestamps = original.timestamps if fps is None else None
        if timestamps is None:
            timestamps = np.arange(original.n_frames) / (rate or original.fps)
        cells = assemble(
            prepared,
            found,
            decoys,
            images,
            localize,
            timestamps[kept],
            session=str(session.path),
            session_sha256=session.sha256(),
            about=session.about,
            behavior=session.behavior,
            fps=rate or original.fps,
            kind=session.kind,
            pixel_size_um=pixel_size or session.pixel_size_um,
            config=config,
            package_version=package_stamp(),
            field=None if session.field.all() else session.field,
        )
        told = *_notes(prepared, cells, localize), *_diameter_notes(guess, diameter, cells)
        cells = replace(cells, notes=(*original.notes, *told))
    yield Extraction(
        with_gaps(cells, kept, timestamps, bridge_bad_frames, repeated_frames(session)), prepared
    )


def load_model(
    checkpoint: Path | str | None = None,
    *,
    parts: Sequence[str] = (),
    device: torch.device | str = "auto",
) -> Localizer:
    """The network of a checkpoint, ready to localise.

    Parameters
    ----------
    checkpoint : path-like, optional
        A training's checkpoint (.ckpt) or weights (.safetensors); default: the weights in the package.
    parts : sequence of str
        Modules that have its parts, where they are one's own.
    device : torch.device or str
        Where it shall run: ``auto``, ``cpu``, ``cuda``, ``mps``.

    Returns
    -------
    Localizer
        For :func:`extract`, or by itself: ``load_model().localize(frames, fps=20, cell_diameter=12)``.

    Raises
    ------
    InputError
        If the file is missing, damaged or not ours.
    """
    import_parts(parts)
    chosen = choose_device(device)
    network, window = load_network(checkpoint)
    return Localizer(network.to(chosen), window, chosen)


def _repaired(session: BaseSession, settings: PreprocessSettings, field: Any) -> BaseSession:
    """A session without what is no picture, unless the settings want it as it is."""
    mask = None if field is None else np.asarray(field, bool)
    if settings.repair_defects:
        return RepairedSession.of(session, mask)
    if mask is not None:
        raise InputError("field= needs preprocess.repair_defects=true, without which every pixel is used")
    return session


def _uncut(border: PassingBorder, found: LocalizationBatch) -> LocalizationBatch:
    """Localisations but for those of cells that the passing border cuts."""
    points = border.prepared.scale.to_session(torch.stack([found.y, found.x], 1).double().numpy())
    return found.among(torch.from_numpy(~border.cuts(found.frame.numpy(), points)))


def _notes(prepared: Prepared, cells: StreamedCells, settings: LocalizeSettings) -> tuple[str, ...]:
    """What a person should know of the recording before trusting its cells."""
    session, rate = prepared.session, rate_line(prepared.fps)
    if not isinstance(session, RepairedSession):
        return (rate,) if rate else ()
    edge = settings.quality.edge if session.view.outside.any() else None
    left = prepared.cell_diameter if prepared.patches is None else None
    motion = motion_line(cells.shifts, cells.nonrigid, edge, prepared.motion_told, left)
    wanders = wandering(cells.denoised, cells.accepted, cells.centers, prepared.cell_diameter, prepared.fps)
    told = (rate, wandering_line(wanders), *session.findings.lines(), motion)
    return tuple(line for line in told if line)


def _diameter_notes(guess: DiameterGuess | None, diameter: float, cells: StreamedCells) -> tuple[str, ...]:
    """How sure the cells' diameter is, and whether what was found has it."""
    advice = check_diameter(cells.quality["width"][cells.accepted], diameter)
    return (*([f"cell diameter {diameter:.1f} px: {guess}"] if guess else []), *([advice] if advice else []))


def _prepare(
    session: BaseSession,
    cell_diameter: float,
    fps: float | None,
    detector: WindowDetector,
    settings: PreprocessSettings,
    device: torch.device,
) -> Prepared:
    """Prepare a session, unless it is too short or too small for the detector."""
    rate, seconds = rate_of(session, fps), detector.window.seconds
    least = max(4, round(seconds * rate))
    if session.n_frames < least:
        raise InputError(
            f"{session.path}: {session.n_frames} frames are fewer than a window of {seconds:g} s "
            f"({least} frames at {rate:g} Hz)"
        )
    settings = settings.for_background(detector.window.background_diameters)
    prepared = prepare(session, cell_diameter, settings, fps=fps, device=device)
    if min(prepared.scale.size) < 2 * NETWORK_DIAMETER:
        raise InputError(
            f"{session.path}: cells of {cell_diameter:g} px don't fit a field of {session.shape[1:]} px; "
            "check cell_diameter="
        )
    return prepared
