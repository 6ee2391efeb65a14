"""Videos through FFmpeg (PyAV): AVI, MP4, MKV; FFV1, MJPEG, H.264 and what else it decodes, 8 to 16 bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.grey import to_grey

#: FFmpeg conceals damage by default; a recording's frames must not be invented
STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}


class VideoRecording(Recording):
    """One video file.

    Grey frames are taken as they are. Colour becomes luminance, and YUV video in the narrow ("TV") range,
    which is what H.264 has unless it says otherwise, is stretched to the full one as every player does.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    InputError
        If it isn't a video, its codec is unknown, or it was cut off.
    """

    def __init__(self, path: Path) -> None:
        from av.video.reformatter import VideoReformatter

        self.path = path
        self._reformatter = VideoReformatter()
        container = self._open()
        try:
            stream = container.streams.video[0]
            context = stream.codec_context
            self.fps = float(stream.average_rate or stream.guessed_rate or 0) or None
            count = int(stream.frames) or self._count(container, stream)
            self._bits = _bits(stream)
            self.shape = (count, int(context.height), int(context.width))
            self.dtype = np.dtype(np.uint8 if self._bits <= 8 else np.uint16)
        finally:
            container.close()

    def _open(self) -> Any:
        import av

        try:
            container = av.open(str(self.path))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"{self.path}: not a video that can be read, or one that was cut off ({_reason(error)})"
            ) from error
        if not container.streams.video:
            container.close()
            raise InputError(f"{self.path}: holds no video")
        if container.streams.video[0].codec_context is None:
            container.close()
            raise InputError(
                f"{self.path}: its video codec is unknown, or the file was cut off; convert it, as in: "
                "ffmpeg -i IN -c:v ffv1 OUT.avi"
            )
        return container

    def _count(self, container: Any, stream: Any) -> int:
        """Count the packets of a container that doesn't promise a number of frames (Matroska)."""
        count, end = 0, 0.0
        for packet in container.demux(stream):
            if packet.size:
                count += 1
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        promised = (container.duration or 0) / 1e6
        if self.fps and promised - end > 2 / self.fps:
            raise self._cut_off(count, round(promised * self.fps))
        return count

    def _cut_off(self, found: int, promised: int) -> InputError:
        return InputError(
            f"{self.path}: cut off, its header promises {promised} frames and {found} are there; copy it "
            f"again, or stop={found} takes those"
        )

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
            stream.thread_type = "AUTO"
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
        raise self._cut_off(count, self.shape[0])

    def _grey(self, frame: Any) -> np.ndarray:
        """One frame as (H, W) grey."""
        from av.video.reformatter import ColorRange

        bits = self._bits
        # One thread: those of swscale race, and leave rows of 10-bit frames unconverted (PyAV 18.1).
        if bits > 8 and frame.format.is_rgb:
            return to_grey(self._reformatter.reformat(frame, format="rgb48le", threads=1).to_ndarray())
        target = "gray" if bits <= 8 else f"gray{bits}le" if bits in (9, 10, 12, 14) else "gray16le"
        if frame.format.name != target:
            full = ColorRange.JPEG
            frame = self._reformatter.reformat(frame, format=target, dst_color_range=full, threads=1)
        plane = frame.planes[0]
        itemsize = 1 if bits <= 8 else 2
        rows = np.frombuffer(plane, f"<u{itemsize}").reshape(-1, plane.line_size // itemsize)
        return rows[: frame.height, : frame.width]

    def _damaged(self, frame: int, reason: str) -> InputError:
        return InputError(
            f"{self.path}: frame {frame} is corrupt ({reason}); stop={frame} takes the frames before it"
        )

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


def _bits(stream: Any) -> int:
    """Bits of the deepest channel."""
    form = stream.codec_context.format
    return max((component.bits for component in form.components), default=8) if form is not None else 8


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())
