"""The protocol that every foreign recording is read through, and the choice of its reader.

A recording is a stream of grey frames with what its file says about itself. It doesn't know what will be done
with the frames (crops, bins and number types are :mod:`calcium_lightning.io.convert`'s business).
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import ClassVar

import numpy as np

from calcium_lightning.core.errors import InputError, nearest

VIDEO_ENDINGS = (".avi", ".mp4", ".mkv", ".mov", ".m4v", ".wmv", ".webm", ".mpg", ".mpeg")
TIFF_ENDINGS = (".tif", ".tiff", ".btf", ".tf8")
PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", *TIFF_ENDINGS)
HDF5_ENDINGS = (".h5", ".hdf5", ".hdf", ".he5", ".nwb")
FORMATS = (
    "a folder of JPG, PNG or TIFF frames, a multi-page TIFF, AVI/MP4/MKV, a Miniscope-DAQ folder, HDF5, NWB, "
    "MATLAB .mat or Inscopix .isxd"
)


class Recording(abc.ABC):
    """A foreign recording: what its file says of itself, and its frames in order.

    Attributes
    ----------
    path : Path
        The file or folder.
    shape : tuple of int
        (T, H, W) as the file's headers promise it; a reader that finds fewer frames raises while streaming.
    dtype : numpy.dtype
        Type of the frames as stored.
    fps : float or None
        Frame rate, Hz, where the file says.
    pixel_size_um : float or None
        Micrometres per pixel, where the file says.
    timestamps : ndarray or None
        Seconds, float64 (T,), where the file has them.
    kind : {"raw", "dff"} or None
        Where the file says.
    motion_corrected : bool or None
        Where the file says.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    fps: float | None = None
    pixel_size_um: float | None = None
    timestamps: np.ndarray | None = None
    kind: str | None = None
    motion_corrected: bool | None = None
    #: whether ``key=`` and ``axes=`` mean anything to this format
    takes_key: ClassVar[bool] = False

    @abc.abstractmethod
    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop) in order, stored type, as (n, H, W) blocks of about ``size`` frames.

        Raises
        ------
        InputError
            Naming the frame that can't be read.
        """

    def close(self) -> None:  # noqa: B027  (most readers hold nothing open)
        """Release whatever is open."""

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return self.shape[0]

    def wrong_size(self, frame: int, found: tuple[int, ...]) -> InputError:
        """Give the error for a frame whose size is not the first one's."""
        return InputError(
            f"{self.path}: frame {frame} has the size {found}, the first has {self.shape[1:]}; all must agree"
        )


def open_recording(path: Path | str, key: str | None = None, axes: str | None = None) -> Recording:
    """Open any supported recording, choosing the reader by the path's ending and content.

    Parameters
    ----------
    path : path-like
        A file or a folder.
    key : str, optional
        Dataset of an HDF5 or NWB file, variable of a ``.mat``; guessed where there is only one candidate.
    axes : str, optional
        Order of a stored array's axes, a permutation of ``tyx``, where it isn't the format's usual one.

    Raises
    ------
    InputError
        If there is no such path, or it isn't a recording of a known format.
    """
    path = Path(path)
    if not path.exists():
        siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{path}: no such file or folder{nearest(path.name, siblings)}")
    if axes is not None and sorted(axes) != ["t", "x", "y"]:
        raise InputError(f"axes={axes}: expected an order of the letters t, y and x, such as tyx")
    family = _family(path)
    if (key or axes) and family not in ("hdf5", "matlab"):
        raise InputError(f"{path}: key= and axes= are for HDF5, NWB and MATLAB files; leave them out")
    if family == "folder":
        from calcium_lightning.io.readers.folder import open_folder

        return open_folder(path)
    if family == "video":
        from calcium_lightning.io.readers.video import VideoRecording

        return VideoRecording(path)
    if family == "tiff":
        from calcium_lightning.io.readers.tiff import TiffRecording

        return TiffRecording(path)
    if family == "matlab":
        from calcium_lightning.io.readers.matlab import open_matlab

        return open_matlab(path, key, axes)
    if family == "isxd":
        from calcium_lightning.io.readers.inscopix import InscopixRecording

        return InscopixRecording(path)
    from calcium_lightning.io.readers.hdf5 import open_hdf5

    return open_hdf5(path, key, axes)


def _family(path: Path) -> str:
    ending = path.suffix.lower()
    if path.is_dir():
        return "folder"
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    if ending in VIDEO_ENDINGS:
        return "video"
    if ending == ".mat":
        return "matlab"
    if ending == ".isxd":
        return "isxd"
    with path.open("rb") as stream:
        magic = stream.read(8)
    if magic == b"\x89HDF\r\n\x1a\n" or ending in HDF5_ENDINGS:
        return "hdf5"
    if magic[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") or ending in TIFF_ENDINGS:
        return "tiff"
    if ending in PICTURE_ENDINGS:
        raise InputError(f"{path}: a single picture; give the folder that holds all frames")
    raise InputError(f"{path}: not a recording of a known format; expected {FORMATS}")
