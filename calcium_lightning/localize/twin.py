"""The twin of a recording: the same foreground upside down, and what is found in it by the same way.

Cells brighten and never darken; noise, vessels and wander mostly do both. What is found in the twin is
chance, and tells how much of what is found in the recording is. What the first search leaves isn't searched
again, for time's sake: there are hardly any cells in a twin that hide others. Knows a movie and a detector.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace

import torch
from torch import Tensor

from calcium_lightning.core.progress import quiet
from calcium_lightning.localize.detect import Movie
from calcium_lightning.localize.finder import CellFinder, FoundCells
from calcium_lightning.localize.scratch import Foreground
from calcium_lightning.nn.coordinates import LocalizationBatch


class Twin:
    """A foreground upside down, computed as it is read.

    Parameters
    ----------
    movie : Foreground
        (T, h, w), the quiet tissue at 0.
    """

    def __init__(self, movie: Foreground) -> None:
        self.movie = movie
        self.size, self.n_frames, self.block_frames = movie.size, movie.n_frames, movie.block_frames
        #: nobody waits for what is sought in it any more
        self.given_up = False

    def read(self, start: int, stop: int) -> Tensor:
        """Frames [start, stop), float32 (n, h, w)."""
        if self.given_up:
            raise CancelledError
        return self.movie.read(start, stop).neg_()

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Yield (start, frames) in order."""
        for start in range(0, self.n_frames, self.block_frames):
            yield start, self.read(start, start + self.block_frames)


def find_both(finder: CellFinder) -> tuple[FoundCells, FoundCells]:
    """What a finder finds in its movie, and what is found in the twin in the same way.

    The two searches go on at the same time where Torch has two threads or more, half of them for each: more
    gets done than by both searches with all threads in turn, as much of a search isn't Torch's. What is found
    is the same.

    Parameters
    ----------
    finder : CellFinder
        How. The scatter of its localisations, and the calcium kernel that it first fits, are the twin's, too.
    """
    threads = torch.get_num_threads()
    if threads < 2 or finder.demixer.noise.device.type != "cpu":
        return finder.find(), _decoys(finder, Twin(finder.movie))
    twin = Twin(finder.movie)

    def decoys() -> FoundCells:
        torch.set_num_threads(threads - threads // 2)
        with quiet():
            return _decoys(finder, twin)

    with ThreadPoolExecutor(1, "twin") as pool:
        search = pool.submit(decoys)
        torch.set_num_threads(threads // 2)
        detect = finder.detect

        def with_free_threads(movie: Movie, stride: int) -> Iterable[LocalizationBatch]:
            if search.done():
                torch.set_num_threads(threads)
            return detect(movie, stride)

        finder.detect = with_free_threads
        try:
            return finder.find(), search.result()
        except BaseException:
            twin.given_up = True
            finder.told.withdraw()
            raise
        finally:
            finder.detect = detect
            torch.set_num_threads(threads)


def _decoys(finder: CellFinder, twin: Twin) -> FoundCells:
    settings = replace(finder.settings, residual_searches=0)
    return CellFinder(
        twin,
        finder.demixer.noise,
        finder.background_sigma,
        finder.fps,
        finder.detect,
        settings,
        finder.deconvolver.wander,
        lead=finder.told,
    ).find()
