"""The motion-corrected movie: to look at (MP4, with outlines on request), or to go on with (TIFF, zarr).

Streams: memory is bounded by a few chunks. Knows cells and a movie; nothing of how motion is undone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.ndimage import binary_erosion

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.progress import progress
from calcium_lightning.io.writers.measures import patch_of
from calcium_lightning.io.writers.table import Export, Movie

#: bytes of a TIFF that needn't be a BigTIFF, which fewer programs open, and of what stands beside a frame
MOST_BYTES, PAGE_BYTES = (1 << 32) - (1 << 20), 512
#: frames in a chunk of zarr, and that are looked at for the brightness of an MP4
CHUNK, SAMPLE = 64, 60
#: shares of all pixels that an MP4 shows as black, and as white
DARKEST, BRIGHTEST = 0.1, 99.9
#: an MP4 of fewer pixels along its longer side is enlarged twice, so that outlines are thin
SMALL = 480
#: outlines are where a footprint has this share of its peak; their colours, accepted and not
LEVEL, COLOURS = 0.5, ((255, 190, 0), (120, 120, 120))


class Sink(Protocol):
    """Takes corrected frames (n, H, W), float32, one block after the other."""

    def __call__(self, frames: np.ndarray, /) -> None:
        """Take the next frames."""


def write_mp4(cells: Cells, target: Path, export: Export) -> None:
    """H.264, to look at: grey, and outlines in colour where they are asked for.

    Raises
    ------
    InputError
        If the target exists.
    """
    drawn = _drawn(cells) if export.outlines else None
    _write(target, export, lambda path, movie: _mp4(path, movie, drawn))


def write_tiff(cells: Cells, target: Path, export: Export) -> None:
    """A stack of the session's number type, with all of its levels; ImageJ knows its frame rate and scale.

    Raises
    ------
    InputError
        If the target exists, or outlines are asked for.
    """
    size = cells.pixel_size_um
    _write_levels("tiff", target, export, lambda path, movie: _tiff(path, movie, size))


def write_zarr(cells: Cells, target: Path, export: Export) -> None:
    """The same as one array (time, y, x) in chunks.

    Raises
    ------
    InputError
        If the target exists or is another folder, or outlines are asked for.
    """
    if target.is_dir() and not (target / ".zarray").is_file():
        raise InputError(f"{target}: is a folder, and no zarr array that could be replaced")
    size = cells.pixel_size_um
    _write_levels("zarr", target, export, lambda path, movie: _zarr(path, movie, size), folder=True)


def _write_levels(
    format: str,
    target: Path,
    export: Export,
    opening: Callable[[Path, Movie], AbstractContextManager[Sink]],
    folder: bool = False,
) -> None:
    if export.outlines:
        raise InputError(f"outlines=true: are drawn into an MP4; {format} keeps the recording's levels")
    _write(target, export, opening, folder)


def _write(
    target: Path,
    export: Export,
    opening: Callable[[Path, Movie], AbstractContextManager[Sink]],
    folder: bool = False,
) -> None:
    movie = export.movie
    if movie is None:
        raise InputError(f"{target}: a movie needs the cells' recording")
    with (
        atomic_path(target, export.overwrite, folder=folder) as temporary,
        opening(temporary, movie) as sink,
        progress(f"movie {target.name}", movie.shape[0]) as advance,
    ):
        for frames in movie.blocks():
            sink(frames)
            advance(len(frames))


def _in_type(frames: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The nearest values of the session's type."""
    if dtype.kind == "f":
        return frames.astype(dtype)
    limit = np.iinfo(dtype)
    return np.clip(np.rint(frames), limit.min, limit.max).astype(dtype)


