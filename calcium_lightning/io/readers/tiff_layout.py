"""Which pages of a TIFF are a recording's frames, and which of them are really there.

Headers promise more frames than there are (a file that was cut off, one of several), or fewer (a stack that
was appended to); ImageJ writes one page for stacks above 4 GB; OME spreads a recording over files. Knows
pages and metadata through tifffile; no pixels.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.array import CHOOSES, chosen
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.readers.scanimage import scanimage_planes, scanimage_text
from calcium_lightning.io.stored import MOST_FRAMES

MINISWHITE, PALETTE = 0, 3
#: pages of another size or type at either end that are no frames but an overview, and frames beside them
OVERVIEWS, FRAMES_BESIDE = 2, 10
#: what OME-XML says of sizes, of how many planes there are, and of where they are
OME_TAG = re.compile(r"<(?:\w+:)?(?:Pixels|TiffData)\b[^>]*>")
OME_NUMBER = re.compile(r"""\b(Size[A-Z]|First[A-Z]|IFD|NumPlanes|PlaneCount)\s*=\s*["'](\d{1,4000})["']""")


class TiffLayout:
    """The frames of one stack in an open file.

    Parameters
    ----------
    file : tifffile.TiffFile
        The file.
    path : Path
        Where it is.
    options : Options
        As :class:`~calcium_lightning.io.readers.tiff.TiffRecording` takes them.
    complaint : callable
        Gives what tifffile has complained about so far, or an empty text.

    Attributes
    ----------
    number : int
        Of the stack among the file's images.
    first : tifffile.TiffPage
        The first page: size and type of all.
    pages : sequence
        All pages of the stack.
    offset : int or None
        Where the frames begin in the file, if they lie one behind the other as they are in memory.
    frames : ndarray
        Indices of the recording's whole frames among the pages, int (T,).
    promised : int
        How many frames the headers promise.
    damage : str
        What is wrong with the file behind the last whole frame.
    missing : list of str
        Other files of the recording that aren't there.
    files : list of Path
        Those that are.
    left_out : list of int
        Pages at either end that are pictures of another size or type: overviews, thumbnails.
    dtype : numpy.dtype
        Of the frames.

    Raises
    ------
    InputError
        If which stack, channel or plane isn't said, or frames differ in size.
    """

    def __init__(self, file: Any, path: Path, options: Options, complaint: Any) -> None:
        self._file, self._path, self._options, self._complaint = file, path, options, complaint
        self._plain: Any = None
        self.first: Any = file.pages[0]
        self.number = self._choose_series()
        series = file.series[self.number]
        if self.number:  # of another size or type than the file's first
            self.first = series.keyframe
        self.pages: Sequence[Any] = series.pages
        planes = [
            (axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if axis not in "YXS"
        ]
        count = int(np.prod([size for _, size in planes])) if planes else 1
        first = self.first
        plain = first.compression == 1 and first.photometric != MINISWHITE and not has_palette(first)
        # ImageJ stacks above 4 GB have one page and the frames behind it
        self.offset = series.dataoffset if plain and series.dtype == first.dtype else None
        self.files = self._files_of(self.pages)
        told = file.is_imagej or file.is_shaped or file.is_ome
        self.promised = 0
        self.left_out: list[int] = []
        self.dtype = np.dtype(series.dtype)
        if len(self.files) == 1 and len(file.pages) > count and not (file.is_ome and len(file.series) > 1):
            # written one by one, or more than the header says
            if file.is_imagej or file.is_ome:
                self.promised = count
            self.pages = self._plain_pages()
            self._leave_out()
            self._mixed(self.pages)
            self.offset, count, planes, told = None, len(self.pages), [("T", len(self.pages))], False
        elif (more := self._imagej_count()) > count:
            count, planes = more, [("T", more)]
        if len(planes) == 1 and (turns := scanimage_planes(scanimage_text(file.pages[0]), count)):
            planes, count = turns, math.prod(size for _, size in turns)
        there = self._there(count)
        self.frames = self._selection(planes, count, series.axes)
        self.promised = self.promised or len(self.frames)
        whole = int((self.frames < there).sum())
        self.missing = self._named_files() if whole < len(self.frames) else []
        self.frames = self.frames[:whole]
        self.damage = complaint()
        self.harmless = bool(self.damage) and told and self.offset is not None and whole == self.promised

    @property
    def frame_bytes(self) -> int:
        """Of one page, not compressed."""
        page = self.first
        return int(page.imagelength) * int(page.imagewidth) * int(page.samplesperpixel) * page.dtype.itemsize

    def close(self) -> None:
        """Close what was opened besides."""
        if self._plain is not None:
            self._plain.close()

    def _choose_series(self) -> int:
        """Which of several images: the only one with frames, or the one that is asked for."""
        self._check_promises()
        every = self._file.series
        key = self._options.key
        names = [str(series.name or index) for index, series in enumerate(every)]
        if key is not None:
            if key in names:
                return names.index(key)
            if key.isdigit() and int(key) < len(every):
                return int(key)
            raise InputError(f"{self._path}: no image {key}; there are: {', '.join(names)}")
        several = self._others(0) if self._file.is_ome else []
        if several:
            raise InputError(f"{self._path}: holds {len(every)} images; choose with key=: {', '.join(names)}")
        return 0

    def _check_promises(self) -> None:
        """Refuse OME's sizes that no recording has: tifffile makes a list of all frames that are promised."""
        text = (self._file.ome_metadata or "") if self._file.is_ome else ""
        most = MOST_FRAMES * max(1, int(self.first.imagelength) * int(self.first.imagewidth))
        for tag in OME_TAG.findall(text):
            counts = {name: int(number) for name, number in OME_NUMBER.findall(tag)}
            size = math.prod(number for name, number in counts.items() if name.startswith("Size"))
            others = (number for name, number in counts.items() if not name.startswith("Size"))
            if size > most or max(others, default=0) > MOST_FRAMES:
                raise InputError(
                    f"{self._path}: its OME-XML promises more frames, or larger ones, than anybody records "
                    f"({tag[:120]}); it is damaged"
                )

    def _others(self, number: int) -> list[Any]:
        """Further stacks of an OME file, which are no part of this one."""
        if not self._file.is_ome:
            return []
        return [
            other for index, other in enumerate(self._file.series) if index != number and len(other.pages) > 1
        ]

    def _plain_pages(self) -> Any:
        """All pages of the file, whatever its metadata say of them."""
        if self._file.is_ome:
            import tifffile

            self._plain = tifffile.TiffFile(self._path, is_ome=False)
            return self._plain.pages
        return self._file.pages

    def _imagej_count(self) -> int:
        """Frames of an ImageJ stack that has lost its later pages: its frames lie one behind the other."""
        pages = self._file.pages
        count = int((self._file.imagej_metadata or {}).get("images", 0)) if self._file.is_imagej else 0
        first = self.first
        if count <= len(pages) or first.compression != 1:
            return count if self._file.is_imagej and first.compression != 1 else 0
        start = int(first.dataoffsets[0])
        if len(pages) == 1 or pages[1].dataoffsets[0] == start + self.frame_bytes:
            self.offset = start
        return count

    def _named_files(self) -> list[str]:
        """Other files of an OME recording that aren't there."""
        named = re.findall(r'FileName="([^"]+)"', self._file.ome_metadata or "") if self._file.is_ome else []
        return [name for name in dict.fromkeys(named) if not (self._path.parent / name).is_file()]

    def _files_of(self, pages: Sequence[Any]) -> list[Path]:
        names: dict[str, None] = {}
        if self._file.is_ome:
            names = dict.fromkeys(str(page.parent.filehandle.path) for page in pages if page is not None)
        return [Path(name) for name in names] or [self._path]

    def _there(self, count: int) -> int:
        """How many frames of the stack are in the file, whole."""
        if self.offset is not None:
            size = self._path.stat().st_size
            return min(count, max(0, size - self.offset) // self.frame_bytes)
        if len(self.pages) < count:  # fewer pages than the header says
            count = len(self.pages)
        if self._file.is_ome and (gone := [i for i in range(count) if self.pages[i] is None]):
            return gone[0]  # in a file that isn't there
        if self._complaint() or not self._inside(count - 1):
            low, high = 0, count  # pages lie in the order of the file
            while low < high:
                middle = (low + high) // 2
                low, high = (middle + 1, high) if self._inside(middle) else (low, middle)
            return low
        return count

    def _inside(self, index: int) -> bool:
        """Whether all bytes of a page are in its file."""
        page = self.pages[index]
        ends = [
            offset + length for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False)
        ]
        return max(ends, default=0) <= page.parent.filehandle.size

    def _leave_out(self) -> None:
        """Take pictures of another size or type at either end for what they are: overviews."""
        kinds = [_kind(page.keyframe) for page in self.pages]
        usual, often = Counter(kinds).most_common(1)[0]
        first, last = kinds.index(usual), len(kinds) - kinds[::-1].index(usual)
        if often != last - first or often < FRAMES_BESIDE or max(first, len(kinds) - last) > OVERVIEWS:
            return
        self.left_out = [*range(first), *range(last, len(kinds))]
        if self.left_out:
            self.pages = [self.pages[index] for index in range(first, last)]
            self.first = self.pages[0]
            self.dtype = np.dtype(self.first.dtype)
            self.promised = 0

    def _mixed(self, pages: Any) -> None:
        first = pages[0]
        for index, page in enumerate(pages):
            shape = (page.keyframe.imagelength, page.keyframe.imagewidth)
            if shape != (first.imagelength, first.imagewidth):
                raise InputError(
                    f"{self._path}: frame {index} has the size {shape}, the first has "
                    f"{(first.imagelength, first.imagewidth)}; all must agree: save those of one size as a "
                    "file of their own"
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
                    f"{self._path}: axes={self._options.axes}: the stack has the dimensions {sizes}"
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
                where.append(chosen(self._path, option, getattr(self._options, option), size, series))
            elif size == 1:
                where.append(0)
            else:
                raise InputError(
                    f"{self._path}: a stack of the dimensions {sizes}; say which is time, with t, c "
                    "(channels) and z (planes), as in axes=tcyx channel=0"
                )
        frames = np.arange(count).reshape(sizes)[tuple(where)] if sizes else np.arange(count)
        return np.atleast_1d(frames).reshape(-1)


def _kind(page: Any) -> tuple[Any, ...]:
    """What all frames of a recording have in common."""
    return page.imagelength, page.imagewidth, page.samplesperpixel, page.dtype


def has_palette(page: Any) -> bool:
    """Whether a page's values are entries of a palette; ImageJ's tables only colour the values."""
    return page.photometric == PALETTE and page.colormap is not None and not page.parent.is_imagej
