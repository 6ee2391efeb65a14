"""Inscopix ``.isxd`` movies: uncompressed ones from their bytes, others through the ``isx`` package.

An uncompressed movie is its frames one after the other and a footer of JSON, whose length is in the last
eight bytes.
``isx`` isn't free for all uses, so that it is no dependency and no extra of ours.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import FrameError, Recording
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.stored import MOST_FRAMES, MOST_PIXELS

DTYPES: dict[int, np.dtype] = {0: np.dtype("<u2"), 1: np.dtype("<f4"), 2: np.dtype("u1")}
#: a footer is no longer than this
FOOTER_BYTES = 64 << 20
#: ends of names that the recorder and their software give to what is no movie
_BESIDE_MOVIES = re.compile(r"[-_](?:gpio|imu|cellset|eventset|cnmfe|pca-?ica|ed)$", re.IGNORECASE)


def open_inscopix(path: Path, options: Options) -> Recording:
    """Open a movie by its layout, where that is known."""
    footer = read_footer(path)
    return InscopixRecording(path) if footer is None else IsxdRecording(path, *footer)


def read_footer(path: Path) -> tuple[dict[str, Any], int] | None:
    """The footer of a movie, and how many bytes of frames are before it; None for a layout that isn't known.

    Raises
    ------
    InputError
        For a file of Inscopix's that is no movie.
    """
    found = read_any_footer(path)
    if found is not None and (found[0].get("type", 0) != 0 or "spacingInfo" not in found[0]):
        raise InputError(f"{path}: Inscopix data of another kind, not a movie")
    return found


def may_be_movie(path: Path) -> bool:
    """Whether a file isn't said to be something else: cells, events, or what came in at the box's inputs."""
    found = read_any_footer(path)
    if found is None:
        return not _BESIDE_MOVIES.search(path.stem)
    return found[0].get("type", 0) == 0 and "spacingInfo" in found[0]


def read_any_footer(path: Path) -> tuple[dict[str, Any], int] | None:
    """The footer of any file of Inscopix's, and how many bytes are before it; None where there is none."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - 8))
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length <= min(FOOTER_BYTES, size - 9):
            return None
        begin = size - 9 - length  # the text ends with a zero
        stream.seek(begin)
        text = stream.read(length)
    try:
        footer = json.loads(text)
    except ValueError:
        return None
    if not isinstance(footer, dict) or "timingInfo" not in footer:
        return None
    return footer, begin


def read_log(path: Path) -> dict[str, str]:
    """What the older recorders (nVista) write beside their TIFFs: ``<attr name="fps">20</attr>`` and such.

    Empty where the file is no such log.
    """
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except (OSError, ElementTree.ParseError):
        return {}
    return {
        str(node.get("name")): (node.text or "").strip() for node in root.iter("attr") if node.get("name")
    }


def add_log(recording: Recording, folder: Path, name: str) -> None:
    """Give a stack of nVista's the frame rate of its log, and the start that its name says."""
    log = read_log(folder / f"{name}.xml")
    try:
        rate = float(log.get("fps", "nan"))
    except ValueError:
        rate = math.nan
    if recording.fps is None and 0 < rate < math.inf:
        recording.fps = rate
        recording.note(f"{rate:g} Hz by {name}.xml")
    if match := re.fullmatch(r"recording_(\d{8})_(\d{6})", name):
        began = datetime.strptime(match[1] + match[2], "%Y%m%d%H%M%S").isoformat()
        recording.about = {"session_start_time": began, **recording.about}


