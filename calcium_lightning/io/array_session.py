"""A session of frames that are in an array already: the array's door.

NumPy, torch, h5py, zarr, dask, memory maps: whatever has a shape and gives ``array[start:stop]``. Frames are
cut out and converted as they are asked for, so an array that isn't in memory stays where it is. Knows arrays
by what they do, not by their libraries; knows nothing of methods.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError, positive
from calcium_lightning.core.truth import Truth
from calcium_lightning.io.base_session import DTYPES, KINDS, BaseSession, check_finite
from calcium_lightning.io.hdf5 import chunk_frames
from calcium_lightning.io.missing import Gaps
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.io.readers.hdf5 import axes_of_names
from calcium_lightning.io.readers.session import SessionRecording
from calcium_lightning.io.time_axis import middle, time_axis

#: larger chunks of an array, bytes, aren't read whole
MOST_BYTES = 64 << 20
#: frames that tell whether an array which isn't in memory holds NaN
LOOKS = 64


class ArraySession(BaseSession):
    """Frames of an array, with what the array doesn't know of itself.

    Parameters
    ----------
    frames : array-like (T, H, W)
        NumPy, torch (any device), h5py, zarr, dask, or anything else with a shape that can be sliced; of
        xarray's the names tell the order (frame, height, width). uint8, uint16 and float32 stay what they
        are; any other real numbers become float32, bool becomes uint8. NaN, and what a mask hides, is no
        data: pixels and frames that hold it are in :attr:`field` and :attr:`bad_frames`.
    fps : float
        Frame rate, Hz.
    pixel_size_um : float, optional
        Micrometres per pixel.
    kind : {"raw", "dff"}
        Sensor counts, or ΔF/F.
    motion_corrected : bool
        Whether motion was removed already.
    timestamps : array-like (T,), optional
        Seconds.
    shifts : array-like (T, 2), optional
        An estimate of the motion (dy, dx), pixels: a point at c in the motion-corrected field lies at
        c + shifts[t] in frame t.
    field : array-like (H, W), optional
        Which pixels are recording; all of them where it isn't given.
    bad_frames : array-like (T,), optional
        Which frames hold no picture; none where it isn't given.
    about : mapping of str to str, optional
        Who, what and when: ``session_start_time`` (ISO 8601), ``subject_id``, ``experiment``, ...
    truth : Truth, optional
        Where the recording is simulated or annotated; no method looks at it.
    name : str
        What messages and the cells call it.

    Raises
    ------
    InputError
        If it isn't a stack of frames (what is wrong, and what to do), or an argument makes no sense.

    Examples
    --------
    >>> frames = np.random.default_rng(0).integers(0, 255, (100, 48, 64), np.uint8)
    >>> ArraySession(frames, fps=20)
    ArraySession('array', (100, 48, 64), uint8, 20 Hz, raw)
    """

    def __init__(
        self,
        frames: Any,
        fps: float,
        *,
        pixel_size_um: float | None = None,
        kind: str = "raw",
        motion_corrected: bool = False,
        timestamps: Any = None,
        shifts: Any = None,
        field: Any = None,
        bad_frames: Any = None,
        about: Mapping[str, str] | None = None,
        truth: Truth | None = None,
        name: str = "array",
    ) -> None:
        self.path = Path(name)
        self._array = _by_name(frames) if hasattr(frames, "shape") else np.asarray(frames)
        shape = tuple(int(length) for length in self._array.shape)
        if len(shape) != 3:
            raise InputError(
                f"{name}: frames are (T, H, W), three dimensions; this array is {shape}{_instead(shape)}"
            )
        if 0 in shape:
            raise InputError(f"{name}: no frames in an array of shape {shape}")
        count, height, width = shape
        self.shape = (count, height, width)
        if isinstance(self._array, np.ma.MaskedArray) and not np.ma.is_masked(self._array):
            self._array = self._array.data
        stored = self._stored(0, 1).dtype.newbyteorder("=")
        if stored.kind not in "buif":
            raise InputError(f"{name}: frames are real numbers, this array is of type {stored}")
        small = np.dtype(np.uint8) if stored.kind == "b" else np.dtype(np.float32)
        self.dtype = stored if stored in DTYPES else small
        self.fps = positive("fps", fps)
        self.pixel_size_um = None if pixel_size_um is None else positive("pixel_size_um", pixel_size_um)
        if kind not in KINDS:
            raise InputError(f"{name}: kind={kind!r} is neither raw nor dff")
        self.kind = kind
        self.motion_corrected = bool(motion_corrected)
        self.chunk_frames = self._best_chunk()
        self._timestamps = self._known("timestamps", timestamps, np.float64, (count,))
        self._shifts = self._known("shifts", shifts, np.float32, (count, 2))
        self._field = self._known("field", field, bool, (height, width))
        self._bad_frames = self._known("bad_frames", bad_frames, bool, (count,))
        self._about = dict(about or {})
        self._truth = truth
        self._refuse_time_last()
        self._gaps = self._look_for_gaps() if stored.kind == "f" else None

    @property
    def timestamps(self) -> np.ndarray | None:
        """Seconds, float64 (T,), where they are known."""
        return self._timestamps

    @property
    def shifts(self) -> np.ndarray | None:
        """Estimated motion (dy, dx), pixels, float32 (T, 2), where it is known."""
        return self._shifts

    @property
    def field(self) -> np.ndarray:
        """Which pixels are recording, bool (H, W)."""
        field = super().field if self._field is None else self._field
        return field if self._gaps is None else field & self._gaps.missing.field

    @property
    def field_given(self) -> bool:
        """Whether the field was given with the array."""
        return self._field is not None

    @property
    def bad_frames(self) -> np.ndarray:
        """Which frames hold no picture, bool (T,)."""
        bad = super().bad_frames if self._bad_frames is None else self._bad_frames
        return bad if self._gaps is None else bad | self._gaps.missing.bad_frames

    @property
    def about(self) -> dict[str, str]:
        """Who, what and when, where it is known."""
        return self._about

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the frames: what was chosen, left out, mended."""
        notes = self._array.recording.notes if isinstance(self._array, RecordingArray) else ()
        return notes if self._gaps is None else (*notes, self._gaps.missing.in_words)

    @property
    def truth(self) -> Truth | None:
        """The truth, where there is any."""
        return self._truth

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Cut the frames from ``start`` on out of the array, into ``out`` (n, H, W) of the session's type.

        Raises
        ------
        InputError
            If they hold infinite values, or NaN that no other frame let expect.
        """
        with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, and is refused as that
            np.copyto(out, self._stored(start, start + len(out)), casting="unsafe")
        if self._gaps is not None:
            self._gaps.fill(out)
        check_finite(out, start, f"{self.path}: frame")

    def sha256(self) -> str:
        """SHA-256 of the frames' shape, type and values as the method sees them, hexadecimal."""
        digest = hashlib.sha256(f"{self.shape} {self.dtype.str}".encode())
        for _, frames in self.chunks():
            digest.update(frames.data)
        return digest.hexdigest()

    def _stored(self, start: int, stop: int) -> np.ndarray:
        """Frames [start, stop) as the array has them, in memory."""
        return _in_memory(self._array[start:stop])

    def _best_chunk(self) -> int:
        """Frames in a chunk of the array; as in a session file where it has none, or too large ones."""
        frame = self.height * self.width * self.dtype.itemsize
        along_time = (getattr(self._array, "chunks", None) or (0,))[0]
        length = int(along_time[0] if isinstance(along_time, Sequence) else along_time)
        if 0 < length * frame <= MOST_BYTES:
            return length
        return chunk_frames(self.height, self.width, self.dtype.itemsize)

    def _known(self, what: str, values: Any, dtype: Any, shape: tuple[int, ...]) -> np.ndarray | None:
        if values is None:
            return None
        array = np.asarray(values, dtype)
        if array.shape != shape:
            raise InputError(f"{self.path}: {what} of shape {array.shape}, for these frames {shape}")
        if not np.isfinite(array).all():
            raise InputError(f"{self.path}: {what} hold NaN or infinite values")
        return array

    def _look_for_gaps(self) -> Gaps | None:
        """What NaN tells, as registration leaves it at the border.

        Raises
        ------
        InputError
            If there is nothing else.
        """
        step = self.chunk_frames
        spans = [(start, min(start + step, self.n_frames)) for start in range(0, self.n_frames, step)]
        looks = spans
        if not isinstance(self._array, np.ndarray):
            looks = [
                (int(k), int(k) + 1) for k in np.unique(np.linspace(0, self.n_frames - 1, LOOKS).astype(int))
            ]
        with np.errstate(all="ignore"):  # infinite values are refused when they are read
            # A sum that is a number is the quick proof that each is.
            if not any(np.isnan(self._stored(*look).sum()) for look in looks):
                return None
            gaps = Gaps.of((self._stored(*span) for span in spans), (self.height, self.width))
        if gaps is not None and gaps.missing.everything:
            raise InputError(f"{self.path}: no pixel holds data (NaN)")
        return gaps

    def _refuse_time_last(self) -> None:
        """Refuse (H, W, T).

        Only where the last dimension is the longest: another look at the shape costs nothing, and frames that
        are wider than the recording is long are few.
        """
        count, height, width = self.shape
        if width <= max(count, height) or isinstance(self._array, RecordingArray):
            return
        if time_axis(_in_memory(self._array[middle(self.shape)])) == "last":
            raise InputError(
                f"{self.path}: shape {self.shape} looks like (H, W, T), and frames are (T, H, W): "
                "turn it with np.moveaxis(frames, -1, 0)"
            )


