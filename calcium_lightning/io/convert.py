"""From any recording to a session file: a stream of blocks, cut, averaged, converted and written.

Memory is bounded by a few chunks whatever the recording's length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.progress import progress
from calcium_lightning.core.truth import Truth
from calcium_lightning.io.findings import Constancy, note_missing, tell_kind
from calcium_lightning.io.geometry import Cut
from calcium_lightning.io.hdf5 import chunk_frames
from calcium_lightning.io.missing import Missing
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.clock import rate_of
from calcium_lightning.io.session_writer import SessionWriter

#: frames are read in blocks of about this size
BLOCK_BYTES = 4 << 20
#: fewer distinct levels than this are left of fractions: rounding them to integers would lose the recording
MIN_LEVELS = 16
#: a frame rate that differs from the time stamps' by more than this share is spoken of
SAID = 0.01


@dataclass(frozen=True)
class IngestSettings:
    """How a recording becomes a session; ``None`` is what the recording's file says.

    Attributes
    ----------
    fps : float or None
        Frame rate of the recording, Hz (before temporal bins).
    pixel_size_um : float or None
        Micrometres per pixel of the recording (before spatial bins).
    kind : {"raw", "dff"} or None
        Sensor counts or ΔF/F.
    motion_corrected : bool or None
        Whether motion was removed already.
    crop : tuple of int or None
        (y0, y1, x0, x1), pixels of the recording.
    spatial_bin, temporal_bin : int
        Pixels along each side, and frames, that are averaged into one.
    start, stop : int
        Range of frames of the recording.
    dtype : {"uint8", "uint16", "float32"} or None
        Type of the session's frames. ``None`` keeps integers of the recording, and float32 for averages.
    timestamps : bool
        Whether to take the recording's time stamps along.
    compression : {"none", "gzip", "lz4"}
        Of the frames.
    field : ndarray, bool (H, W), optional
        Which pixels of the recording show tissue; default: found.
    """

    fps: float | None = None
    pixel_size_um: float | None = None
    kind: str | None = None
    motion_corrected: bool | None = None
    crop: tuple[int, int, int, int] | None = None
    spatial_bin: int = 1
    temporal_bin: int = 1
    start: int = 0
    stop: int | None = None
    dtype: str | None = None
    timestamps: bool = True
    compression: str = "none"
    field: np.ndarray | None = None


@dataclass(frozen=True)
class Said:
    """What is said of a recording, by its file or by a person; None where nothing is.

    Attributes
    ----------
    kind : {"raw", "dff"} or None
    motion_corrected : bool or None
    """

    kind: str | None = None
    motion_corrected: bool | None = None


@dataclass(frozen=True)
class Known:
    """What is known of a session before its frames were looked at.

    Attributes
    ----------
    field : ndarray, bool (H, W)
        Which pixels show tissue, as far as that is known.
    given : bool
        Whether a person drew the field.
    bad_frames : ndarray, bool (T,)
        Which frames are known to hold no picture.
    said : Said
        What the recording is.
    """

    field: np.ndarray
    given: bool
    bad_frames: np.ndarray
    said: Said


@dataclass(frozen=True)
class Verdict:
    """What was seen in the frames of a session.

    Attributes
    ----------
    field : ndarray, bool (H, W)
        Which pixels show tissue.
    bad_frames : ndarray, bool (T,)
        Which frames hold no picture.
    kind : {"raw", "dff"} or None
        What the frames are after all; None where that was right.
    motion_corrected : bool or None
        Whether motion was removed already, with another ``kind``; None where that was right.
    """

    field: np.ndarray
    bad_frames: np.ndarray
    kind: str | None = None
    motion_corrected: bool | None = None


class Watcher(Protocol):
    """Looks at the frames of a session while they are written."""

    def start(self, shape: tuple[int, int, int], dtype: np.dtype) -> None:
        """Frames (T, H, W) of a type will come."""

    def add(self, frames: np.ndarray) -> None:
        """The next frames (n, H, W)."""

    def judge(self, known: Known) -> Verdict:
        """What was seen in all of them, beyond what is known already."""


def ingest_recording(
    recording: Recording,
    output: Path | str,
    settings: IngestSettings | None = None,
    truth: Truth | None = None,
    overwrite: bool = False,
    watcher: Watcher | None = None,
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
    pixel_size = settings.pixel_size_um if settings.pixel_size_um is not None else recording.pixel_size_um
    dtype = _session_dtype(recording, settings)
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
        size = max(1, BLOCK_BYTES // (recording.shape[1] * recording.shape[2] * recording.dtype.itemsize))
        convert, missing = _Converter(recording, dtype), Missing(cut.shape[1:])
        constancy = Constancy()
        if watcher is not None:
            watcher.start(cut.shape, dtype)
        with progress(f"ingest {recording.path.name}", cut.stop - cut.start) as advance:
            for block in _whole_chunks(
                _averaged(recording, cut, size, missing, advance),
                chunk_frames(*cut.shape[1:], dtype.itemsize),
            ):
                constancy.look(block)
                frames = convert(block, cut.start + writer.n_frames * cut.temporal)
                writer.append(frames)
                if watcher is not None:
                    watcher.add(frames)
        convert.check_levels()
        constancy.say(recording)
        if missing.any:
            if missing.bad_frames.all() or not missing.field.any():
                raise InputError(f"{recording.path}: no pixel holds data (NaN) in the frames that are kept")
            note_missing(recording, missing)
        bad = missing.bad_frames
        if recording.bad_frames is not None:
            bad = bad | recording.bad_frames[cut.start : cut.stop]
        known = Known(
            missing.field & known_field, given, np.any(cut.binned(bad), axis=1), Said(kind, corrected)
        )
        _write_known(writer, known, watcher)
        writer.set_about(recording.about)
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


def _session_dtype(recording: Recording, settings: IngestSettings) -> np.dtype:
    if settings.dtype is not None:
        if settings.dtype not in ("uint8", "uint16", "float32"):
            raise InputError(f"dtype={settings.dtype}: uint8, uint16 or float32")
        return np.dtype(settings.dtype)
    if recording.dtype.kind == "f" or settings.spatial_bin > 1 or settings.temporal_bin > 1:
        return np.dtype(np.float32)
    return np.dtype(np.uint8 if recording.dtype.itemsize == 1 and recording.dtype.kind in "ub" else np.uint16)


def _averaged(
    recording: Recording, cut: Cut, size: int, missing: Missing, advance: Callable[[int], Any]
) -> Iterator[np.ndarray]:
    """Read, check, crop, fill and average; blocks of any length."""
    index = cut.start
    left = None  # frames of a temporal bin that isn't full yet
    for block in recording.stream(cut.start, cut.stop, size):
        if block.dtype.kind == "f" and (infinite := np.isinf(block).any(axis=(1, 2))).any():
            frame = index + int(np.argmax(infinite))
            raise InputError(
                f"{recording.path}: frame {frame} holds infinite values; leave it out (start=, stop=) or its "
                "border (crop=)"
            )
        index += len(block)
        frames = missing.fill(cut.pixels(block))
        if cut.temporal > 1:
            frames = frames.astype(np.float32, copy=False)
            frames = frames if left is None else np.concatenate([left, frames])
            full = len(frames) // cut.temporal
            left = frames[full * cut.temporal :].copy()
            frames = (
                frames[: full * cut.temporal]
                .reshape(full, cut.temporal, *frames.shape[1:])
                .mean(axis=1, dtype=np.float32)
            )
        yield frames
        advance(len(block))


def _whole_chunks(blocks: Iterator[np.ndarray], chunk: int) -> Iterator[np.ndarray]:
    """Join and split blocks so that each write covers whole chunks of the file."""
    waiting: list[np.ndarray] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count >= chunk:
            joined = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            whole = count // chunk * chunk
            yield joined[:whole]
            waiting, count = ([joined[whole:].copy()], count - whole) if count > whole else ([], 0)
    if count:
        yield np.concatenate(waiting)


class _Converter:
    """Casts blocks to the session's type and refuses to lose anything silently."""

    def __init__(self, recording: Recording, dtype: np.dtype) -> None:
        self._recording, self._dtype = recording, dtype
        self._fractions = False
        self._low, self._high = np.inf, -np.inf

    def __call__(self, block: np.ndarray, first_frame: int) -> np.ndarray:
        dtype = self._dtype
        if block.dtype == dtype:
            return np.ascontiguousarray(block)
        if block.dtype.kind == "b":
            return block.astype(dtype)
        if dtype.kind == "f":
            with np.errstate(over="ignore"):
                cast = block.astype(dtype)
            if block.dtype.itemsize > 4 and not np.isfinite(cast).all():
                raise InputError(
                    f"{self._recording.path}: values from frame {first_frame} on are too large for float32"
                )
            return cast
        if block.dtype.kind == "f":
            rounded = np.rint(block)
            self._fractions = self._fractions or bool((rounded != block).any())
            block = rounded
        low, high = block.min(), block.max()
        limit = np.iinfo(dtype).max
        if low < 0 or high > limit:
            value = low if low < 0 else high
            wider = "dtype=uint16 or dtype=float32" if low >= 0 and high <= 65535 else "dtype=float32"
            raise InputError(
                f"{self._recording.path}: {value} about frame {first_frame} doesn't fit {dtype} (0 to "
                f"{limit}); {wider} keeps it"
            )
        self._low, self._high = min(self._low, float(low)), max(self._high, float(high))
        return block.astype(dtype)

    def check_levels(self) -> None:
        """Refuse integers that can't hold a recording of small fractions."""
        if self._fractions and self._recording.dtype.kind == "f" and self._high - self._low < MIN_LEVELS:
            raise InputError(
                f"{self._recording.path}: dtype={self._dtype} would leave {int(self._high - self._low) + 1} "
                "grey levels "
                "of its fractions; dtype=float32 keeps them"
            )
