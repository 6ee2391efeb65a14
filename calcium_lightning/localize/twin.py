"""The twin of a recording: the same foreground upside down, and what is found in it by the same way.

Cells brighten and never darken; noise, vessels and wander mostly do both. What is found in the twin is
chance, and tells how much of what is found in the recording is. What the first search leaves isn't searched
again, for time's sake: there are hardly any cells in a twin that hide others. Knows a movie and a detector.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from calcium_lightning.localize.finder import CellFinder, FoundCells
from calcium_lightning.localize.scratch import Foreground


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

    def read(self, start: int, stop: int) -> Tensor:
        """Frames [start, stop), float32 (n, h, w)."""
        return self.movie.read(start, stop).neg_()

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Yield (start, frames) in order."""
        for start, frames in self.movie.blocks():
            yield start, frames.neg_()


def find_decoys(finder: CellFinder, found: FoundCells) -> FoundCells:
    """What is found in the twin of the movie in which a finder found cells.

    Parameters
    ----------
    finder : CellFinder
        How.
    found : FoundCells
        The cells: their calcium kernel is the twin's, too, and so is the scatter of their localisations.
    """
    kernel = found.activity.kernel
    settings = replace(finder.settings, residual_searches=0, rise_s=kernel.rise_s, decay_s=kernel.decay_s)
    return CellFinder(
        Twin(finder.movie),
        finder.demixer.noise,
        finder.background_sigma,
        finder.fps,
        finder.detect,
        settings,
        finder.deconvolver.wander,
        finder.scatter,
    ).find()
