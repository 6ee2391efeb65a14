"""Which formats there are, and the choice of a recording's reader: the one table.

A reader is one module and one row here. It is imported when the first file of its kind is opened, so that
readers may open other recordings (a folder its videos, an NWB file its external movie) without a circle.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import check_no_pipe, not_there, reading
from calcium_lightning.io.readers.base import Recording, check_facts
from calcium_lightning.io.readers.foreign import advice_for
from calcium_lightning.io.readers.own import own_recording
from calcium_lightning.io.readers.packets import PacketsInOrder
from calcium_lightning.io.readers.series import others_of
from calcium_lightning.io.stored import check_frame


@dataclass(frozen=True)
class Options:
    """What a user may say about a file that it doesn't say itself.

    Attributes
    ----------
    key : str or None
        Dataset of an HDF5, NWB or zarr file, variable of a ``.mat`` or ``.npz``, image of an OME file.
    axes : str or None
        Order of a stored array's axes, of the letters t, y, x, and c (channel) or z (plane).
    channel, plane : int or None
        Which of several, from 0.
    shape : tuple of int or None
        (T, H, W), or (H, W) of each frame, of a file of nothing but numbers.
    dtype : str or None
        Type of those numbers, such as ``uint16``, or ``>u2`` where the high byte is first.
    """

    key: str | None = None
    axes: str | None = None
    channel: int | None = None
    plane: int | None = None
    shape: tuple[int, ...] | None = None
    dtype: str | None = None

    def given(self) -> list[str]:
        """Names of those that were said."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]


@dataclass(frozen=True)
class Format:
    """A row of the table.

    Attributes
    ----------
    name : str
        For people.
    opener : str
        ``module:function`` of this package's ``io``, called with the path and :class:`Options`.
    endings : tuple of str
        Of the files' names, in lower case.
    takes : tuple of str
        The options that mean something to it.
    magic : tuple of bytes
        How its files begin, where that is certain; it goes before the ending.
    """

    name: str
    opener: str
    endings: tuple[str, ...]
    takes: tuple[str, ...] = ()
    magic: tuple[bytes, ...] = ()

    @property
    def module(self) -> str:
        """The reader's module."""
        return self.opener.partition(":")[0]

    def open(self, path: Path, options: Options) -> Recording:
        """Import the reader and open a file with it.

        Raises
        ------
        InputError
            If the file can't be read, whatever the reader's library makes of it.
        """
        function = self.opener.partition(":")[2]
        opener = getattr(import_module(f"{__package__}.{self.module}"), function)
        with reading(path, parsing=True):
            recording: Recording = opener(path, options)
        try:
            check_frame(str(path), *recording.shape[1:])
            check_facts(recording)
        except InputError:
            recording.close()
            raise
        return recording


_RARE_VIDEOS = (".ts", ".mts", ".m2ts", ".ogv", ".flv", ".3gp", ".mj2", ".y4m", ".nut", ".asf")
VIDEO_ENDINGS = (".avi", ".mp4", ".mkv", ".mov", ".m4v", ".wmv", ".webm", ".mpg", ".mpeg", *_RARE_VIDEOS)
TIFF_ENDINGS = (".tif", ".tiff", ".btf", ".tf8", ".tf2")
PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".jp2", ".j2k", ".webp", *TIFF_ENDINGS)
_ARRAY = ("key", "axes", "channel", "plane")

