"""Writing a session file, frame by frame.

Knows the paths inside a session's HDF5, as its reader does. Knows nothing of where frames come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.behavior import Behavior
from calcium_lightning.core.errors import InputError, frame_rate, pixel_size
from calcium_lightning.core.truth import Truth
from calcium_lightning.io import hdf5
from calcium_lightning.io.base_session import DTYPES, KINDS
from calcium_lightning.io.behavior import write_group
from calcium_lightning.io.hdf5_output import check_written, create_file
from calcium_lightning.io.session import FORMAT, VERSION


class SessionWriter:
    """Writes a session file frame by frame; it appears under its name only when it is complete.

    Parameters
    ----------
    path : path-like
        The file to make.
    height, width : int
        Size of a frame.
    dtype : dtype-like
        uint8, uint16 or float32.
    fps : float
        Frame rate, Hz.
    pixel_size_um : float, optional
        Micrometres per pixel.
    kind : {"raw", "dff"}
        Sensor counts, or ΔF/F.
    motion_corrected : bool
        Whether motion was removed already.
    overwrite : bool
        Replace an existing file.
    compression : {None, "gzip", "lz4"}
        ``lz4`` is Blosc's, through ``hdf5plugin``.

    Raises
    ------
    InputError
        If the target exists, or an argument breaks the contract.

    Examples
    --------
    >>> with SessionWriter("a.h5", 64, 48, "uint8", fps=20.0) as writer:  # doctest: +SKIP
    ...     writer.append(frames)
    """

    def __init__(
        self,
        path: Path | str,
        height: int,
        width: int,
        dtype: Any,
        fps: float,
        *,
        pixel_size_um: float | None = None,
        kind: str = "raw",
        motion_corrected: bool = False,
        overwrite: bool = False,
        compression: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.dtype = np.dtype(dtype)
        if self.dtype not in DTYPES:
            raise InputError(f"{self.path}: a session holds uint8, uint16 or float32, not {self.dtype}")
        if kind not in KINDS:
            raise InputError(f"{self.path}: kind={kind} is neither raw nor dff")
        frame_rate(f"{self.path}: fps", fps)
        if pixel_size_um is not None:
            pixel_size(f"{self.path}: pixel_size_um", pixel_size_um)
        self._shape = (height, width)
        self._attributes: dict[str, Any] = {
            "fps": float(fps),
            "kind": kind,
            "motion_corrected": bool(motion_corrected),
        }
        if pixel_size_um is not None:
            self._attributes["pixel_size_um"] = float(pixel_size_um)
        self._overwrite = overwrite
        self._filters = _filters(compression)
        self.n_frames = 0

    def __enter__(self) -> SessionWriter:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self.path, self._overwrite))
            self._file = stack.enter_context(create_file(temporary))
            self._file.attrs["format"] = FORMAT
            self._file.attrs["version"] = VERSION
            chunk = hdf5.chunk_frames(*self._shape, self.dtype.itemsize)
            self._data = self._file.create_dataset(
                "frames",
                (0, *self._shape),
                self.dtype,
                maxshape=(None, *self._shape),
                chunks=(chunk, *self._shape),
                **self._filters,
            )
            self._data.attrs.update(self._attributes)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool | None:
        if kind is None and self.n_frames == 0:
            empty = InputError(f"{self.path}: no frames to write")
            self._stack.__exit__(InputError, empty, None)
            raise empty
        return self._stack.__exit__(kind, error, trace)

    def append(self, frames: np.ndarray) -> None:
        """Append frames (n, H, W) of the writer's type.

        Raises
        ------
        InputError
            If their size or type differs, or they hold NaN or infinite values.
        """
        if frames.ndim != 3 or frames.shape[1:] != self._shape:
            raise InputError(
                f"{self.path}: frame {self.n_frames} has shape {frames.shape[1:]}, the first had "
                f"{self._shape}"
            )
        if frames.dtype != self.dtype:
            raise InputError(
                f"{self.path}: frame {self.n_frames} is of type {frames.dtype}, the session of {self.dtype}"
            )
        if self.dtype.kind == "f" and not np.isfinite(frames).all():
            bad = self.n_frames + int(np.argmin(np.isfinite(frames).all((1, 2))))
            raise InputError(f"{self.path}: frame {bad} holds NaN or infinite values")
        self._data.resize(self.n_frames + len(frames), axis=0)
        self._data[self.n_frames :] = frames
        check_written(self._file)
        self.n_frames += len(frames)

    @property
    def motion_corrected(self) -> bool:
        """Whether motion was removed already."""
        return bool(self._attributes["motion_corrected"])

    def set_kind(self, kind: str, motion_corrected: bool | None = None) -> None:
        """Change what the frames are, once all of them were seen."""
        self._attributes["kind"] = kind
        if motion_corrected is not None:
            self._attributes["motion_corrected"] = motion_corrected
        self._data.attrs.update(self._attributes)

    def set_timestamps(self, timestamps: np.ndarray) -> None:
        """Write the time of each frame, seconds, (T,)."""
        self._put("timestamps", timestamps, np.float64, (self.n_frames,))

    def set_shifts(self, shifts: np.ndarray) -> None:
        """Write an estimate of the motion (dy, dx), pixels, (T, 2)."""
        self._put("shifts", shifts, np.float32, (self.n_frames, 2))

    def set_field(self, field: np.ndarray, given: bool = False) -> None:
        """Write which pixels are recording, bool (H, W); a field of all pixels needs no writing.

        ``given`` is for a field that a person drew: nobody will look for a lens's edge in it.

        Raises
        ------
        InputError
            If its shape isn't the frames', or no pixel is left.
        """
        if not np.any(field):
            raise InputError(f"{self.path}: no pixel of the field is recording")
        self._put("field", field, bool, self._shape)
        self._file["field"].attrs["given"] = given

    def set_bad_frames(self, bad_frames: np.ndarray) -> None:
        """Write which frames hold no picture, bool (T,); call it after the frames."""
        self._put("bad_frames", bad_frames, bool, (self.n_frames,))

    def set_about(self, about: Mapping[str, str]) -> None:
        """Write who, what and when, as :attr:`calcium_lightning.session.Session.about` has it."""
        if about:
            self._file.require_group("metadata").attrs.update(dict(about))

    def set_behavior(self, found: Iterable[Behavior]) -> None:
        """Write times of behaviour, in the clock of the time stamps."""
        write_group(self._file, found)

    def set_stamp(self, stamp: str) -> None:
        """Write what the session was made of, as one digest."""
        self._file.attrs["recording_stamp"] = stamp

    def set_truth(self, truth: Truth) -> None:
        """Write whatever parts of the truth there are; call it after the frames."""
        count = None
        if truth.footprints is not None:
            count = truth.footprints.shape[0]
            if truth.footprints.shape[1] != self._shape[0] * self._shape[1]:
                raise InputError(
                    f"{self.path}: true footprints of {truth.footprints.shape[1]} pixels don't fit frames of "
                    f"{self._shape}"
                )
            hdf5.write_footprints(self._file.create_group("truth/footprints"), truth.footprints, self._shape)
        self._put("truth/shifts", truth.shifts, np.float32, (self.n_frames, 2))
        self._put("truth/traces", truth.traces, np.float32, (count, self.n_frames))
        self._put("truth/spikes", truth.spikes, np.float32, (count, self.n_frames))
        self._put("truth/amplitude", truth.amplitude, np.float32, (count,))
        self._put("truth/mask", truth.mask, np.uint8, (None, None))
        self._put("truth/identity", truth.identity, np.int64, (count,))

    def _put(self, name: str, values: np.ndarray | None, dtype: Any, shape: tuple[int | None, ...]) -> None:
        if values is None:
            return
        array = np.asarray(values, dtype=dtype)
        if array.ndim != len(shape) or any(
            want is not None and want != have for want, have in zip(shape, array.shape, strict=True)
        ):
            raise InputError(
                f"{self.path}: /{name} of shape {array.shape} doesn't fit the session, expected {shape}"
            )
        self._file[name] = array


def _filters(compression: str | None) -> dict[str, Any]:
    if compression in (None, "none"):
        return {}
    if compression == "gzip":
        return {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    if compression == "lz4":
        try:
            import hdf5plugin
        except ImportError as error:
            raise InputError("compression=lz4 needs hdf5plugin: pip install hdf5plugin") from error
        return dict(hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=hdf5plugin.Blosc.SHUFFLE))
    raise InputError(f"compression={compression}: none, gzip or lz4")
