"""Inscopix ``.isxd`` movies, through the ``isx`` package where the user has installed it.

Its licence is non-commercial, so it is no dependency and no extra of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Recording


class InscopixRecording(Recording):
    """A movie of Inscopix's Data Processing Software.

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
                f"{path}: reading Inscopix files needs their package isx (non-commercial licence): pip "
                "install isx, "
                "or export the movie as TIFF from Inscopix Data Processing"
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
