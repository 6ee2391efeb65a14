"""TIFF stacks through tifffile: multi-page, BigTIFF, ImageJ, OME (in several files), compressed or not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.array import ArrayRecording, axes_by_look
from calcium_lightning.io.readers.base import Break, FrameError, Recording
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.readers.grey import to_grey
from calcium_lightning.io.readers.inscopix import add_log
from calcium_lightning.io.readers.scanimage import scanimage_rate, scanimage_text
from calcium_lightning.io.readers.series import stem
from calcium_lightning.io.readers.tiff_layout import MINISWHITE, PALETTE, TiffLayout, has_palette
from calcium_lightning.io.readers.tiff_metadata import Facts, imagej_facts, micromanager_interval, ome_facts

#: samples of a pixel that are a colour, at most; more of them are its course
COLOURS = 4


def open_stack(path: Path, options: Options) -> Recording:
    """Open a TIFF by itself: with the rate of a recorder's log, where one lies beside it."""
    recording = open_tiff(path, options)
    add_log(recording, path.parent, stem(path))
    return recording


def open_tiff(path: Path, options: Options) -> TiffRecording | TurnedTiff:
    """Open a TIFF: a page for a frame, or (H, W, T) as libraries write such an array."""
    if options.axes in ("yxt", "xyt"):
        pages = TiffRecording(path, replace(options, axes=None))
        try:
            return pages.turned(options.axes)
        finally:
            pages.close()
    recording = TiffRecording(path, options)
    if not options.axes and (axes := recording.axes_by_look()) != "tyx":
        try:
            return recording.turned(axes)
        finally:
            recording.close()
    return recording


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
        except InputError:
            raise
        except MemoryError as error:  # nothing but headers was read
            raise InputError(
                f"{path}: its headers promise more frames, or larger ones, than memory holds; copy it again"
            ) from error
        except Exception as error:  # tifffile raises whatever its struct calls raise
            raise InputError(
                f"{path}: not a TIFF that can be read, or one that was cut off "
                f"({' '.join(str(error).split())}); copy it again"
            ) from error
        finally:
            logger.removeHandler(complaints)
            logger.propagate = propagate

    def _read_header(self, complaints: _Complaints) -> None:
        self._layout = layout = TiffLayout(self._file, self._source, self._options, lambda: complaints.first)
        first = layout.first
        facts = self._facts(layout.number)
        self.files = layout.files
        self.dtype = layout.dtype
        if layout.left_out:
            pages = ", ".join(map(str, layout.left_out))
            self.note(f"left out: page {pages}, of another size or type than its frames")
        self._samples = int(first.samplesperpixel)
        self._planar = first.planarconfig == 2 and self._samples > 1
        self.shape = (len(layout.frames), int(first.imagelength), int(first.imagewidth))
        self.short(layout.promised, self.n_frames)
        if layout.missing:
            gap = self.breaks[-1]
            reason = f"{gap.reason}, {', '.join(layout.missing[:3])} isn't"
            self.breaks = (*self.breaks[:-1], replace(gap, reason=reason))
        if not self.n_frames:
            reason = self.breaks[-1].reason if self.breaks else "no frame is whole"
            raise InputError(f"{self.path}: its first frames aren't there ({reason}); copy it again")
        if layout.harmless:  # its index is cut off, its frames aren't
            self.note(f"damaged behind its {self.n_frames} frames, which are whole")
        elif layout.damage and not self.breaks:
            self.breaks = (Break(self.n_frames, f"cut off or damaged ({layout.damage})"),)
        self._take(facts)

    def _facts(self, number: int) -> Facts:
        if self._file.is_ome:
            return ome_facts(self._file.ome_metadata or "", number)
        if self._file.is_imagej:
            tag = self._layout.first.tags.get("XResolution")
            return imagej_facts(self._file.imagej_metadata or {}, tag.value if tag else None)
        facts = Facts(fps=scanimage_rate(scanimage_text(self._file.pages[0])))
        if self._file.is_micromanager:
            facts.fps = micromanager_interval((self._file.micromanager_metadata or {}).get("Summary") or {})
        return facts

    def _take(self, facts: Facts) -> None:
        self.fps, self.pixel_size_um, self.about = facts.fps, facts.pixel_size_um, facts.about
        if facts.times is not None and len(facts.times) >= self.n_frames:
            self.timestamps = facts.times[: self.n_frames]
        if facts.nominal and facts.fps:
            self.note(f"{facts.fps:.4g} Hz by the frames' times (nominal: {facts.nominal:g} Hz)")
        if facts.playback and facts.fps is None:
            self.rate_hint = f" ({facts.playback:g} frames per second is how fast it asks to be shown)"
        self._add = facts.offset if self.dtype == np.uint16 else 0
        if self._add:
            self.dtype = np.dtype(np.int16)
        if self._layout.first.photometric == MINISWHITE and self.dtype.kind == "u":
            self.note("stored with 0 as white: turned round, so that bright is bright")
        if has_palette(self._layout.first):
            self.dtype = np.dtype(np.uint8)
        elif self._layout.first.photometric == PALETTE and self._coloured():
            self.note("shown in colours by ImageJ: the values are taken, not the colours")
        self._stored = self.dtype if not self._add else np.dtype(np.uint16)

    def _coloured(self) -> bool:
        """Whether a table of colours shows values otherwise than as grey that rises with them."""
        table = self._layout.first.colormap
        return table is not None and not (
            np.array_equal(table, table[:1].repeat(3, 0)) and table[0, -1] > table[0, 0]
        )

    def axes_by_look(self) -> str:
        """Axes of an array that was written as it lay: pages that aren't compressed are looked at."""
        if self._samples > COLOURS and self.n_frames == 1:
            return "tyx" if self._planar else "yxt"
        plain = self._layout.offset is not None and self._samples == 1 and not self._add and not self.breaks
        if not plain or not np.array_equal(self._layout.frames, np.arange(self.n_frames)):
            return "tyx"
        axes, said = axes_by_look(self._mapped(), "tyx")
        if said:
            self.note(said)
        return axes

    def turned(self, axes: str) -> TurnedTiff:
        """The frames of an array with these axes: a page is a row of all frames, or has pixels' courses.

        Compressed pages are held in memory, all of them: each has a part of every frame.
        """
        if self._samples > COLOURS and self.n_frames == 1:
            array = self._layout.first.asarray()
        elif self._layout.offset is not None and self._samples == 1 and not self._add:
            array = self._mapped()
        else:
            array = np.concatenate(list(self.blocks(0, self.n_frames, self.n_frames)))
        other = TurnedTiff()
        other.use(self.path, array, axes)
        other.files, other.notes, other.rate_hint = self.files, self.notes, self.rate_hint
        other.fps, other.pixel_size_um, other.about = self.fps, self.pixel_size_um, self.about
        return other

    def _mapped(self) -> np.ndarray:
        """Pages that lie one behind the other, in the file."""
        offset = self._layout.offset
        assert offset is not None
        stored = self._layout.first.dtype.newbyteorder(self._file.byteorder)
        return np.memmap(self._source, stored, "r", offset, (len(self._layout.frames), *self.shape[1:]))

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop) page by page; stored without compression they are read in one go."""
        for begin in range(start, stop, size):
            indices = self._layout.frames[begin : min(begin + size, stop)]
            block = (
                self._contiguous(indices)
                if self._layout.offset is not None
                else self._by_page(indices, begin)
            )
            if self._add:
                block = (block.astype(np.int32) + self._add).astype(self.dtype)
            yield block

    def _contiguous(self, indices: np.ndarray) -> np.ndarray:
        first, offset = self._layout.first, self._layout.offset
        assert offset is not None
        size = self.shape[1:]
        shape = (self._samples, *size) if self._planar else (*size, *(self._samples,) * (self._samples > 1))
        each = int(np.prod(shape))
        stored = first.dtype.newbyteorder(self._file.byteorder)
        runs = np.split(indices, np.flatnonzero(np.diff(indices) != 1) + 1)
        flat = [
            np.fromfile(
                self._source,
                stored,
                len(run) * each,
                offset=offset + int(run[0]) * each * stored.itemsize,
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
            page: Any = self._layout.pages[index]
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
        for file in (*self._opened, self._layout, self._file):
            file.close()


class TurnedTiff(ArrayRecording):
    """An array (H, W, T) of a TIFF, in its file or in memory.

    Attributes
    ----------
    files : list of Path
        That it is in.
    """

    files: list[Path]


def page_grey(page: Any) -> np.ndarray:
    """Decode a page to grey (H, W): colours, palettes, and 0 as white are taken for what they show."""
    key = page.keyframe
    pixels = page.asarray()
    if has_palette(key):
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
