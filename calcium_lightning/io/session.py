"""The session file: a recording, what is known of it, and the truth where it was simulated.

With its writer, the only place that knows the paths inside a session's HDF5. Knows nothing of other formats,
of tensors or of methods. Nothing but evaluation and the labels of pretraining may read ``Session.truth``.
"""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from calcium_lightning.core.behavior import Behavior
from calcium_lightning.core.errors import InputError, frame_rate, pixel_size
from calcium_lightning.core.hashing import sha256_of
from calcium_lightning.core.reading import reading
from calcium_lightning.core.truth import Truth
from calcium_lightning.io import hdf5
from calcium_lightning.io.base_session import DTYPES, KINDS, BaseSession, check_finite
from calcium_lightning.io.behavior import read_group
from calcium_lightning.io.inflate import Inflater
from calcium_lightning.io.linked import files_beside
from calcium_lightning.io.stored import check_frame, frames_stored

FORMAT, VERSION = "calcium-lightning-session", 1


def ingest_first(path: Path) -> str:
    """What to do with a recording where a session file is wanted."""
    found = shlex.quote(f"input={path}")
    return f"python -m calcium_lightning.ingest {found} output=SESSION.h5 makes a session of a recording"


class Session(BaseSession):
    """A session file, read lazily.

    The file is opened on first use in each process, so that a session can be handed to DataLoader workers.

    Parameters
    ----------
    path : path-like
        The session file.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another format or version, or breaks the contract.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._dataset: h5py.Dataset | None = None
        self._inflater: Inflater | None = None
        frames = self._frames()
        with reading(self.path, parsing=True):
            attributes = dict(frames.attrs)
        if frames.dtype not in DTYPES:
            raise InputError(
                f"{self.path}: /frames is of type {frames.dtype}, expected uint8, uint16 or float32"
            )
        if 0 in frames.shape:
            raise InputError(f"{self.path}: /frames is empty, shape {frames.shape}")
        count, height, width = frames.shape
        self.shape = (count, height, width)
        check_frame(f"{self.path}: /frames", height, width)
        with reading(self.path, parsing=True):
            there, why = frames_stored(frames)
        if why:
            raise InputError(
                f"{self.path}: /frames was made for {count} frames, frame {there} isn't there ({why}); "
                "copy it again, or ingest its recording again"
            )
        self.dtype = frames.dtype
        self.fps = hdf5.number(attributes.get("fps"))
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise InputError(
                f"{self.path}: /frames has no attribute fps (Hz, above 0); ingest it again with fps="
            )
        frame_rate(f"{self.path}: fps", self.fps)
        size = hdf5.number(attributes.get("pixel_size_um"))
        self.pixel_size_um = pixel_size(f"{self.path}: pixel_size_um", size) if size > 0 else None
        self.kind = hdf5.text(attributes.get("kind", "raw"))
        if self.kind not in KINDS:
            raise InputError(f"{self.path}: /frames has kind {self.kind!r}, expected raw or dff")
        self.motion_corrected = hdf5.flag(
            attributes.get("motion_corrected", False), f"{self.path}: /frames' motion_corrected"
        )
        self.chunk_frames = (
            int(frames.chunks[0])
            if frames.chunks
            else hdf5.chunk_frames(*self.shape[1:], self.dtype.itemsize)
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_dataset": None, "_inflater": None}

    def close(self) -> None:
        """Close the file; it opens again when it is needed."""
        if self._file is not None:
            self._file.close()
            self._file = self._dataset = self._inflater = None

    def _open(self) -> h5py.File:
        if self._file is None or not self._file:
            self._file = hdf5.open_file(self.path, FORMAT, VERSION, ingest_first(self.path))
        return self._file

    def _frames(self) -> h5py.Dataset:
        if not self._dataset:
            with reading(self.path, parsing=True):
                self._dataset = hdf5.stream(hdf5.dataset(self._open(), "frames", 3, "fiu"))
                self._inflater = Inflater(self._dataset) if Inflater.can(self._dataset) else None
        return self._dataset

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Read the frames from ``start`` on into ``out`` (n, H, W), contiguous and of the file's type.

        Memory that was written to before is filled twice as fast as new memory.

        Raises
        ------
        InputError
            As :meth:`frames`.
        """
        stop = start + len(out)
        if stop == start:
            return
        with reading(self.path, f"/frames {start} to {stop - 1}"):
            dataset = self._frames().id
            if self._inflater is None or not self._inflater.read_into(start, out):
                whole, memory = dataset.get_space(), h5py.h5s.create_simple(out.shape)
                whole.select_hyperslab((start, 0, 0), out.shape)
                dataset.read(memory, whole, out)  # as Dataset.read_direct, a tenth of a chunk's time sooner
        check_finite(out, start, f"{self.path}: /frames")

    @property
    def timestamps(self) -> np.ndarray | None:
        """Seconds, float64 (T,), where the file has them."""
        return self._optional("timestamps", (self.n_frames,), np.float64, finite=True)

    @property
    def shifts(self) -> np.ndarray | None:
        """Estimated motion (dy, dx), pixels, float32 (T, 2), where the file has it."""
        return self._optional("shifts", (self.n_frames, 2), np.float32, finite=True)

    @property
    def field(self) -> np.ndarray:
        """Which pixels are recording, bool (H, W); all of them where the file doesn't say."""
        known = self._optional("field", self.shape[1:], bool)
        return np.ones(self.shape[1:], bool) if known is None else known

    @property
    def field_given(self) -> bool:
        """Whether a person said which pixels are recording, so that nobody need guess."""
        file = self._open()
        with reading(self.path, parsing=True):
            given = file["field"].attrs.get("given", False) if "field" in file else False
        return hdf5.flag(given, f"{self.path}: /field's given")

    @property
    def bad_frames(self) -> np.ndarray:
        """Which frames hold no picture, bool (T,); none where the file doesn't say."""
        known = self._optional("bad_frames", (self.n_frames,), bool)
        return np.zeros(self.n_frames, bool) if known is None else known

    @property
    def about(self) -> dict[str, str]:
        """Who, what and when, where the recorder said so.

        ``session_start_time`` (ISO 8601), ``subject_id``, ``experiment``, ``experimenter``, ``device``.
        """
        file = self._open()
        with reading(self.path, parsing=True):
            return hdf5.texts(file.get("metadata"))

    @property
    def behavior(self) -> tuple[Behavior, ...]:
        """Times of behaviour in the clock of the time stamps, where the file has any."""
        file = self._open()
        with reading(self.path, parsing=True):
            return read_group(file)

    @property
    def truth(self) -> Truth | None:
        """The truth, where the file has any. For evaluation and the labels of pretraining only."""
        file = self._open()
        with reading(self.path, parsing=True):
            there, drawn = "truth" in file, "truth/footprints" in file
        if not there:
            return None
        footprints, count = None, None
        if drawn:
            footprints, frame_shape = hdf5.read_footprints(file, "truth/footprints")
            count = footprints.shape[0]
            if frame_shape != self.shape[1:]:
                raise InputError(
                    f"{self.path}: /truth/footprints are {frame_shape}, the frames {self.shape[1:]}"
                )
        mask = self._optional("truth/mask", (None, None), np.uint8)
        return Truth(
            shifts=self._optional("truth/shifts", (self.n_frames, 2), np.float32, finite=True),
            footprints=footprints,
            traces=self._optional("truth/traces", (count, self.n_frames), np.float32, finite=True),
            spikes=self._optional("truth/spikes", (count, self.n_frames), np.float32, finite=True),
            amplitude=self._optional("truth/amplitude", (count,), np.float32, finite=True),
            identity=self._optional("truth/identity", (count,), np.int64),
            mask=mask,
        )

    def _optional(
        self, name: str, shape: tuple[int | None, ...], dtype: Any, finite: bool = False
    ) -> np.ndarray | None:
        file = self._open()
        with reading(self.path, parsing=True):
            there = name in file
        return hdf5.read(file, name, shape, dtype, finite) if there else None

    def sha256(self) -> str:
        """SHA-256 of the file's bytes, hexadecimal; with those of the files that its frames are in."""
        beside = files_beside(self.path, "frames")
        if not beside:
            return sha256_of(self.path)
        parts = [sha256_of(path) for path in (self.path, *beside)]
        return hashlib.sha256("".join(parts).encode()).hexdigest()
