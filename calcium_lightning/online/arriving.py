"""Frames as they arrive: in a growing HDF5 file, or in a folder into which a recorder writes videos.

Files that others are writing are opened, read and closed again, never locked; how far they are is asked of
them, not believed from their headers. A recording is over when nothing has come for a while. Knows files and
frames, not what is done with them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import check_regular
from calcium_lightning.io.readers.packets import PacketOrder
from calcium_lightning.io.readers.series import natural

#: seconds between two looks at files that have nothing new
POLL_S = 0.01
#: codecs that give each frame as soon as they have it: a video that grows can be read to its end
SINGLE = ("ffv1", "rawvideo", "mjpeg", "huffyuv", "ffvhuff", "utvideo", "png")


def arriving(
    path: Path | str,
    patience_s: float = 10.0,
    key: str = "frames",
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[np.ndarray]:
    """Yield frames (H, W) as they come, without a Miniscope V4's stripes; those that are there first.

    Parameters
    ----------
    path : path-like
        An HDF5 file whose dataset grows along its first axis, or a folder of AVI files (0.avi, 1.avi, … as
        Miniscope-DAQ writes them).
    patience_s : float
        When nothing has come for so many seconds, the recording is over.
    key : str
        The dataset.
    sleep : callable
        Waits so many seconds.

    Raises
    ------
    InputError
        If the path is neither, nothing comes at all, or what comes can't be read.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: not found; name the folder, or the file, that is being recorded")
    check_regular(path)
    growing = _Folder(path) if path.is_dir() else _Dataset(path, key)
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
        raise InputError(f"{path}: no frame has come in {patience_s:g} s; patience_s= waits longer")


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
                if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 3:
                    raise InputError(f"{self.path}: no dataset {self.key} of frames (T, H, W); key= names it")
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


class _Folder:
    """AVI files, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number, self.count = folder, 0, 0

    def new(self, patient: bool) -> Iterator[np.ndarray]:
        """Frames that have come since the last time."""
        files = sorted(self.folder.glob("*.avi"), key=natural)
        while self.number < len(files):
            last = self.number == len(files) - 1
            yield from self._frames(files[self.number], growing=last)
            if last:
                return
            self.number, self.count = self.number + 1, 0

    def rest(self) -> Iterator[np.ndarray]:
        """What the last file held back while it may have grown."""
        files = sorted(self.folder.glob("*.avi"), key=natural)
        if self.number < len(files):
            yield from self._frames(files[self.number], growing=False)

    def _frames(self, path: Path, growing: bool) -> Iterator[np.ndarray]:
        """Frames of a file beyond those that were read, up to where it is whole."""
        import av

        check_regular(path)
        try:
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                single = stream.codec_context.name in SINGLE
                if growing and not single:
                    return
                stream.thread_type = "SLICE"
                packets = []
                for packet in container.demux(stream):
                    if not packet.size or packet.is_corrupt:
                        break
                    packets.append(packet)
                # What was read is skipped, from the last frame on that needs none before it.
                keys = [i for i, packet in enumerate(packets[: self.count + 1]) if packet.is_keyframe]
                first = keys[-1] if single and keys else 0
                number = first
                for packet in packets[first:] if len(packets) > self.count else ():
                    for frame in packet.decode():
                        number += 1
                        if number > self.count:
                            yield frame.to_ndarray(format="gray")
                            self.count += 1
        except (av.FFmpegError, OSError, IndexError) as error:
            if not growing:
                raise InputError(f"{path}: frame {self.count} can't be read ({error})") from error
