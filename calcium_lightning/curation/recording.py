"""The session behind the cells: frames as the page plays them, and the foreground to regress cells on.

Motion-corrected frames can be had at once. What is left when background and noise are known (the
foreground, what the cells explain of it, and the rest) is prepared in the background with the same functions
as ``extract`` uses, on the motion that the cells file holds. It lives in a process of its own
(:mod:`~calcium_lightning.curation.worker`). Knows sessions and cells; must not know requests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from calcium_lightning.core.cells import StreamedCells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.remade import Columns
from calcium_lightning.curation.frames import Frames, RawMovie, in_bytes, in_range, range_of, stored
from calcium_lightning.curation.images import local_correlation
from calcium_lightning.curation.worker import Progress
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.localize.demix import Demixer, Model
from calcium_lightning.localize.patches import Surround
from calcium_lightning.localize.peak import peak_to_noise
from calcium_lightning.localize.ready import Ready, motion_of
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.localize.upscale import from_session
from calcium_lightning.preprocess.prepared import Prepared, Scale

#: kinds of movie: those of the session's pixels, and those at the network's scale in units of the noise
OF_SESSION, OF_NOISE = ("corrected",), ("foreground", "reconstruction", "residual")
MODES = (*OF_SESSION, *OF_NOISE)


class Recording:
    """Frames of the session that cells come from.

    Parameters
    ----------
    session : BaseSession
        Opened; whoever made it closes it.
    cells : StreamedCells
        As they were found.
    changed : callable
        Called now and then while it is prepared.
    """

    def __init__(
        self, session: BaseSession, cells: StreamedCells, changed: Callable[[], None] = lambda: None
    ) -> None:
        self.session, self.found = session, cells
        self.progress = Progress()
        self.ready: Ready | None = None
        self.images: dict[str, np.ndarray] = {}
        self._changed = changed
        self._raw = RawMovie(session)
        self._range: tuple[float, float] | None = None
        self._model: tuple[Any, Model] | None = None
        self._lock = threading.Lock()
        motion = motion_of(cells)
        count, size = session.n_frames, cells.frame_shape
        #: undoes the motion, and nothing else
        self._still = Prepared(
            session=session,
            scale=Scale(size, size),
            fps=cells.fps,
            cell_diameter=1.0,
            shifts=cells.shifts,
            gain=np.ones(count, np.float32),
            offset=np.zeros(count, np.float32),
            background_sigma=1.0,
            baseline=torch.zeros(1, 1, 1),
            knots=torch.zeros(1),
            noise=torch.ones(1, 1),
            seen=torch.ones(1, 1),
            patches=motion.patches,
        )

    def modes(self) -> list[str]:
        """Kinds of movie that can be played now."""
        return list(MODES if self.ready is not None else OF_SESSION)

    def prepare(self) -> Ready:
        """Bring the whole session to the network's scale: background, noise, and the foreground on disk."""
        done, total, cells = 0, 3 * self.session.n_frames, self.found

        def read(count: int) -> None:
            nonlocal done
            before, done = int(100 * done / total), done + count
            self.progress.share = min(0.99, done / total)
            if int(100 * self.progress.share) != before:
                self._changed()

        def foreground() -> None:
            self.progress.words = "taking background off"

        self.progress = Progress("preparing", "reading the recording")
        ready = Ready.of(self.session, cells, read, foreground)
        self.images = {"local correlation": local_correlation(ready.movie)}
        if cells.peak_image is None:
            self.images["peak to noise"] = peak_to_noise(ready.movie)
        self.ready = ready
        self.progress = Progress("ready", "", 1.0)
        return ready

    def frames(self, mode: str, index: np.ndarray, cells: StreamedCells) -> Frames:
        """Frames as 8-bit numbers.

        Parameters
        ----------
        mode : str
            One of :meth:`modes`.
        index : ndarray of int (n,)
            Which frames, ascending; fewer are given where they would be too much for one answer.
        cells : StreamedCells
            As they are now, for what they explain.

        Raises
        ------
        InputError
            For a mode that there isn't, or not yet.
        """
        if mode not in self.modes():
            raise InputError(f"{mode}: no such movie yet; there are {', '.join(self.modes())}")
        size = self._size(mode)
        unit = "noise" if mode in OF_NOISE else self._raw.unit
        index = in_range(index, self.session.n_frames, size)
        shown = self._raw.shown if mode == "corrected" else self._shown(cells)
        return in_bytes(lambda part: self._values(mode, part, cells), index, size, shown, unit)

    def _size(self, mode: str) -> tuple[int, int]:
        if mode in OF_SESSION or self.ready is None:
            return self.found.frame_shape
        return self.ready.prepared.scale.size

    def _values(self, mode: str, index: np.ndarray, cells: StreamedCells) -> np.ndarray:
        """Frames (n, h, w), float32, in their units."""
        if not len(index):
            return np.zeros((0, *self._size(mode)), np.float32)
        if mode == "corrected":
            return self._corrected(index)
        assert self.ready is not None
        ready, place = self.ready, self.ready.place[index]
        values = np.zeros((len(index), *ready.prepared.scale.size), np.float32)
        known = place >= 0
        if mode != "reconstruction":
            values[known] = self._scratch(ready.movie, place[known])
        if mode != "foreground":
            explained = self._explained(index[known], cells)
            values[known] = explained if mode == "reconstruction" else values[known] - explained
        return values

    def _corrected(self, index: np.ndarray) -> np.ndarray:
        frames = torch.from_numpy(stored(self.session, index))
        runs = np.split(np.arange(len(index)), np.flatnonzero(np.diff(index) != 1) + 1)
        parts = [self._still.resample(frames[run[0] : run[-1] + 1], int(index[run[0]])) for run in runs]
        return torch.cat(parts).numpy()

    def _scratch(self, movie: ScratchMovie, place: np.ndarray) -> np.ndarray:
        if not len(place):
            return np.zeros((0, *movie.size), np.float32)
        with self._lock:  # one file, one position in it
            first, last = int(place[0]), int(place[-1]) + 1
            if last - first <= 4 * len(place):
                return movie.read(first, last).numpy()[place - first]
            return torch.cat([movie.read(int(item), int(item) + 1) for item in place]).numpy()

    def _explained(self, index: np.ndarray, cells: StreamedCells) -> np.ndarray:
        """What the cells explain of the foreground, (n, h, w)."""
        model = self.model(cells)
        first, last = int(index[0]), int(index[-1]) + 1
        source = cells.denoised
        assert isinstance(source, Columns)
        activity = np.nan_to_num(source.frames(first, last))[:, index - first]
        if cells.curation is not None:
            activity[~cells.curation.present] = 0
        seen = model.seen.T @ activity
        return np.asarray(seen.T, np.float32).reshape(len(index), *model.footprints.size)

    def model(self, cells: StreamedCells) -> Model:
        """Footprints as the foreground shows them; made anew where they changed."""
        assert self.ready is not None
        with self._lock:
            if self._model is None or self._model[0] is not cells.footprints:
                prepared = self.ready.prepared
                demixer = Demixer(
                    self.ready.movie, prepared.noise, Surround(prepared.scale.size, prepared.background_sigma)
                )
                self._model = cells.footprints, demixer.model(from_session(cells.footprints, prepared.scale))
            return self._model[1]

    def _shown(self, cells: StreamedCells) -> tuple[float, float]:
        """What black and white stand for: the same for all movies in units of the noise."""
        if self._range is None:
            self._range = range_of(
                lambda index: self._values("foreground", index, cells), self.session.n_frames
            )
        return self._range
