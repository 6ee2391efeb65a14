"""Frames as they arrive: in a growing HDF5 file, or in a folder into which a recorder writes videos.

Files that others are writing are opened, read and closed again, never locked; how far they are is asked of
them, not believed from their headers. A recording is over when nothing has come for a while. Knows files and
frames, not what is done with them.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import check_regular
from calcium_lightning.io.readers.folder_videos import scope_videos
from calcium_lightning.io.readers.miniscope import is_scope, read_metadata
from calcium_lightning.io.readers.packets import PacketOrder
from calcium_lightning.io.readers.series import is_hidden, natural
from calcium_lightning.io.readers.video_grey import OUTSIDE, Grey, bits_of, outside_narrow

#: seconds between two looks at files that have nothing new
POLL_S = 0.01
#: looks at a file that has a next one, until nothing more of it is waited for
SETTLE_LOOKS = 200
#: codecs that give each frame as soon as they have it: a video that grows can be read to its end
SINGLE = ("ffv1", "rawvideo", "mjpeg", "huffyuv", "ffvhuff", "utvideo", "png")


def arriving(
    path: Path | str,
    patience_s: float = 10.0,
    key: str = "frames",
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[str], None] = warnings.warn,
) -> Iterator[np.ndarray]:
    """Yield frames (H, W) as they come, without a Miniscope V4's stripes; those that are there first.

    Parameters
    ----------
    path : path-like
        An HDF5 file whose dataset grows along its first axis, or a folder of AVI files (0.avi, 1.avi, … as
        Miniscope-DAQ writes them; the session's folder or the scope's). Another camera's are left out.
    patience_s : float
        When nothing has come for so many seconds, the recording is over.
    key : str
        The dataset.
    sleep : callable
        Waits so many seconds.
    tell : callable
        Is told of files that are damaged: what comes behind them is followed all the same.

    Raises
    ------
    InputError
        If the path is neither, or nothing comes at all that can be read.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: not found; name the folder, or the file, that is being recorded")
    check_regular(path)
    growing = _Folder(path, tell) if path.is_dir() else _Dataset(path, key)
    count, waited = 0, 0.0
    packets = PacketOrder()
    while waited < patience_s:
        before = count
        for frame in growing.new(waited > 0):
            yield packets.restore(frame[None])[0][0]
            count += 1
        if count > before:
            waited = 0.0
        else:
            sleep(POLL_S)
            waited += POLL_S
    for frame in growing.rest():
        yield packets.restore(frame[None])[0][0]
        count += 1
    if not count:
        reason = growing.nothing()
        raise InputError(f"{path}: no frame has come in {patience_s:g} s; patience_s= waits longer{reason}")


