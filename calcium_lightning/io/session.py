"""The session file: a recording, what is known of it, and the truth where it was simulated.

With its writer, the only place that knows the paths inside a session's HDF5. Knows nothing of other formats,
of tensors or of methods. Nothing but evaluation and the labels of pretraining may read ``Session.truth``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.hashing import sha256_of
from calcium_lightning.io import hdf5

FORMAT, VERSION = "calcium-lightning-session", 1
DTYPES = (np.dtype("uint8"), np.dtype("uint16"), np.dtype("float32"))
KINDS = ("raw", "dff")


@dataclass(frozen=True)
class Truth:
    """What is known of a simulated or annotated recording; every part is optional.

    Attributes
    ----------
    shifts : ndarray, float32 (T, 2)
        True motion (dy, dx), pixels: a point at c in the motion-corrected field lies at c + shifts[t] in
        frame t.
    footprints : csr_matrix, float32 (K, H*W)
        Each with a peak of 1.
    traces, spikes : ndarray, float32 (K, T)
        True calcium and its spikes.
    amplitude : ndarray, float32 (K,)
        Peak brightness of each cell.
    mask : ndarray, uint8 (H', W')
        An annotator's mask of all cells at its own resolution.
    """

    shifts: np.ndarray | None = None
    footprints: csr_matrix | None = None
    traces: np.ndarray | None = None
    spikes: np.ndarray | None = None
    amplitude: np.ndarray | None = None
    mask: np.ndarray | None = None


class Session:
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
        frames = self._frames()
        attributes = frames.attrs
        if frames.dtype not in DTYPES:
            raise InputError(
                f"{self.path}: /frames is of type {frames.dtype}, expected uint8, uint16 or float32"
            )
        if 0 in frames.shape:
            raise InputError(f"{self.path}: /frames is empty, shape {frames.shape}")
        self.shape: tuple[int, int, int] = tuple(frames.shape)  # type: ignore[assignment]
        self.dtype = frames.dtype
        self.fps = hdf5.number(attributes.get("fps"))
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise InputError(
                f"{self.path}: /frames has no attribute fps (Hz, above 0); ingest it again with fps="
            )
        pixel_size = hdf5.number(attributes.get("pixel_size_um"))
        self.pixel_size_um = pixel_size if np.isfinite(pixel_size) and pixel_size > 0 else None
        self.kind = hdf5.text(attributes.get("kind", "raw"))
        if self.kind not in KINDS:
            raise InputError(f"{self.path}: /frames has kind {self.kind!r}, expected raw or dff")
        self.motion_corrected = bool(attributes.get("motion_corrected", False))
        self.chunk_frames = (
            int(frames.chunks[0])
            if frames.chunks
            else hdf5.chunk_frames(*self.shape[1:], self.dtype.itemsize)
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_dataset": None}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Session({str(self.path)!r}, {self.shape}, {self.dtype}, {self.fps:g} Hz, {self.kind})"

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return self.shape[0]

    @property
    def height(self) -> int:
        """Rows H of a frame."""
        return self.shape[1]

    @property
    def width(self) -> int:
        """Columns W of a frame."""
        return self.shape[2]

    def close(self) -> None:
        """Close the file; it opens again when it is needed."""
        if self._file is not None:
            self._file.close()
            self._file = self._dataset = None

    def _open(self) -> h5py.File:
        if self._file is None or not self._file:
            self._file = hdf5.open_file(self.path, FORMAT, VERSION)
        return self._file

    def _frames(self) -> h5py.Dataset:
        if not self._dataset:
            self._dataset = hdf5.stream(hdf5.dataset(self._open(), "frames", 3, "fiu"))
        return self._dataset

    def frames(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read frames [start, stop) as (n, H, W) in the file's type.

        Raises
        ------
        InputError
            If they can't be read (a damaged file), or hold NaN or infinite values.
        """
        stop = self.n_frames if stop is None else min(stop, self.n_frames)
        block = np.empty((max(0, stop - start), *self.shape[1:]), self.dtype)
        self.read_into(start, block)
        return block

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
        dataset = self._frames().id
        whole, memory = dataset.get_space(), h5py.h5s.create_simple(out.shape)
        whole.select_hyperslab((start, 0, 0), out.shape)
        try:
            dataset.read(memory, whole, out)  # as Dataset.read_direct, a tenth of a chunk's time sooner
        except OSError as error:
            raise InputError(
                f"{self.path}: /frames {start} to {stop - 1} can't be read ({error}); the file is damaged"
            ) from error
        # A finite sum of all is the quick proof that each is finite.
        if out.dtype.kind == "f" and not np.isfinite(out.sum()) and not np.isfinite(out).all():
            bad = start + int(np.argmin(np.isfinite(out).all((1, 2))))
            raise InputError(
                f"{self.path}: /frames {bad} holds NaN or infinite values; leave it out or repair it"
            )

    def chunks(self, count: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (start, frames) in order, about ``count`` frames at a time, aligned to the file's chunks."""
        step = self.chunk_frames
        if count is not None:
            step = max(1, round(count / self.chunk_frames)) * self.chunk_frames
        for start in range(0, self.n_frames, step):
            yield start, self.frames(start, start + step)

    @property
    def timestamps(self) -> np.ndarray | None:
        """Seconds, float64 (T,), where the file has them."""
        return self._optional("timestamps", (self.n_frames,), np.float64)

    @property
    def shifts(self) -> np.ndarray | None:
        """Estimated motion (dy, dx), pixels, float32 (T, 2), where the file has it."""
        return self._optional("shifts", (self.n_frames, 2), np.float32)

    @property
    def field(self) -> np.ndarray:
        """Which pixels are recording, bool (H, W); all of them where the file doesn't say."""
        known = self.known_field
        return np.ones(self.shape[1:], bool) if known is None else known

    @property
    def known_field(self) -> np.ndarray | None:
        """The same, where the file says."""
        return self._optional("field", self.shape[1:], bool)

    @property
    def field_given(self) -> bool:
        """Whether a person said which pixels are recording, so that nobody need guess."""
        return self.known_field is not None and bool(self._open()["field"].attrs.get("given", False))

    @property
    def bad_frames(self) -> np.ndarray:
        """Which frames hold no picture, bool (T,); none where the file doesn't say."""
        known = self._optional("bad_frames", (self.n_frames,), bool)
        return np.zeros(self.n_frames, bool) if known is None else known

    @property
    def truth(self) -> Truth | None:
        """The truth, where the file has any. For evaluation and the labels of pretraining only."""
        file = self._open()
        if "truth" not in file:
            return None
        footprints, count = None, None
        if "truth/footprints" in file:
            footprints, frame_shape = hdf5.read_footprints(file, "truth/footprints")
            count = footprints.shape[0]
            if frame_shape != self.shape[1:]:
                raise InputError(
                    f"{self.path}: /truth/footprints are {frame_shape}, the frames {self.shape[1:]}"
                )
        mask = self._optional("truth/mask", (None, None), np.uint8)
        return Truth(
            shifts=self._optional("truth/shifts", (self.n_frames, 2), np.float32),
            footprints=footprints,
            traces=self._optional("truth/traces", (count, self.n_frames), np.float32),
            spikes=self._optional("truth/spikes", (count, self.n_frames), np.float32),
            amplitude=self._optional("truth/amplitude", (count,), np.float32),
            mask=mask,
        )

    def _optional(self, name: str, shape: tuple[int | None, ...], dtype: Any) -> np.ndarray | None:
        file = self._open()
        return hdf5.read(file, name, shape, dtype) if name in file else None

    def sha256(self) -> str:
        """SHA-256 of the file's bytes, hexadecimal."""
        return sha256_of(self.path)
