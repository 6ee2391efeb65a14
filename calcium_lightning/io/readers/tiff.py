"""TIFF stacks through tifffile: multi-page TIFF, BigTIFF, ImageJ and OME, compressed or not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.grey import to_grey


class TiffRecording(Recording):
    """One multi-page TIFF; its pages are the frames.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    InputError
        If it isn't a TIFF, was cut off, or holds more than one stack.
    """

    def __init__(self, path: Path) -> None:
        import tifffile

        self.path = path
        complaints = _Complaints()
        logger = logging.getLogger("tifffile")
        logger.addHandler(complaints)
        propagate, logger.propagate = logger.propagate, False
        try:
            self._file = tifffile.TiffFile(path)
            try:
                self._read_header()
            except BaseException:
                self._file.close()
                raise
        except InputError:
            raise
        except MemoryError:
            raise
        except Exception as error:  # tifffile raises whatever its struct calls raise
            raise InputError(
                f"{path}: not a TIFF that can be read, or one that was cut off "
                f"({' '.join(str(error).split())})"
            ) from error
        finally:
            logger.removeHandler(complaints)
            logger.propagate = propagate
        if complaints.first:
            self.close()
            raise InputError(f"{path}: cut off or damaged ({complaints.first}); copy it again")

    def _read_header(self) -> None:
        pages = self._file.pages
        first: Any = pages[0]
        series = self._file.series[0]
        planes = [size for size, axis in zip(series.shape, series.axes, strict=True) if axis not in "YXS"]
        count = int(np.prod(planes)) if planes else 1
        if sum(size > 1 for size in planes) > 1:
            raise InputError(
                f"{self.path}: a stack with the axes {series.axes} {series.shape}; only time may vary beside "
                "y and x"
            )
        # ImageJ stacks above 4 GB have one page and the frames behind it
        self._offset = series.dataoffset if first.compression == 1 and series.dtype == first.dtype else None
        if len(pages) > count:  # written one by one, or in pieces
            self._mixed(pages)
            self._offset, count = None, len(pages)
        elif self._offset is None and len(pages) < count:
            raise self._cut_off(count, len(pages))
        height, width = first.imagelength, first.imagewidth
        self._samples = first.samplesperpixel
        self.shape = (count, int(height), int(width))
        self.dtype = np.dtype(series.dtype)
        if self._offset is not None:
            need = self._offset + count * height * width * self._samples * self.dtype.itemsize
            if need > self.path.stat().st_size:
                there = max(
                    0,
                    (self.path.stat().st_size - self._offset)
                    // (height * width * self._samples * self.dtype.itemsize),
                )
                raise self._cut_off(count, there)
        self._metadata(first)

    def _cut_off(self, promised: int, found: int) -> InputError:
        return InputError(
            f"{self.path}: cut off, its header promises {promised} frames and {found} are there; copy it "
            "again"
        )

    def _mixed(self, pages: Any) -> None:
        first = pages[0]
        for index, page in enumerate(pages):
            shape = (page.keyframe.imagelength, page.keyframe.imagewidth)
            if shape != (first.imagelength, first.imagewidth):
                raise InputError(
                    f"{self.path}: frame {index} has the size {shape}, the first has "
                    f"{(first.imagelength, first.imagewidth)}; all must agree"
                )

    def _metadata(self, first: Any) -> None:
        imagej: dict[str, Any] = self._file.imagej_metadata or {}
        interval, rate = imagej.get("finterval"), imagej.get("fps")
        try:
            if rate:
                self.fps = float(rate)
            elif interval and float(interval) > 0:
                self.fps = 1 / float(interval)
            if (
                str(imagej.get("unit", "")).lower() in ("um", "micron", "microns", "\\u00b5m", "µm")
                and "XResolution" in first.tags
            ):
                pixels, units = first.tags["XResolution"].value
                self.pixel_size_um = units / pixels if pixels else None
        except (TypeError, ValueError):
            self.fps = self.fps or None
        if self._file.is_ome:
            self._ome()

    def _ome(self) -> None:
        import tifffile

        try:
            pixels = tifffile.xml2dict(self._file.ome_metadata or "")["OME"]["Image"]
            pixels = (pixels[0] if isinstance(pixels, list) else pixels)["Pixels"]
        except Exception:  # metadata are a courtesy
            logging.getLogger(__name__).debug("%s: unreadable OME-XML", self.path, exc_info=True)
            return
        seconds = {"s": 1.0, "ms": 1e-3}.get(pixels.get("TimeIncrementUnit", "s"))
        increment = float(pixels.get("TimeIncrement", 0) or 0)
        if seconds and increment > 0:
            self.fps = 1 / (increment * seconds)
        microns = {"µm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3}.get(pixels.get("PhysicalSizeXUnit", "µm"))
        size = float(pixels.get("PhysicalSizeX", 0) or 0)
        if microns and size > 0:
            self.pixel_size_um = size * microns

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop) page by page; stored without compression they are read in one go."""
        for begin in range(start, stop, size):
            end = min(begin + size, stop)
            yield self._contiguous(begin, end) if self._offset is not None else self._pages(begin, end)

    def _contiguous(self, begin: int, end: int) -> np.ndarray:
        height, width = self.shape[1:]
        shape = (end - begin, height, width, *((self._samples,) if self._samples > 1 else ()))
        each = height * width * self._samples
        assert self._offset is not None
        stored = self.dtype.newbyteorder(self._file.byteorder)
        flat = np.fromfile(
            self.path, stored, (end - begin) * each, offset=self._offset + begin * each * self.dtype.itemsize
        )
        if len(flat) < (end - begin) * each:
            raise InputError(f"{self.path}: cut off in frame {begin + len(flat) // each}; copy it again")
        block = flat.reshape(shape).astype(self.dtype, copy=False)
        return to_grey(block) if self._samples > 1 else block

    def _pages(self, begin: int, end: int) -> np.ndarray:
        block = np.empty((end - begin, *self.shape[1:]), self.dtype)
        for row, index in zip(block, range(begin, end), strict=True):
            try:
                page: Any = self._file.pages[index]
                frame = page.asarray()
            except MemoryError:
                raise
            except Exception as error:  # every codec has exceptions of its own
                reason = " ".join(str(error).split())
                raise InputError(
                    f"{self.path}: frame {index} is corrupt or cut off ({reason}); stop={index} takes the "
                    "frames before it"
                ) from error
            if frame.ndim == 3:
                frame = to_grey(np.moveaxis(frame, 0, -1) if page.keyframe.planarconfig == 2 else frame)
            if frame.shape != row.shape:
                raise self.wrong_size(index, frame.shape)
            if frame.dtype != row.dtype:
                raise InputError(
                    f"{self.path}: frame {index} is of type {frame.dtype}, the first of {row.dtype}"
                )
            row[:] = frame
        return block

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Complaints(logging.Handler):
    """Keeps the first thing tifffile complains about: it goes on with what is left of a truncated file."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.first = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.first = self.first or record.getMessage()


def is_stack(path: Path) -> bool:
    """Whether a TIFF has more than one page.

    Raises
    ------
    InputError
        If it isn't a TIFF.
    """
    with TiffRecording(path) as recording:
        return recording.n_frames > 1
