"""A folder of single frames, pictures or arrays, in natural order, decoded by a pool of threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from calcium_lightning.core import system
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.npy import read_array
from calcium_lightning.io.readers.base import FrameError, Recording
from calcium_lightning.io.readers.formats import TIFF_ENDINGS
from calcium_lightning.io.readers.grey import to_grey

#: what decodes pictures, by their ending
CODECS = {
    ".png": "png_decode",
    ".bmp": "bmp_decode",
    ".jp2": "jpeg2k_decode",
    ".j2k": "jpeg2k_decode",
    ".webp": "webp_decode",
}


def read_picture(path: Path) -> np.ndarray:
    """Decode one picture to grey.

    JPEG gives its luma channel, which is the grey value where the channels are equal and the luminance where
    they are not. The decoders release the GIL, so that threads decode in parallel.

    Returns
    -------
    ndarray, (H, W)
        uint8 or uint16 (16-bit PNG), or whatever a TIFF or an array holds.

    Raises
    ------
    ValueError
        With the reason, if the picture is damaged or of another format.
    """
    ending = path.suffix.lower()
    try:
        if ending in TIFF_ENDINGS:
            import tifffile

            from calcium_lightning.io.readers.tiff import page_grey

            with tifffile.TiffFile(path) as file:
                pixels = page_grey(file.pages[0])
        elif ending == ".npy":
            pixels = read_array(path, path.name)
        elif ending in CODECS:
            import imagecodecs

            pixels = getattr(imagecodecs, CODECS[ending])(path.read_bytes())
        else:
            import simplejpeg  # refuses damaged data that libjpeg patches up with grey

            pixels = simplejpeg.decode_jpeg(path.read_bytes(), colorspace="GRAY")
    except MemoryError:
        raise
    except Exception as error:  # each codec has exceptions of its own
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    if pixels.ndim == 3:
        pixels = to_grey(pixels)
    if pixels.ndim != 2:
        raise ValueError(f"has the shape {pixels.shape}, not a single picture")
    return pixels


class ImageFolder(Recording):
    """Frames stored as one picture, or one array, each.

    Parameters
    ----------
    path : Path
        The folder.
    files : sequence of Path
        Its pictures in the order of time.
    threads : int, optional
        Decoders; default: one per core, at most 8.
    """

    def __init__(self, path: Path, files: Sequence[Path], threads: int | None = None) -> None:
        self.path = path
        self._files = list(files)
        self._threads = threads or min(8, system.cores())
        first = self._frame(0)
        self.shape = (len(self._files), *first.shape)
        self.dtype = first.dtype

    def _frame(self, index: int) -> np.ndarray:
        try:
            return read_picture(self._files[index])
        except ValueError as error:
            name = self._files[index].name
            raise FrameError(self.path, index, f"({name}) can't be decoded: {error}") from error

    def _stack(self, futures: list[tuple[int, Future[np.ndarray]]]) -> np.ndarray:
        block = np.empty((len(futures), *self.shape[1:]), self.dtype)
        for row, (index, future) in zip(block, futures, strict=True):
            frame = future.result()
            if frame.shape != row.shape:
                raise self.wrong_size(index, frame.shape)
            if frame.dtype != row.dtype:
                raise InputError(
                    f"{self.path}: frame {index} ({self._files[index].name}) is of type {frame.dtype}, the "
                    f"first of {row.dtype}"
                )
            row[:] = frame
        return block

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop); the next block decodes while this one is used."""
        pool = ThreadPoolExecutor(self._threads)
        waiting: list[list[tuple[int, Future[np.ndarray]]]] = []
        try:
            for begin in range(start, stop, size):
                waiting.append(
                    [
                        (index, pool.submit(self._frame, index))
                        for index in range(begin, min(begin + size, stop))
                    ]
                )
                if len(waiting) == 2:
                    yield self._stack(waiting.pop(0))
            for futures in waiting:
                yield self._stack(futures)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