class _Dataset:
    """A dataset (T, H, W) that grows."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key, self.count = path, key, 0

    def new(self, patient: bool) -> Iterator[np.ndarray]:
        """Frames that have come since the last time."""
        try:
            # Another process has it open for writing: no lock, and what it has flushed is whole.
            with h5py.File(self.path, "r", locking=False, swmr=True) as file:
                dataset = file.get(self.key)
                if not _holds_frames(dataset):
                    there: list[str] = []
                    file.visititems(lambda name, node: there.append(name) if _holds_frames(node) else None)
                    raise InputError(
                        f"{self.path}: no dataset {self.key} of frames (T, H, W); key= names it, there are: "
                        f"{', '.join(there[:5]) or 'none'}"
                    )
                while self.count < len(dataset):
                    for frame in dataset[self.count : self.count + 16]:
                        self.count += 1
                        yield frame
        except (OSError, RuntimeError) as error:
            if not patient:
                return  # half-written metadata: whole at the next look
            if self.count == 0 and "signature" in str(error):
                raise InputError(f"{self.path}: neither a folder of videos nor HDF5 that grows") from error

    def rest(self) -> Iterator[np.ndarray]:
        """Nothing is held back."""
        return iter(())

    def nothing(self) -> str:
        """Nothing is known of the reason."""
        return ""


def _holds_frames(node: object) -> bool:
    return isinstance(node, h5py.Dataset) and node.ndim == 3


class _Folder:
    """AVI files, one after the other: those of the scope, where another camera's lie beside them."""

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self.path, self._tell = path, tell
        self._done: set[Path] = set()
        self._count = self._looks = 0  # frames of one that were given, and looks since it should be whole
        self._whole = False
        self._grey: Grey | None = None
        self._size: tuple[int, int] | None = None

    def new(self, patient: bool) -> Iterator[np.ndarray]:
        """Frames that have come since the last time."""
        while left := self._left():
            yield from self._frames(left[0], growing=True)
            if len(left) == 1:
                return
            self._looks += 1  # a recorder may open the next before all of this one is written
            if not self._whole and self._looks < SETTLE_LOOKS:
                return
            yield from self._frames(left[0], growing=False)
            self._finish(left[0])

    def rest(self) -> Iterator[np.ndarray]:
        """What files held back while they may have grown."""
        for file in self._left():
            yield from self._frames(file, growing=False)
            self._finish(file)

    def nothing(self) -> str:
        """What may be the reason that nothing came, in words."""
        folder = self._place()
        names = sorted(item.name for item in folder.iterdir() if not is_hidden(item))
        return f"; AVI files are followed, there are: {', '.join(names[:5])}" if names else ""

    def _place(self) -> Path:
        """The folder itself; or the scope's in a session's folder, as Miniscope-DAQ makes it."""
        if any(item.suffix.lower() == ".avi" for item in self.path.iterdir()):
            return self.path
        scopes = []
        for folder in sorted(item for item in self.path.iterdir() if item.is_dir() and not is_hidden(item)):
            metadata: dict[str, Any] = {}
            with suppress(InputError):  # that is being written
                metadata = read_metadata(folder)
            if is_scope(metadata, folder.name):
                scopes.append(folder)
        if len(scopes) > 1:
            names = ", ".join(folder.name for folder in scopes)
            raise InputError(
                f"{self.path}: holds several miniscopes ({names}); give one, as in input={scopes[0]}"
            )
        return scopes[0] if scopes else self.path

    def _left(self) -> list[Path]:
        """Files that aren't done, in order."""
        videos = [
            item for item in self._place().iterdir() if item.suffix.lower() == ".avi" and not is_hidden(item)
        ]
        return [file for file in sorted(scope_videos(videos), key=natural) if file not in self._done]

    def _finish(self, path: Path) -> None:
        self._done.add(path)
        self._count, self._looks, self._whole = 0, 0, False

    def _frames(self, path: Path, growing: bool) -> Iterator[np.ndarray]:
        """Frames of a file beyond those that were read, up to where it is whole."""
        import av

        check_regular(path)
        try:
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                size = (stream.codec_context.height, stream.codec_context.width)
                if size != (self._size or size):
                    self._tell(f"{path}: frames of {size}, those before {self._size}: left out")
                    self._finish(path)
                    self._whole = True
                    return
                single = stream.codec_context.name in SINGLE
                stream.thread_type = "SLICE"
                packets, broken = [], False
                for packet in container.demux(stream):
                    if packet.is_corrupt:
                        broken = True
                    if not packet.size or packet.is_corrupt:
                        break
                    packets.append(packet)
                self._whole = 0 < len(packets) == stream.frames and not broken
                if growing and not single:
                    return
                # What was read is skipped, from the last frame on that needs none before it.
                keys = [i for i, packet in enumerate(packets[: self._count + 1]) if packet.is_keyframe]
                first = keys[-1] if single and keys else 0
                number = first
                fresh = packets[first:] if len(packets) > self._count else []
                for given in fresh if growing else [*fresh, None]:
                    for frame in stream.codec_context.decode(given):
                        number += 1
                        if number > self._count:
                            yield self._as_grey(frame, stream)
                            self._count += 1
                if not growing and (broken or len(packets) < stream.frames):
                    lost = max(stream.frames - self._count, 0)
                    self._tell(
                        f"{path}: cut off behind {self._count} frames{f', {lost} lost' if lost else ''}"
                    )
        except (av.FFmpegError, OSError, IndexError) as error:
            if not growing:  # what came before it, and what comes behind it, counts all the same
                reason = " ".join(str(getattr(error, "strerror", None) or error).split())
                self._tell(f"{path}: frame {self._count} and what is behind it can't be read ({reason})")

    def _as_grey(self, frame: Any, stream: Any) -> np.ndarray:
        """A frame as :class:`~calcium_lightning.io.readers.video.VideoRecording` gives it."""
        self._size = (frame.height, frame.width)
        if self._grey is None:  # one range of levels for all files
            bits = bits_of(stream)
            self._grey = Grey(bits, (outside_narrow(frame, bits) or 0) > OUTSIDE)
        return self._grey(frame)