@contextmanager
def _tiff(path: Path, movie: Movie, pixel_size_um: float | None) -> Iterator[Sink]:
    """A stack as ImageJ describes one, big where it must be."""
    import tifffile

    about: dict[str, Any] = {"finterval": 1 / movie.fps, "tunit": "sec"}
    resolution = None
    if pixel_size_um is not None:
        about["unit"], resolution = "um", (1 / pixel_size_um, 1 / pixel_size_um)
    described = tifffile.imagej_description(movie.shape, axes="TYX", rgb=False, **about)
    big = movie.shape[0] * (math.prod(movie.shape[1:]) * movie.dtype.itemsize + PAGE_BYTES) > MOST_BYTES
    with tifffile.TiffWriter(path, bigtiff=big) as writer:

        def sink(frames: np.ndarray) -> None:
            for frame in _in_type(frames, movie.dtype):
                writer.write(
                    frame,
                    contiguous=True,
                    photometric="minisblack",
                    description=described,
                    metadata=None,
                    resolution=resolution,
                    resolutionunit="NONE",
                )

        yield sink


@contextmanager
def _zarr(path: Path, movie: Movie, pixel_size_um: float | None) -> Iterator[Sink]:
    """One array (time, y, x), chunked along time."""
    import zarr

    count = min(CHUNK, movie.shape[0])
    scale = {} if pixel_size_um is None else {"pixel_size_um": float(pixel_size_um)}
    array = zarr.create_array(
        str(path),
        shape=movie.shape,
        chunks=(count, *movie.shape[1:]),
        dtype=movie.dtype,
        zarr_format=2,
        attributes={"_ARRAY_DIMENSIONS": ["time", "y", "x"], "fps": float(movie.fps), **scale},
    )
    written = 0

    def sink(frames: np.ndarray) -> None:
        nonlocal written
        array[written : written + len(frames)] = _in_type(frames, movie.dtype)
        written += len(frames)

    yield sink


@contextmanager
def _mp4(path: Path, movie: Movie, drawn: tuple[np.ndarray, np.ndarray] | None) -> Iterator[Sink]:
    """H.264, which browsers and slides play: grey, and outlines in colour."""
    import av

    low, high = _brightness(movie)
    larger = 2 if max(movie.shape[1:]) < SMALL else 1
    height, width = (side * larger // 2 * 2 for side in movie.shape[1:])  # even, as H.264 wants it
    with av.open(str(path), "w", format="mp4") as container:
        rate = Fraction(movie.fps).limit_denominator(1000)
        # Without macroblock trees, which x264 computes with memory that nobody has set: one of twenty files
        # would hold other pictures than the rest.
        options = {"crf": "18", "x264-params": "mbtree=0"}
        stream: Any = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.thread_count = 1  # with more, x264 gives now this file, now another

        def sink(frames: np.ndarray) -> None:
            grey = np.clip((frames - low) * (255 / max(high - low, 1e-9)), 0, 255).astype(np.uint8)
            grey = grey.repeat(larger, 1).repeat(larger, 2)[:, :height, :width]
            for picture in grey:
                shown = np.repeat(picture[..., None], 3, -1)
                if drawn is not None:
                    where, colours = drawn[0][:height, :width], drawn[1][:height, :width]
                    shown[where] = colours[where]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))

        yield sink
        container.mux(stream.encode())


def _brightness(movie: Movie) -> tuple[float, float]:
    """What is shown as black and as white."""
    low, high = np.percentile(movie.sample(SAMPLE)[:, movie.field], (DARKEST, BRIGHTEST))
    return float(low), float(high)


def _drawn(cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels of the picture are outlines, bool (h, w), and their colours, uint8 (h, w, 3)."""
    larger = 2 if max(cells.frame_shape) < SMALL else 1
    height, width = (side * larger for side in cells.frame_shape)
    where, colours = np.zeros((height, width), bool), np.zeros((height, width, 3), np.uint8)
    for k in np.argsort(cells.accepted, kind="stable"):  # accepted ones on top
        y, x, weights = patch_of(cells, k)
        bright = weights > LEVEL * weights.max(initial=0)
        if not bright.any():
            continue
        y, x = y[bright], x[bright]
        image = np.zeros((np.ptp(y) + 3, np.ptp(x) + 3), bool)
        image[y - y.min() + 1, x - x.min() + 1] = True
        image = image.repeat(larger, 0).repeat(larger, 1)
        rows, columns = np.nonzero(image & ~binary_erosion(image))
        rows, columns = rows + (y.min() - 1) * larger, columns + (x.min() - 1) * larger
        where[rows, columns] = True
        colours[rows, columns] = COLOURS[0 if cells.accepted[k] else 1]
    return where, colours
