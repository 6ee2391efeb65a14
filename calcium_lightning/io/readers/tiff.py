"""TIFF stacks through tifffile: multi-page, BigTIFF, ImageJ, OME (in several files), compressed or not."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.array import CHOOSES, chosen
from calcium_lightning.io.readers.base import Break, FrameError, Recording
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.readers.grey import to_grey
from calcium_lightning.io.readers.tiff_metadata import Facts, imagej_facts, micromanager_interval, ome_facts

MINISWHITE, PALETTE = 0, 3


def open_tiff(path: Path, options: Options) -> TiffRecording:
    """Open a TIFF."""
    return TiffRecording(path, options)


class TiffRecording(Recording):
    """One stack of frames.

    Parameters
    ----------
    path : Path
        The file.
    options : Options, optional
        ``channel`` and ``plane`` of a stack with several; ``key``: which image of an OME file with several;
        ``axes``: what the dimensions beside the page's are, where the file doesn't say.

    Attributes
    ----------
    files : list of Path
        That the frames are in: OME recordings may be in several that name each other.

    Raises
    ------
    InputError
        If it isn't a TIFF, or holds more than one stack and which isn't said.
    """

    def __init__(self, path: Path, options: Options | None = None) -> None:
        import tifffile

        self.path = self._source = path
        self._options = options or Options()
        self._opened: list[Any] = []
        complaints = _Complaints()
        logger = logging.getLogger("tifffile")
        logger.addHandler(complaints)
        propagate, logger.propagate = logger.propagate, False
        try:
            self._file = tifffile.TiffFile(path)
            try:
                self._read_header(complaints)
            except BaseException:
                self._file.close()
                raise
        except (InputError, MemoryError):
            raise
        except Exception as error:  # tifffile raises whatever its struct calls raise
            raise InputError(
                f"{path}: not a TIFF that can be read, or one that was cut off "
                f"({' '.join(str(error).split())})"
            ) from error
        finally:
            logger.removeHandler(complaints)
            logger.propagate = propagate

    def _read_header(self, complaints: _Complaints) -> None:
        first: Any = self._file.pages[0]
        self._first = first
        number = self._choose_series()
        series = self._file.series[number]
        facts = self._facts(number)
        pages: Sequence[Any] = series.pages
        planes = [
            (axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if axis not in "YXS"
        ]
        count = int(np.prod([size for _, size in planes])) if planes else 1
        plain = first.compression == 1 and first.photometric not in (MINISWHITE, PALETTE)
        # ImageJ stacks above 4 GB have one page and the frames behind it
        self._offset = series.dataoffset if plain and series.dtype == first.dtype else None
        self._height, self._width = int(first.imagelength), int(first.imagewidth)
        self._samples = int(first.samplesperpixel)
        self._planar = first.planarconfig == 2 and self._samples > 1
        self.dtype = np.dtype(series.dtype)
        self.files = self._files_of(pages)
        told = self._file.is_imagej or self._file.is_shaped or self._file.is_ome
        if len(self.files) == 1 and len(self._file.pages) > count and not self._elsewhere(number):
            # written one by one, or more than the header says
            pages = self._plain_pages()
            self._mixed(pages)
            if self._file.is_imagej or self._file.is_ome:
                self.short(count, len(pages))
            self._offset, count, planes, told = None, len(pages), [("T", len(pages))], False
        elif (more := self._imagej_count()) > count:
            count, planes = more, [("T", more)]
        self._pages = pages
        there = self._there(count, complaints)
        self._frames = self._selection(planes, count, series.axes)
        whole = int((self._frames < there).sum())
        if whole < len(self._frames):
            self.short(len(self._frames), whole)
            self._frames = self._frames[:whole]
            self._name_missing()
        elif complaints.first and told and self._offset is not None:  # its index is, its frames aren't
            self.note(f"damaged behind its {whole} frames, which are whole")
        elif complaints.first:
            self.breaks = (Break(whole, f"cut off or damaged ({complaints.first})"),)
        self.shape = (len(self._frames), self._height, self._width)
        if not len(self._frames):
            missing = self.breaks[0].reason if self.breaks else "no frame is whole"
            raise InputError(f"{self.path}: its first frames aren't there ({missing}); copy it again")
        self._take(facts)

    def _choose_series(self) -> int:
        """Which of several images: the only one with frames, or the one that is asked for."""
        every = self._file.series
        key = self._options.key
        names = [str(series.name or index) for index, series in enumerate(every)]
        if key is not None:
            if key in names:
                return names.index(key)
            if key.isdigit() and int(key) < len(every):
                return int(key)
            raise InputError(f"{self.path}: no image {key}; there are: {', '.join(names)}")
        several = self._others(0) if self._file.is_ome else []
        if several:
            raise InputError(f"{self.path}: holds {len(every)} images; choose with key=: {', '.join(names)}")
        return 0

    def _others(self, number: int) -> list[Any]:
        """Further stacks of an OME file, which are no part of this one."""
        if not self._file.is_ome:
            return []
        return [
            other for index, other in enumerate(self._file.series) if index != number and len(other.pages) > 1
        ]

    def _elsewhere(self, number: int) -> bool:
        """Whether further pages belong to other images of an OME file."""
        return self._file.is_ome and len(self._file.series) > 1

    def _plain_pages(self) -> Any:
        """All pages of the file, whatever its metadata say of them."""
        if self._file.is_ome:
            import tifffile

            self._opened.append(tifffile.TiffFile(self._source, is_ome=False))
            return self._opened[-1].pages
        return self._file.pages

    def _imagej_count(self) -> int:
        """Frames of an ImageJ stack that has lost its later pages: its frames lie one behind the other."""
        pages = self._file.pages
        count = int((self._file.imagej_metadata or {}).get("images", 0)) if self._file.is_imagej else 0
        first = self._first
        if count <= len(pages) or first.compression != 1:
            return count if self._file.is_imagej and first.compression != 1 else 0
        start = int(first.dataoffsets[0])
        if len(pages) == 1 or pages[1].dataoffsets[0] == start + self._frame_bytes():
            self._offset = start
        return count

    def _name_missing(self) -> None:
        """Say which other files of an OME recording aren't there."""
        if not self._file.is_ome:
            return
        named = dict.fromkeys(re.findall(r'FileName="([^"]+)"', self._file.ome_metadata or ""))
        gone = [name for name in named if not (self._source.parent / name).is_file()]
        if gone:
            last = self.breaks[-1]
            self.breaks = (
                *self.breaks[:-1],
                replace(last, reason=f"{last.reason}, {', '.join(gone[:3])} isn't"),
            )

    def _facts(self, number: int) -> Facts:
        if self._file.is_ome:
            return ome_facts(self._file.ome_metadata or "", number)
        if self._file.is_imagej:
            tag = self._first.tags.get("XResolution")
            return imagej_facts(self._file.imagej_metadata or {}, tag.value if tag else None)
        facts = Facts()
        if self._file.is_micromanager:
            facts.fps = micromanager_interval((self._file.micromanager_metadata or {}).get("Summary") or {})
        return facts

    def _take(self, facts: Facts) -> None:
        self.fps, self.pixel_size_um, self.about = facts.fps, facts.pixel_size_um, facts.about
        if facts.times is not None and len(facts.times) >= self.n_frames:
            self.timestamps = facts.times[: self.n_frames]
        if facts.playback and facts.fps is None:
            self.note(
                f"{facts.playback:g} frames per second is the rate it asks to be shown at, no frame rate"
            )
        self._add = facts.offset if self.dtype == np.uint16 else 0
        if self._add:
            self.dtype = np.dtype(np.int16)
        if self._first.photometric == MINISWHITE and self.dtype.kind == "u":
            self.note("stored with 0 as white: turned round, so that bright is bright")
        if self._first.photometric == PALETTE:
            self.dtype = np.dtype(np.uint8)
        self._stored = self.dtype if not self._add else np.dtype(np.uint16)

    def _files_of(self, pages: Sequence[Any]) -> list[Path]:
        names: dict[str, None] = {}
        if self._file.is_ome:
            names = dict.fromkeys(str(page.parent.filehandle.path) for page in pages if page is not None)
        return [Path(name) for name in names] or [self._source]

    def _there(self, count: int, complaints: _Complaints) -> int:
        """How many frames of the stack are in the file, whole."""
        if self._offset is not None:
            size = self._source.stat().st_size
            return min(count, max(0, size - self._offset) // self._frame_bytes())
        if len(self._pages) < count:  # fewer pages than the header says
            count = len(self._pages)
        missing = (
            [index for index in range(count) if self._pages[index] is None] if len(self.files) > 1 else []
        )
        if len(self.files) == 1 and self._file.is_ome:
            missing = [index for index in range(count) if self._pages[index] is None]
        if missing:
            return missing[0]
        if complaints.first or not self._inside(count - 1):
            low, high = 0, count  # pages lie in the order of the file
            while low < high:
                middle = (low + high) // 2
                low, high = (middle + 1, high) if self._inside(middle) else (low, middle)
            return low
        return count

    def _inside(self, index: int) -> bool:
        """Whether all bytes of a page are in its file."""
        page = self._pages[index]
        ends = [
            offset + length for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False)
        ]
        return max(ends, default=0) <= page.parent.filehandle.size

    def _frame_bytes(self) -> int:
        return self._height * self._width * self._samples * self._first.dtype.itemsize

    def _mixed(self, pages: Any) -> None:
        first = pages[0]
        for index, page in enumerate(pages):
            shape = (page.keyframe.imagelength, page.keyframe.imagewidth)
            if shape != (first.imagelength, first.imagewidth):
                raise InputError(
                    f"{self.path}: frame {index} has the size {shape}, the first has "
                    f"{(first.imagelength, first.imagewidth)}; all must agree"
                )

    def _selection(self, planes: list[tuple[str, int]], count: int, series: str) -> np.ndarray:
        """Indices of the recording's frames among all pages of the stack."""
        letters = [axis.lower() for axis, _ in planes]
        sizes = [size for _, size in planes]
        if self._options.axes:
            named = [axis for axis in self._options.axes if axis not in "yx"]
            long = [index for index, size in enumerate(sizes) if size > 1]
            if len(named) not in (len(sizes), len(long)):
                raise InputError(
                    f"{self.path}: axes={self._options.axes}: the stack has the dimensions {sizes}"
                )
            for index, axis in zip(
                long if len(named) == len(long) else range(len(sizes)), named, strict=True
            ):
                letters[index] = axis
        long = [index for index, size in enumerate(sizes) if size > 1]
        if "t" not in [letters[index] for index in long]:
            if len(long) == 1:  # whatever it is called: frames in Z, as channels, or nameless
                letters = ["t" if index == long[0] else "" for index in range(len(sizes))]
            elif long and self._file.is_imagej and sum(letters[index] == "z" for index in long) == 1:
                letters = ["t" if letter == "z" else letter for letter in letters]
        where: list[Any] = []
        for letter, size in zip(letters, sizes, strict=True):
            if letter == "t":
                where.append(slice(None))
            elif letter in CHOOSES:
                option = CHOOSES[letter]
                where.append(chosen(self.path, option, getattr(self._options, option), size, series))
            elif size == 1:
                where.append(0)
            else:
                raise InputError(
                    f"{self.path}: a stack of the dimensions {sizes}; say which is time, with t, c "
                    "(channels) and z (planes), as in axes=tcyx channel=0"
                )
        frames = np.arange(count).reshape(sizes)[tuple(where)] if sizes else np.arange(count)
        return np.atleast_1d(frames).reshape(-1)

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop) page by page; stored without compression they are read in one go."""
        for begin in range(start, stop, size):
            indices = self._frames[begin : min(begin + size, stop)]
            block = self._contiguous(indices) if self._offset is not None else self._by_page(indices, begin)
            if self._add:
                block = (block.astype(np.int32) + self._add).astype(self.dtype)
            yield block

    def _contiguous(self, indices: np.ndarray) -> np.ndarray:
        assert self._offset is not None
        size = (self._height, self._width)
        shape = (self._samples, *size) if self._planar else (*size, *(self._samples,) * (self._samples > 1))
        each = self._height * self._width * self._samples
        stored = self._first.dtype.newbyteorder(self._file.byteorder)
        runs = np.split(indices, np.flatnonzero(np.diff(indices) != 1) + 1)
        flat = [
            np.fromfile(
                self._source,
                stored,
                len(run) * each,
                offset=self._offset + int(run[0]) * each * stored.itemsize,
            )
            for run in runs
        ]
        block = np.concatenate(flat) if len(flat) > 1 else flat[0]
        if len(block) < len(indices) * each:
            raise InputError(f"{self.path}: was cut off while it was read; copy it again")
        block = block.reshape(len(indices), *shape).astype(stored.newbyteorder("="), copy=False)
        if self._planar:
            block = np.moveaxis(block, 1, -1)
        return to_grey(block) if self._samples > 1 else block

    def _by_page(self, indices: np.ndarray, begin: int) -> np.ndarray:
        block: np.ndarray | None = None
        for number, index in enumerate(indices):
            frame = self._page(int(index), begin + number)
            if block is None:
                block = np.empty((len(indices), *self.shape[1:]), self._stored)
            if frame.shape != self.shape[1:]:
                raise self.wrong_size(begin + number, frame.shape)
            if frame.dtype != block.dtype:
                raise InputError(
                    f"{self.path}: frame {begin + number} is of type {frame.dtype}, the first of "
                    f"{block.dtype}"
                )
            block[number] = frame
        assert block is not None
        return block

    def _page(self, index: int, frame_number: int) -> np.ndarray:
        try:
            page: Any = self._pages[index]
            if page.parent.filehandle.closed:  # another file of the recording
                page.parent.filehandle.open()
                self._opened.append(page.parent)
            return page_grey(page)
        except MemoryError:
            raise
        except Exception as error:  # every codec has exceptions of its own
            reason = " ".join(str(error).split())
            raise FrameError(self.path, frame_number, f"is corrupt or cut off ({reason})") from error

    def close(self) -> None:
        """Close the file, and others of the same recording."""
        for file in (*self._opened, self._file):
            file.close()


def page_grey(page: Any) -> np.ndarray:
    """Decode a page to grey (H, W): colours, palettes, and 0 as white are taken for what they show."""
    key = page.keyframe
    pixels = page.asarray()
    if key.photometric == PALETTE and key.colormap is not None:
        return to_grey(np.moveaxis(np.asarray(key.colormap), 0, -1) >> 8).astype(np.uint8)[pixels]
    if pixels.ndim == 3:
        pixels = to_grey(np.moveaxis(pixels, 0, -1) if key.planarconfig == 2 else pixels)
    if key.photometric == MINISWHITE and pixels.dtype.kind == "u":
        bits = key.bitspersample if isinstance(key.bitspersample, int) else pixels.dtype.itemsize * 8
        return ((1 << bits) - 1 - pixels.astype(np.int64)).astype(pixels.dtype)
    return pixels


class _Complaints(logging.Handler):
    """Keeps the first thing tifffile complains about: it goes on with what is left of a truncated file."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.first = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.first = self.first or record.getMessage()