FOLDER = Format("a folder", "folder:open_folder", (), ("key", "axes", "channel", "plane"))
FORMATS = (
    Format("video", "video:open_video", VIDEO_ENDINGS),
    Format("MATLAB", "matlab:open_matlab", (".mat",), _ARRAY),
    Format("Inscopix", "inscopix:open_inscopix", (".isxd",)),
    Format("CaImAn's memory map", "caiman:open_mmap", (".mmap",), ("plane",)),
    Format("NumPy", "numpy:open_numpy", (".npy", ".npz"), _ARRAY, (b"\x93NUMPY",)),
    Format("zarr", "zarr:open_zarr", (".zarr", ".zarr.zip", ".zip"), _ARRAY),
    Format(
        "HDF5",
        "hdf5:open_hdf5",
        (".h5", ".hdf5", ".hdf", ".he5", ".nwb", ".nc", ".ims", ".doric"),
        _ARRAY,
        (b"\x89HDF\r\n\x1a\n",),
    ),
    Format("TIFF", "tiff:open_stack", TIFF_ENDINGS, _ARRAY, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    Format("raw numbers", "raw:open_raw", (".bin", ".raw", ".dat"), ("shape", "dtype", "channel")),
)
KNOWN = (
    "a folder of JPG, PNG, BMP or TIFF frames, a multi-page TIFF, AVI/MP4/MKV, a folder of Miniscope-DAQ "
    "or Inscopix, HDF5, NWB, Doric, MATLAB .mat, .npy/.npz, zarr, Inscopix .isxd, CaImAn .mmap, Suite2p "
    "data.bin, or raw numbers with shape= and dtype="
)


def open_recording(
    path: Path | str,
    key: str | None = None,
    axes: str | None = None,
    *,
    channel: int | None = None,
    plane: int | None = None,
    shape: tuple[int, ...] | None = None,
    dtype: str | None = None,
) -> Recording:
    """Open any supported recording, choosing the reader by the path's content and ending.

    Parameters
    ----------
    path : path-like
        A file or a folder.
    key, axes, channel, plane, shape, dtype
        See :class:`Options`; guessed or unneeded where there is only one way to read the file.

    Raises
    ------
    InputError
        If there is no such path, or it isn't a recording of a known format.

    Examples
    --------
    >>> with open_recording("rec/My_V4_Miniscope") as recording:  # doctest: +SKIP
    ...     print(recording.shape, recording.fps, *recording.notes)
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: {not_there(path)}")
    own = own_recording(path)
    if own is not None:
        return PacketsInOrder.of(own)
    if axes is not None and (not {"t", "y", "x"} <= set(axes) <= set("tyxcz") or len(set(axes)) < len(axes)):
        raise InputError(
            f"axes={axes}: expected an order of the letters t, y and x (and c for channels, z for planes), "
            "such as tyx"
        )
    recording = choose(path, Options(key, axes, channel, plane, shape, dtype))
    taken = {file.name for file in getattr(recording, "files", [])}
    if path.suffix.lower() in (*VIDEO_ENDINGS, *TIFF_ENDINGS) and path.is_file():
        more = [file.name for file in others_of(path) if file.name not in taken]
        if more:
            names = ", ".join(more[:3]) + (", ..." if len(more) > 3 else "")
            recording.note(f"one of {len(more) + 1} files ({names}); input={path.parent} takes all of them")
    return PacketsInOrder.of(recording)


def choose(path: Path, options: Options) -> Recording:
    """Open an existing path with the options that its format takes."""
    check_no_pipe(path)
    kind = format_of(path)
    senseless = [name for name in options.given() if name not in kind.takes]
    if senseless:
        names = " and ".join(f"{name}=" for name in senseless)
        raise InputError(
            f"{path}: {names} mean{'s' * (len(senseless) == 1)} nothing to {kind.name}; leave out"
        )
    return kind.open(path, options)


def format_of(path: Path) -> Format:
    """Tell a path's format.

    Raises
    ------
    InputError
        If it is empty, or of none.
    """
    if path.is_dir():
        return FOLDER
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    name = path.name.lower()
    with path.open("rb") as stream:
        start = stream.read(8)
    by_name = next((kind for kind in FORMATS if name.endswith(kind.endings)), None)
    if by_name is not None and by_name.name == "MATLAB":  # version 7.3 begins as HDF5 does
        return by_name
    for kind in FORMATS:
        if any(start.startswith(magic) for magic in kind.magic):
            return kind
    if by_name is not None:
        return by_name
    if path.suffix.lower() in PICTURE_ENDINGS:
        raise InputError(f"{path}: a single picture; give the folder that holds all frames")
    if advice := advice_for(path):
        raise InputError(f"{path}: {advice}")
    raise InputError(f"{path}: not a recording of a known format; expected {KNOWN}")