class IsxdRecording(Recording):
    """An uncompressed movie.

    Frames that were dropped while it was recorded keep their place: the one before is shown again, and they
    are among ``bad_frames``. Stretches that were cut out in editing are a jump in the time stamps.

    Parameters
    ----------
    path : Path
        The file.
    footer : mapping
        What it says.
    size : int
        Bytes of its frames.
    """

    def __init__(self, path: Path, footer: Mapping[str, Any], size: int) -> None:
        self.path = path
        try:
            timing, spacing = footer["timingInfo"], footer["spacingInfo"]
            width, height = int(spacing["numPixels"]["x"]), int(spacing["numPixels"]["y"])
            total = int(timing["numTimes"])
            if not (0 < width * height < MOST_PIXELS and 0 < total < MOST_FRAMES):
                raise ValueError(f"a size that can be: {total} frames of {height} x {width}")
            period = fraction(timing["period"])
            dropped = _ranges(timing.get("dropped") or [], total)
            cut = _ranges(timing.get("cropped") or [], total)
            blank = _ranges(timing.get("blank") or [], total)
            stored = DTYPES[int(footer["dataType"])]
        except (KeyError, IndexError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            raise InputError(
                f"{path}: not an Inscopix movie that can be read (its footer lacks {error})"
            ) from error
        kept = np.setdiff1d(np.arange(total), cut)
        lost = np.isin(kept, np.union1d(dropped, blank))
        self._stored, self._pixels = stored, height * width
        count = int((~lost).sum())
        self._head = self._each = 0
        there = self._layout(size, count, bool(footer.get("hasFrameHeaderFooter")))
        self._index = np.maximum(np.cumsum(~lost) - 1, 0)  # of each frame among those that are stored
        whole = len(kept) if there >= count else int(np.searchsorted(np.cumsum(~lost), there, side="right"))
        self.shape, self.dtype = (whole, height, width), stored.newbyteorder("=")
        self.short(len(kept), whole)
        if not whole:
            raise InputError(f"{path}: cut off, no frame is whole; copy it again")
        self.bad_frames = lost[:whole] if lost[:whole].any() else None
        self.fps = 1 / period if period > 0 else None
        if len(cut) and period > 0:
            self.timestamps = kept[:whole] * period
        if lost.any():
            self.note(f"{int(lost.sum())} frames were dropped while it was recorded: they are in /bad_frames")
        self.about = self._about(footer)

    def _layout(self, size: int, count: int, padded: bool) -> int:
        """Find where frames begin; how many are there."""
        picture = self._pixels * self._stored.itemsize
        self._each = picture
        if padded and count and size % count == 0 and (size // count - picture) % 2 == 0:
            self._each = size // count  # lines of the sensor's own before and behind each picture
            self._head = (self._each - picture) // 2
        elif padded:
            raise InputError(
                f"{self.path}: cut off, its {count} frames can't be told apart; copy it again, or export it "
                "as TIFF"
            )
        return size // self._each

    @staticmethod
    def _about(footer: Mapping[str, Any]) -> dict[str, str]:
        about = {}
        extra = footer.get("extraProperties") or {}
        animal = extra.get("animal") if isinstance(extra, dict) else None
        if isinstance(animal, dict) and animal.get("id"):
            about["subject_id"] = str(animal["id"])
        scope = extra.get("microscope") if isinstance(extra, dict) else None
        if isinstance(scope, dict) and scope.get("type"):
            about["device"] = str(scope["type"])
        try:
            start = footer["timingInfo"]["start"]
            seconds, offset = fraction(start["secsSinceEpoch"]), int(start.get("utcOffset", 0))
            if seconds > 1e8:  # a date that somebody set
                moment = datetime.fromtimestamp(seconds, tz=UTC).astimezone(
                    timezone(timedelta(seconds=offset))
                )
                about["session_start_time"] = moment.isoformat(timespec="milliseconds")
        except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError, OSError):
            pass  # a date is a courtesy
        return about

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop)."""
        for begin in range(start, stop, size):
            end = min(begin + size, stop)
            index = self._index[begin:end]
            first, last = int(index[0]), int(index[-1]) + 1
            count = (last - first) * self._each
            flat = np.fromfile(self.path, np.uint8, count, offset=first * self._each)
            if len(flat) < count:
                raise FrameError(self.path, begin + len(flat) // self._each, "was cut off while it was read")
            picture = self._pixels * self._stored.itemsize
            bytes_ = flat.reshape(-1, self._each)[:, self._head : self._head + picture]
            frames = np.ascontiguousarray(bytes_).view(self._stored).reshape(-1, *self.shape[1:])
            yield frames[index - first].astype(self.dtype, copy=False)


def fraction(value: Mapping[str, Any]) -> float:
    """A number as Inscopix writes it: a fraction."""
    return float(value["num"]) / float(value["den"])


def _ranges(items: list[Any], total: int) -> np.ndarray:
    """Indices of single frames, and of ranges with both ends, of so many."""
    ends = [
        (int(item[0]), int(item[1])) if isinstance(item, list) else (int(item), int(item)) for item in items
    ]
    parts = [np.arange(max(first, 0), min(last, total - 1) + 1) for first, last in ends]
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, int)


class InscopixRecording(Recording):
    """A movie of a layout that only Inscopix's own package knows (compressed, or newer).

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    InputError
        If ``isx`` isn't installed, or can't read the file.
    """

    def __init__(self, path: Path) -> None:
        try:
            import isx
        except ImportError as error:
            raise InputError(
                f"{path}: doesn't end as a plain movie does: cut off, then copy it again; or compressed, "
                "then install their package isx (non-commercial licence): pip install isx, or export the "
                "movie as TIFF from Inscopix Data Processing"
            ) from error
        self.path = path
        try:
            movie = isx.Movie.read(str(path))
            timing, spacing = movie.timing, movie.spacing
            height, width = (int(n) for n in spacing.num_pixels)
            self.shape = (int(timing.num_samples), height, width)
            self.dtype = np.dtype(
                getattr(movie, "data_type", None) or np.asarray(movie.get_frame_data(0)).dtype
            )
            period = float(timing.period.secs_float)
        except Exception as error:  # isx raises plain Exceptions
            raise InputError(
                f"{path}: not an Inscopix movie that can be read ({' '.join(str(error).split())})"
            ) from error
        self.fps = 1 / period if period > 0 else None

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop)."""
        import isx

        movie = isx.Movie.read(str(self.path))  # again: isx keeps the sizes of the movie that was opened last
        for begin in range(start, stop, size):
            end = min(begin + size, stop)
            block = np.empty((end - begin, *self.shape[1:]), self.dtype)
            for row, index in zip(block, range(begin, end), strict=True):
                try:
                    row[:] = movie.get_frame_data(index)
                except Exception as error:
                    raise InputError(
                        f"{self.path}: frame {index} can't be read ({' '.join(str(error).split())})"
                    ) from error
            yield block
