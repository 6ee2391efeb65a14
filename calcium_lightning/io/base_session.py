"""What every session offers, wherever its frames are: the interface that the method speaks.

For: writing a source of frames of one's own in two methods (:meth:`BaseSession.read_into`,
:meth:`BaseSession.sha256`), and sessions made of others (:class:`DerivedSession`).
Must not know: files, tensors, methods.
"""

from __future__ import annotations

import abc
import copy
import hashlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from calcium_lightning.core.behavior import Behavior
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.truth import Truth

#: types of a session's pixels
DTYPES = (np.dtype("uint8"), np.dtype("uint16"), np.dtype("float32"))
#: sensor counts, or ΔF/F
KINDS = ("raw", "dff")


class BaseSession(abc.ABC):
    """A recording and what is known of it; fulfils :class:`~calcium_lightning.core.frames.Frames`.

    Attributes
    ----------
    path : Path
        Where it is, or what messages call it.
    shape : tuple of int
        (T, H, W).
    dtype : numpy.dtype
        uint8, uint16 or float32.
    fps : float
        Frame rate, Hz.
    pixel_size_um : float or None
        Micrometres per pixel.
    kind : {"raw", "dff"}
        Sensor counts, or ΔF/F.
    motion_corrected : bool
        Whether motion was removed already.
    chunk_frames : int
        How many frames are best read at once, or multiples of it.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    fps: float
    pixel_size_um: float | None
    kind: str
    motion_corrected: bool
    chunk_frames: int

    @abc.abstractmethod
    def read_into(self, start: int, out: np.ndarray) -> None:
        """Read the frames from ``start`` on into ``out`` (n, H, W), contiguous and of the session's type.

        Raises
        ------
        InputError
            If they can't be read, or hold NaN or infinite values.
        """

    @abc.abstractmethod
    def sha256(self) -> str:
        """SHA-256 of what the recording is made of, hexadecimal."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({str(self.path)!r}, {self.shape}, {self.dtype}, {self.fps:g} Hz, "
            f"{self.kind})"
        )

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

    @property
    def timestamps(self) -> np.ndarray | None:
        """Seconds, float64 (T,), where they are known."""
        return None

    @property
    def shifts(self) -> np.ndarray | None:
        """Estimated motion (dy, dx), pixels, float32 (T, 2), where it is known."""
        return None

    @property
    def field(self) -> np.ndarray:
        """Which pixels are recording, bool (H, W); all of them where it isn't known."""
        return np.ones(self.shape[1:], bool)

    @property
    def field_given(self) -> bool:
        """Whether a person said which pixels are recording, so that nobody need guess."""
        return False

    @property
    def bad_frames(self) -> np.ndarray:
        """Which frames hold no picture, bool (T,); none where it isn't known."""
        return np.zeros(self.n_frames, bool)

    @property
    def about(self) -> dict[str, str]:
        """Who, what and when, where the recorder said so; the names are those of the session file."""
        return {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What its reader has to say, where no one has heard it yet."""
        return ()

    @property
    def behavior(self) -> tuple[Behavior, ...]:
        """Times of behaviour in the clock of the time stamps; none where it isn't known."""
        return ()

    @property
    def truth(self) -> Truth | None:
        """The truth, where there is any. For evaluation and the labels of pretraining only."""
        return None

    def close(self) -> None:  # noqa: B027  (most sources hold nothing open)
        """Release whatever is open; it opens again when it is needed."""

    def frames(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read frames [start, stop) as (n, H, W) in the session's type.

        Raises
        ------
        InputError
            As :meth:`read_into`.
        """
        stop = self.n_frames if stop is None else min(stop, self.n_frames)
        block = np.empty((max(0, stop - start), *self.shape[1:]), self.dtype)
        self.read_into(start, block)
        return block

    def chunks(self, count: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (start, frames) in order, about ``count`` at a time, aligned to the source's chunks."""
        for start, stop in self.spans(0, self.n_frames, count):
            yield start, self.frames(start, stop)

    def spans(self, start: int, stop: int, count: int | None = None) -> list[tuple[int, int]]:
        """Cut frames [start, stop) as :meth:`chunks` does, so that no chunk is read twice but at the ends."""
        step = self.chunk_frames
        if count is not None:
            step = max(1, round(count / self.chunk_frames)) * self.chunk_frames
        edges = [start, *range((start // step + 1) * step, stop, step), stop]
        return list(pairwise(edges)) if start < stop else []


class DerivedSession(BaseSession):
    """Another session with something done to it; what isn't overridden is the original's.

    Parameters
    ----------
    original : BaseSession
        It is read through, and closed with this one.
    """

    def __init__(self, original: BaseSession) -> None:
        self.original = original
        for fact in BaseSession.__annotations__:
            setattr(self, fact, getattr(original, fact))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "original": copy.copy(self.original)}

    @property
    def timestamps(self) -> np.ndarray | None:
        """The original's."""
        return self.original.timestamps

    @property
    def shifts(self) -> np.ndarray | None:
        """The original's."""
        return self.original.shifts

    @property
    def field(self) -> np.ndarray:
        """The original's."""
        return self.original.field

    @property
    def field_given(self) -> bool:
        """Whether a person gave the original's."""
        return self.original.field_given

    @property
    def bad_frames(self) -> np.ndarray:
        """The original's."""
        return self.original.bad_frames

    @property
    def about(self) -> dict[str, str]:
        """The original's."""
        return self.original.about

    @property
    def notes(self) -> tuple[str, ...]:
        """The original's."""
        return self.original.notes

    @property
    def behavior(self) -> tuple[Behavior, ...]:
        """The original's."""
        return self.original.behavior

    @property
    def truth(self) -> Truth | None:
        """The original's."""
        return self.original.truth

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Read from the original."""
        self.original.read_into(start, out)

    def sha256(self) -> str:
        """The original's: what is done to it follows from it."""
        return self.original.sha256()

    def close(self) -> None:
        """Close the original."""
        self.original.close()


class Beginning(DerivedSession):
    """The first frames of a session as a session.

    Parameters
    ----------
    original : BaseSession
        The whole one.
    frames : int
        How many there shall be; all of them where it has fewer.
    """

    def __init__(self, original: BaseSession, frames: int) -> None:
        super().__init__(original)
        self.shape = (min(frames, original.n_frames), *original.shape[1:])

    @property
    def timestamps(self) -> np.ndarray | None:
        """Seconds, float64 (T,)."""
        times = self.original.timestamps
        return None if times is None else times[: self.n_frames]

    @property
    def shifts(self) -> np.ndarray | None:
        """Estimated motion, float32 (T, 2)."""
        shifts = self.original.shifts
        return None if shifts is None else shifts[: self.n_frames]

    @property
    def bad_frames(self) -> np.ndarray:
        """Which of these frames hold no picture, bool (T,)."""
        return self.original.bad_frames[: self.n_frames]

    @property
    def truth(self) -> Truth | None:
        """The truth of these frames."""
        truth = self.original.truth
        return None if truth is None else truth.beginning(self.n_frames)

    def sha256(self) -> str:
        """Of the whole one's and of how many frames of it there are."""
        whole = self.original.sha256()
        if self.shape == self.original.shape:
            return whole
        return hashlib.sha256(f"{whole} {self.n_frames}".encode()).hexdigest()


def check_finite(frames: np.ndarray, start: int, where: str) -> None:
    """Refuse frames (n, H, W), the first one numbered ``start``, that hold NaN or infinite values.

    Raises
    ------
    InputError
        Naming the first of them after ``where``.
    """
    # A finite sum of all is the quick proof that each is finite.
    if frames.dtype.kind == "f" and not np.isfinite(frames.sum()) and not np.isfinite(frames).all():
        bad = start + int(np.argmin(np.isfinite(frames).all((1, 2))))
        raise InputError(f"{where} {bad} holds NaN or infinite values; leave it out or repair it")
