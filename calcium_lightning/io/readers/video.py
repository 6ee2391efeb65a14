"""Videos through FFmpeg (PyAV): AVI, MP4, MKV; FFV1, MJPEG, H.264 and what else it decodes, 8 to 16 bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import FrameError, Recording
from calcium_lightning.io.readers.clock import clock
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.readers.video_grey import OUTSIDE, Grey, bits_of, outside_narrow
from calcium_lightning.io.readers.video_index import read_index

#: FFmpeg conceals damage by default; a recording's frames must not be invented
STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
#: codecs whose frame threads race: what follows a damaged packet is put into the picture before it
RACING = ("ffv1",)
#: codecs that keep every grey level
LOSSLESS = ("ffv1", "rawvideo", "huffyuv", "ffvhuff", "utvideo", "png", "qtrle", "magicyuv", "lagarith")


class VideoRecording(Recording):
    """One video file.

    Grey frames and those of a grey palette are taken as they are. Colour becomes luminance, and YUV video in
    the narrow ("TV") range, which is what H.264 has unless it says otherwise, is stretched to the full one as
    every player does.

    Parameters
    ----------
    path : Path
        The file.
    full_range : bool
        Whether another part of the same recording uses the levels of the full range.

    Raises
    ------
    InputError
        If it isn't a video, or its codec is unknown.

    Attributes
    ----------
    lossless : bool
        Whether its codec keeps every grey level.
    full_range : bool
        Whether YUV that doesn't say its range is taken for the full one.
    """

    def __init__(self, path: Path, full_range: bool = False) -> None:
        self.path = self._source = path
        container = self._open()
        try:
            stream = container.streams.video[0]
            context = stream.codec_context
            size = (int(context.height), int(context.width))
            self._bits = bits_of(stream)
            index = read_index(container, stream, path)
            self.lossless = context.name in LOSSLESS
        finally:
            container.close()
        self.fps = index.fps
        if index.times is not None:
            self.use_clock(clock(index.times))
        self.shape = (index.count, *size)
        self.dtype = np.dtype(np.uint8 if self._bits <= 8 else np.uint16)
        self.short(index.promised, index.count)
        if index.repeats and index.fps:
            self.note(
                f"shows frames again {index.repeats} times; {index.count} are its own, {index.fps:g} Hz"
            )
        self.full_range = full_range or (index.count > 0 and self._unmarked_full_range())
        self._grey = Grey(self._bits, self.full_range)
        if self.full_range:
            self.note("its levels are taken as they are: they go beyond the narrow (TV) range of 16 to 235")

    def _open(self) -> Any:
        import av

        try:
            container = av.open(str(self._source))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"{self.path}: not a video that can be read, or one that was cut off "
                f"({_reason(error)}); copy it again"
            ) from error
        if not container.streams.video:
            container.close()
            raise InputError(f"{self.path}: holds no video, or was cut off; copy it again")
        if container.streams.video[0].codec_context is None:
            container.close()
            raise InputError(
                f"{self.path}: its video codec is unknown, or the file was cut off; convert it, as in: "
                "ffmpeg -i IN -c:v ffv1 OUT.avi"
            )
        return container

    def _unmarked_full_range(self) -> bool:
        """Whether YUV that doesn't say its range uses levels that the narrow one hasn't."""
        import av

        outside = []
        try:
            with self._open() as container:
                stream = container.streams.video[0]
                for place in (0, 1 / 3, 2 / 3):
                    if place and not stream.duration:
                        break
                    container.seek(int(place * (stream.duration or 0)), stream=stream)
                    frame = next(container.decode(video=0))
                    share = outside_narrow(frame, self._bits)
                    if share is None:
                        return False
                    outside.append(share)
        except (av.FFmpegError, OSError, ValueError, StopIteration):
            pass  # a damaged frame is named when it is read
        return max(outside, default=0) > OUTSIDE

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop); frames before ``start`` are decoded and dropped."""
        block = np.empty((min(size, stop - start), *self.shape[1:]), self.dtype)
        filled, grey = 0, self._grey
        for index, frame in enumerate(self._decode(stop)):
            if index < start:
                continue
            if (frame.height, frame.width) != self.shape[1:]:
                raise self.wrong_size(index, (frame.height, frame.width))
            block[filled] = grey(frame)
            filled += 1
            if filled == len(block):
                yield block
                block = np.empty((min(size, stop - index - 1), *self.shape[1:]), self.dtype)
                filled = 0

    def _decode(self, stop: int) -> Iterator[Any]:
        """Yield decoded frames [0, stop) in order."""
        import av

        count = 0
        container = self._open()
        try:
            stream = container.streams.video[0]
            stream.thread_type = "SLICE" if stream.codec_context.name in RACING else "AUTO"
            stream.codec_context.options = STRICT
            try:
                for packet in container.demux(stream):
                    # only the last packet of a truncated file is corrupt; frames before it are whole
                    for frame in stream.codec_context.decode(None) if packet.is_corrupt else packet.decode():
                        if frame.is_corrupt:
                            raise self._damaged(count, "its data are damaged")
                        yield frame
                        count += 1
                        if count == stop:
                            return
                    if packet.is_corrupt:
                        break
            except (av.FFmpegError, OSError, ValueError) as error:
                raise self._damaged(self._first_bad(count), _reason(error)) from error
        finally:
            container.close()
        raise FrameError(self.path, count, "can't be decoded: there is nothing left", skips=False)

    def _damaged(self, frame: int, reason: str) -> FrameError:
        return FrameError(self.path, frame, f"is corrupt ({reason})", skips=False)

    def _first_bad(self, fallback: int) -> int:
        """Find the frame of the first packet that fails, decoding without threads (which fail late)."""
        import av

        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            stream.codec_context.options = STRICT
            shown: list[int] = []
            bad: int | None = None
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                shown.append(packet.pts)
                if bad is None:
                    try:
                        packet.decode()
                    except (av.FFmpegError, OSError, ValueError):
                        bad = packet.pts
        return sorted(shown).index(bad) if bad is not None else fallback


def open_video(path: Path, options: Options) -> Recording:
    """Open a video by itself: with the times of a recorder's side files, where it lies among them."""
    from calcium_lightning.io.readers.miniscope import with_side_files

    return with_side_files(VideoRecording(path))


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())