class RecordingArray:
    """The frames of a foreign recording as an array that is read as it is sliced.

    Parameters
    ----------
    recording : Recording
        Whole: frames aren't numbered across a break.
    """

    def __init__(self, recording: Recording) -> None:
        recording.check_whole(0, None)
        self.recording, self.shape = recording, recording.shape

    def __getitem__(self, span: slice) -> np.ndarray:
        start, stop, _ = span.indices(self.shape[0])
        return np.concatenate(list(self.recording.stream(start, stop, max(1, stop - start))))


def as_session(recording: Any, fps: float | None = None, pixel_size_um: float | None = None) -> BaseSession:
    """Whatever a recording is given as, as a session.

    Parameters
    ----------
    recording : BaseSession, path-like, Recording or array-like (T, H, W)
        A session as it is; the path of a session file, or of anything that ``open_recording`` reads, or what
        that gives (other formats are read several times: where that is slow, ingest them first); or frames.
    fps : float, optional
        Frame rate of an array, Hz; a session knows its own, and a recording may.
    pixel_size_um : float, optional
        Micrometres per pixel of an array.

    Raises
    ------
    InputError
        If the file or the array can't be taken, or nothing tells the frame rate.
    """
    if isinstance(recording, BaseSession):
        return recording
    if isinstance(recording, str | Path):
        recording = open_recording(recording)
        if isinstance(recording, SessionRecording):
            return recording.session
        for note in recording.notes:  # which ingest prints
            warnings.warn(f"{recording.path}: {note}", stacklevel=3)
    if isinstance(recording, Recording):
        return _of_recording(recording, fps, pixel_size_um)
    if not hasattr(recording, "shape") and not isinstance(recording, Sequence):
        raise InputError(
            f"{type(recording).__name__}: a recording is an array (T, H, W), a session, or the path of one"
            f"{_of_many(recording)}"
        )
    if fps is None:
        raise InputError("an array doesn't know its frame rate; add fps= (Hz)")
    return ArraySession(recording, fps, pixel_size_um=pixel_size_um)


