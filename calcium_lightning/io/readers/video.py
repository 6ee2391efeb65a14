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
from calcium_lightning.io.readers.grey import to_grey
from calcium_lightning.io.readers.video_index import read_index

#: FFmpeg conceals damage by default; a recording's frames must not be invented
STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
#: codecs whose frame threads race: what follows a damaged packet is put into the picture before it
RACING = ("ffv1",)
#: codecs that keep every grey level
LOSSLESS = ("ffv1", "rawvideo", "huffyuv", "ffvhuff", "utvideo", "png", "qtrle", "magicyuv", "lagarith")
#: levels of the narrow range with what a codec may overshoot, and the share of pixels outside that is none
NARROW, OUTSIDE = (10, 242), 0.002


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
        from av.video.reformatter import VideoReformatter

        self.path = self._source = path
        self._reformatter = VideoReformatter()
        container = self._open()
        try:
            stream = container.streams.video[0]
            context = stream.codec_context
            size = (int(context.height), int(context.width))
            self._bits = _bits(stream)
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
        from av.video.reformatter import ColorRange

        outside = []
        try:
            with self._open() as container:
                stream = container.streams.video[0]
                for share in (0, 1 / 3, 2 / 3):
                    if share and not stream.duration:
                        break
                    container.seek(int(share * (stream.duration or 0)), stream=stream)
                    frame = next(container.decode(video=0))
                    if not frame.format.name.startswith("yuv") or frame.color_range != ColorRange.UNSPECIFIED:
                        return False
                    luma = _plane(frame, 1 if self._bits <= 8 else 2) >> max(0, self._bits - 8)
                    outside.append(((luma < NARROW[0]) | (luma > NARROW[1])).mean())
        except (av.FFmpegError, OSError, ValueError, StopIteration):
            pass  # a damaged frame is named when it is read
        return max(outside, default=0) > OUTSIDE

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop); frames before ``start`` are decoded and dropped."""
        block = np.empty((min(size, stop - start), *self.shape[1:]), self.dtype)
        filled = 0
        for index, frame in enumerate(self._decode(stop)):
            if index < start:
                continue
            if (frame.height, frame.width) != self.shape[1:]:
                raise self.wrong_size(index, (frame.height, frame.width))
            block[filled] = self._grey(frame)
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

    def _grey(self, frame: Any) -> np.ndarray:
        """One frame as (H, W) grey."""
        from av.video.reformatter import ColorRange

        bits, full = self._bits, ColorRange.JPEG
        if frame.format.name == "pal8":
            return _by_palette(frame)
        # One thread: those of swscale race, and leave rows of 10-bit frames unconverted (PyAV 18.1).
        if bits > 8 and frame.format.is_rgb:
            return to_grey(self._reformatter.reformat(frame, format="rgb48le", threads=1).to_ndarray())
        target = "gray" if bits <= 8 else f"gray{bits}le" if bits in (9, 10, 12, 14) else "gray16le"
        if frame.format.name != target:
            source = full if self.full_range and frame.color_range == ColorRange.UNSPECIFIED else None
            frame = self._reformatter.reformat(
                frame, format=target, src_color_range=source, dst_color_range=full, threads=1
            )
        return _plane(frame, 1 if bits <= 8 else 2)

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


def _plane(frame: Any, itemsize: int) -> np.ndarray:
    """The first plane of a frame, (H, W), whichever way up it is stored."""
    plane = frame.planes[0]
    if plane.line_size < 0:  # from the bottom row up: the buffer can't be read from its beginning
        return _plane(_turned(frame), itemsize)[::-1]
    rows = np.frombuffer(plane, f"<u{itemsize}")
    columns = plane.line_size // itemsize
    return rows[: frame.height * columns].reshape(frame.height, columns)[:, : frame.width]


def _turned(frame: Any) -> Any:
    """A frame with its rows in the opposite order."""
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format.name, time_base=frame.time_base
    )
    turn, sink = graph.add("vflip"), graph.add("buffersink")
    source.link_to(turn)
    turn.link_to(sink)
    graph.configure()
    graph.push(frame)
    return graph.pull()


def _by_palette(frame: Any) -> np.ndarray:
    """Indices as the grey of their colours; without a palette they are the grey itself."""
    if frame.planes[0].line_size < 0:
        return _by_palette(_turned(frame))[::-1]
    colours = np.frombuffer(frame.planes[1], "<u4")[:256].copy()  # 0xAARRGGBB
    indices = _plane(frame, 1)
    if not (colours & 0xFFFFFF).any():
        return indices
    channels = np.stack([colours >> 16, colours >> 8, colours], axis=-1).astype(np.uint8)
    return to_grey(channels)[indices]


def _bits(stream: Any) -> int:
    """Bits of the deepest channel."""
    form = stream.codec_context.format
    return max((component.bits for component in form.components), default=8) if form is not None else 8


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())
