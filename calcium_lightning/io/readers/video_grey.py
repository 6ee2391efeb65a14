"""Decoded frames of a video as grey values, the same for a file that is there and one that grows.

Knows frames of PyAV; no files.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calcium_lightning.io.readers.grey import to_grey

#: levels of the narrow range with what a codec may overshoot, and the share of pixels outside that is none
NARROW, OUTSIDE = (10, 242), 0.002


class Grey:
    """Frames as (H, W), uint8 or uint16.

    Parameters
    ----------
    bits : int
        Of the deepest channel.
    full_range : bool
        Whether YUV that doesn't say its range is taken for the full one.
    """

    def __init__(self, bits: int, full_range: bool = False) -> None:
        from av.video.reformatter import VideoReformatter

        self.bits, self.full_range = bits, full_range
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any) -> np.ndarray:
        """One frame."""
        from av.video.reformatter import ColorRange

        bits, full = self.bits, ColorRange.JPEG
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


def outside_narrow(frame: Any, bits: int) -> float | None:
    """Share of pixels with levels that the narrow range hasn't; None where the frame says its range."""
    from av.video.reformatter import ColorRange

    if not frame.format.name.startswith("yuv") or frame.color_range != ColorRange.UNSPECIFIED:
        return None
    luma = _plane(frame, 1 if bits <= 8 else 2) >> max(0, bits - 8)
    return float(((luma < NARROW[0]) | (luma > NARROW[1])).mean())


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


def bits_of(stream: Any) -> int:
    """Bits of the deepest channel."""
    form = stream.codec_context.format
    return max((component.bits for component in form.components), default=8) if form is not None else 8
