"""From any recording to a session file: a stream of blocks, cut, averaged, converted and written.

Memory is bounded by a few chunks whatever the recording's length.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.progress import progress
from calcium_lightning.core.truth import Truth
from calcium_lightning.io.behavior import read_behavior
from calcium_lightning.io.blocks import session_blocks
from calcium_lightning.io.findings import Constancy, tell_kind
from calcium_lightning.io.geometry import Cut
from calcium_lightning.io.hdf5 import chunk_frames
from calcium_lightning.io.ingest_settings import IngestSettings
from calcium_lightning.io.missing import Missing
from calcium_lightning.io.number_type import Cast, session_dtype
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.clock import rate_of
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.io.watcher import Known, Said, Watcher

#: a frame rate that differs from the time stamps' by more than this share is spoken of
SAID = 0.01


def ingest_recording(
    recording: Recording,
    output: Path | str,
    settings: IngestSettings | None = None,
    truth: Truth | None = None,
    overwrite: bool = False,
    watcher: Watcher | None = None,
    stamp: str = "",
) -> Path:
    """Write a recording as a session file.

    Parameters
    ----------
    recording : Recording
        From :func:`~calcium_lightning.io.readers.formats.open_recording`.
    output : path-like
        The session file.
    settings : IngestSettings, optional
        What to keep, and what the recording's file doesn't say.
    truth : Truth, optional
        Of the whole recording, before any cut.
    overwrite : bool
        Replace an existing file.
    watcher : Watcher, optional
        Looks at the frames as they are written, and says what is no picture.
    stamp : str
        What it is made of and how, as :func:`~calcium_lightning.io.origin.recording_stamp` says it.

    Returns
    -------
    Path
        ``output``.

    Raises
    ------
    InputError
        For a recording or settings that don't make a valid session; nothing is left behind.

    Notes
    -----
    What is found on the way and should be known is added to the recording's notes.

    Examples
    --------
    >>> with open_recording("frames") as recording:  # doctest: +SKIP
    ...     ingest_recording(recording, "session.h5", IngestSettings(fps=20.0))
    """
    settings = settings or IngestSettings()
    output = Path(output)
    if recording.n_frames == 0:
        raise InputError(f"{recording.path}: no frames")
    recording.check_whole(settings.start, settings.stop)
    fps = settings.fps if settings.fps is not None else recording.fps
    if fps is None:
        raise InputError(f"{recording.path}: says no frame rate{recording.rate_hint}; give it with fps= (Hz)")
    try:
        cut = Cut.of(
            recording.shape,
            settings.crop,
            settings.spatial_bin,
            settings.temporal_bin,
            settings.start,
            settings.stop,
        )
    except InputError as error:
        raise InputError(f"{recording.path}: {error}") from None
    if settings.timestamps and recording.clock_problem:
        raise InputError(f"{recording.clock_problem}; timestamps=false ingests without them")
    stamps = recording.timestamps if settings.timestamps else None
    if stamps is not None and len(stamps) != recording.n_frames:
        raise InputError(
            f"{recording.path}: {len(stamps)} time stamps for {recording.n_frames} frames; timestamps=false "
            "ingests without them"
        )
    began = recording.about.get("session_start_time", "")
    behavior = [
        *getattr(recording, "behavior", ()),  # of a session that is cut anew
        *(read_behavior(path, began) for path in settings.behavior),
    ]
    pixel_size = settings.pixel_size_um if settings.pixel_size_um is not None else recording.pixel_size_um
    dtype = session_dtype(recording, settings)
    if stamps is not None and (measured := rate_of(stamps)) and abs(fps / measured - 1) > SAID:
        recording.note(f"{fps:g} Hz as it was told; by its time stamps {measured:.4g} Hz")
    known_field, given = _known_field(recording, settings, cut)
    shifts = getattr(recording, "shifts", None)
    truth = truth if truth is not None else getattr(recording, "truth", None)
    corrected = (
        settings.motion_corrected if settings.motion_corrected is not None else recording.motion_corrected
    )
    kind = settings.kind or recording.kind
    if kind is None and (kind := tell_kind(recording, cut)) == "dff" and corrected is None:
        corrected = True  # a pixel can be compared with its own mean only where the tissue stands still
        recording.note("ΔF/F is of still tissue: motion_corrected=true; false says otherwise")
    with SessionWriter(
        output,
        *cut.shape[1:],
        dtype,
        fps / cut.temporal,
        pixel_size_um=None if pixel_size is None else pixel_size * cut.spatial,
        kind=kind or "raw",
        motion_corrected=bool(corrected),
        overwrite=overwrite,
        compression=settings.compression,
    ) as writer:
        cast, missing = Cast(recording, dtype), Missing(cut.shape[1:])
        constancy = Constancy()
        if watcher is not None:
            watcher.start(cut.shape, dtype)
        with progress(f"ingest {recording.path.name}", cut.stop - cut.start) as advance:
            chunk = chunk_frames(*cut.shape[1:], dtype.itemsize)
            for block in session_blocks(recording, cut, missing, chunk, advance):
                constancy.look(block)
                frames = cast(block, cut.start + writer.n_frames * cut.temporal)
                writer.append(frames)
                if watcher is not None:
                    watcher.add(frames)
        cast.check_levels()
        constancy.say(recording)
        if missing.any:
            if missing.everything:
                raise InputError(f"{recording.path}: no pixel holds data (NaN) in the frames that are kept")
            recording.note(missing.in_words)
        bad = missing.bad_frames
        if recording.bad_frames is not None:
            bad = bad | recording.bad_frames[cut.start : cut.stop]
        known = Known(
            missing.field & known_field, given, np.any(cut.binned(bad), axis=1), Said(kind, corrected)
        )
        _write_known(writer, known, watcher)
        writer.set_about(recording.about)
        writer.set_behavior(behavior)
        if stamp:
            writer.set_stamp(stamp)
        if stamps is not None:
            writer.set_timestamps(cut.times(stamps))
        if shifts is not None:
            writer.set_shifts(cut.shifts(shifts))
        if truth is not None:
            writer.set_truth(cut.truth(truth))
    return output


def _write_known(writer: SessionWriter, known: Known, watcher: Watcher | None) -> None:
    """Write where and when there is no picture, and what kind of recording it is where nobody said."""
    field, bad = known.field, known.bad_frames
    if watcher is not None:
        verdict = watcher.judge(known)
        field, bad = verdict.field, verdict.bad_frames
        if verdict.kind is not None:
            writer.set_kind(verdict.kind, verdict.motion_corrected)
    if known.given or not field.all():
        writer.set_field(field, known.given)
    if bad.any():
        writer.set_bad_frames(bad)


def _known_field(recording: Recording, settings: IngestSettings, cut: Cut) -> tuple[np.ndarray, bool]:
    """Which pixels of the session are said to be recording, bool (H, W), and whether a person said so."""
    field = cut.field(getattr(recording, "field", None))
    mask, given = settings.field, bool(getattr(recording, "field_given", False))
    if mask is None:
        return field, given
    if mask.shape != recording.shape[1:]:
        raise InputError(
            f"{recording.path}: field= has {mask.shape[0]} x {mask.shape[1]} pixels, the frames "
            f"{recording.shape[1]} x {recording.shape[2]}"
        )
    field &= cut.field(mask)
    if not field.any():
        raise InputError(f"{recording.path}: field= leaves no pixel of those that are kept")
    return field, True