def _of_many(holder: Any) -> str:
    """Which arrays of a file, a group, a data set or a dictionary could be given in its place."""
    if not isinstance(holder, Mapping):
        return ""
    stacks = [repr(name) for name in holder if len(getattr(holder.get(name), "shape", ())) == 3]
    return f"; give one of its arrays: {', '.join(stacks[:5])}" if stacks else ""


def _of_recording(recording: Recording, fps: float | None, pixel_size_um: float | None) -> ArraySession:
    rate = fps or recording.fps
    if rate is None:
        raise InputError(f"{recording.path}: the recording doesn't tell its frame rate; add fps= (Hz)")
    return ArraySession(
        RecordingArray(recording),
        rate,
        pixel_size_um=pixel_size_um or recording.pixel_size_um,
        kind=recording.kind or "raw",
        motion_corrected=bool(recording.motion_corrected),
        timestamps=recording.timestamps if fps is None else None,
        bad_frames=recording.bad_frames,
        about=recording.about,
        name=str(recording.path),
    )


def _by_name(frames: Any) -> Any:
    """An array of xarray's, in the order (T, H, W) if its dimensions say which is which."""
    names = getattr(frames, "dims", None)
    if not isinstance(names, tuple) or len(names) != 3 or not hasattr(frames, "transpose"):
        return frames
    axes = axes_of_names(names)
    return frames if axes is None else frames.transpose(*(names[axes.index(axis)] for axis in "tyx"))


def _instead(shape: tuple[int, ...]) -> str:
    """What of an array of more than three dimensions can be given."""
    if len(shape) > 3 and sum(length > 1 for length in shape) == 3:
        return f"; give frames[{', '.join(':' if length > 1 else '0' for length in shape)}]"
    if len(shape) == 4 and shape[-1] in (3, 4):
        return "; of colours, give one, such as frames[..., 1], or their mean"
    return "; give one channel or plane of it" if len(shape) > 3 else ""


def _in_memory(part: Any) -> np.ndarray:
    """A part of an array as NumPy has it; of torch's from any device, with or without a gradient.

    What a mask hides is NaN: no data.
    """
    if isinstance(part, np.ma.MaskedArray):  # as netCDF4's slices are
        return np.asarray(np.ma.filled(part.astype(np.float32), np.nan))
    if hasattr(part, "detach"):
        part = part.detach().cpu()
        part = part.float() if part.is_floating_point() and part.itemsize < 4 else part
    return np.asarray(part)
