"""The twin of a recording: the same foreground upside down, and what is found in it by the same way.

Cells brighten and never darken; noise, vessels and wander mostly do both. What is found in the twin is
chance, and tells how much of what is found in the recording is. What the first search leaves isn't searched
again, for time's sake: there are hardly any cells in a twin that hide others.

Where noise isn't white, it is what the recording's cells leave that is turned upside down: their own light
would be dark there, with bright rings and no cell to explain it, and hide the chance that lies around them.
Knows a movie and a detector.
"""

from __future__ import annotations

from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from threading import Event

import torch
from torch import Tensor

from calcium_lightning.core.pieces import cores
from calcium_lightning.core.progress import quiet
from calcium_lightning.localize.finder import CellFinder
from calcium_lightning.localize.found import FoundCells
from calcium_lightning.localize.plain import wanders
from calcium_lightning.localize.scratch import Foreground


class Twin(Foreground):
    """A foreground upside down, computed as it is read.

    Parameters
    ----------
    movie : Foreground
        (T, h, w), the quiet tissue at 0.
    given_up : Event, optional
        Set when nobody waits for what is sought in it any more.
    """

    def __init__(self, movie: Foreground, given_up: Event | None = None) -> None:
        self.movie = movie
        self.size, self.n_frames, self.block_frames = movie.size, movie.n_frames, movie.block_frames
        self.given_up = given_up or Event()

    def read(self, start: int, stop: int) -> Tensor:
        """Frames [start, stop), float32 (n, h, w)."""
        if self.given_up.is_set():
            raise CancelledError
        return self.movie.read(start, stop).neg_()

    def read_rows(self, start: int, stop: int, top: int, bottom: int) -> Tensor:
        """Rows [top, bottom) of frames [start, stop), float32 (n, bottom - top, w)."""
        if self.given_up.is_set():
            raise CancelledError
        return self.movie.read_rows(start, stop, top, bottom).neg_()

    def summed(self, count: int) -> Twin:
        """Sums of so many neighbouring frames, in units of white noise's sums."""
        return Twin(self.movie.summed(count), self.given_up)


def find_both(finder: CellFinder) -> tuple[FoundCells, FoundCells]:
    """What a finder finds in its movie, and what is found in the twin in the same way.

    The two searches go on at the same time where pieces are worked on by several cores: while one search does
    what falls into no pieces, the other has the cores. Only the twin of what cells leave waits for them. What
    is found is the same.

    Parameters
    ----------
    finder : CellFinder
        How. The scatter of its localisations, and the calcium kernel that it first fits, are the twin's, too.
    """
    if cores() < 2:
        return finder.find(), _decoys(finder)
    given_up = Event()

    def decoys() -> FoundCells:
        torch.set_num_threads(1)
        with quiet():
            return _decoys(finder, given_up)

    with ThreadPoolExecutor(1, "twin") as pool:
        search = pool.submit(copy_context().run, decoys)
        try:
            return finder.find(), search.result()
        except BaseException:
            given_up.set()
            finder.told.withdraw()
            raise


def _decoys(finder: CellFinder, given_up: Event | None = None) -> FoundCells:
    settings = replace(finder.settings, residual_searches=0)
    movie = finder.told.rest.result() if wanders(finder.deconvolver.wander) else finder.movie
    return CellFinder(
        Twin(movie, given_up),
        finder.demixer.noise,
        finder.background_sigma,
        finder.fps,
        finder.detect,
        settings,
        finder.deconvolver.wander,
        lead=finder.told,
    ).find()
