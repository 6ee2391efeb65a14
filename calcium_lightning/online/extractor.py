"""Cells while a recording goes on: a beginning is extracted, then each frame gives each cell's activity.

Every so often the last minutes are extracted again behind the frames' back, and cells that are new are taken
up. In the end, the whole recording is extracted as if it had come as a file: nothing of the online figures
goes into that. CaImAn's OnACID-E (Friedrich et al. 2021, PLoS Comput. Biol. 17, e1008565) goes a like way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree

from calcium_lightning import pipeline
from calcium_lightning.core.background import BackgroundThread
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError, positive
from calcium_lightning.core.progress import quiet
from calcium_lightning.io.array_session import ArraySession
from calcium_lightning.online.kept import KeptFrames
from calcium_lightning.online.projector import LEVEL_FRAMES, Projector, Sources

#: a cell closer than this to a known one is that one, cell diameters
KNOWN = 0.5
#: recent frames that tell baseline and noise when cells are taken up
RECENT = 100


@dataclass(frozen=True)
class FrameActivity:
    """What a frame tells.

    Attributes
    ----------
    frame : int
        Which, from 0.
    activity : ndarray, float32 (K,)
        Fluorescence of each cell above its baseline, in units of its noise. A cell keeps its place, new ones
        come behind; K is 0 until the beginning has been looked at.
    shift : ndarray, float32 (2,)
        The motion (dy, dx) that was undone, pixels.
    seconds : float
        How long it took.
    """

    frame: int
    activity: np.ndarray
    shift: np.ndarray
    seconds: float


class OnlineExtractor:
    """Activity of cells in frames as they come; a context manager.

    Parameters
    ----------
    fps : float
        Hz.
    beginning_s : float
        Seconds that are looked at before there are cells.
    search_s : float
        Every so many seconds, new cells are sought in the last ``beginning_s``; 0: never.
    behind : bool
        Seek in a thread of its own, so that no frame waits; False: frames wait (for tests and playback).
    callback : callable, optional
        Called with each :class:`FrameActivity`.
    options : Any
        ``cell_diameter=``, ``pixel_size_um=``, ``detector=``, ``preprocess=``, ``localize=``, ``field=``
        and so on, of :func:`~calcium_lightning.pipeline.extract`.

    Examples
    --------
    >>> with OnlineExtractor(30.0, callback=stimulate) as online:  # doctest: +SKIP
    ...     for frame in camera:
    ...         online.add(frame)
    ...     cells = online.finish()
    """

    def __init__(
        self,
        fps: float,
        *,
        beginning_s: float = 60.0,
        search_s: float = 60.0,
        behind: bool = True,
        callback: Callable[[FrameActivity], Any] | None = None,
        **options: Any,
    ) -> None:
        self.fps = positive("fps", fps)
        self.beginning = max(1, round(positive("beginning_s", beginning_s) * self.fps))
        self.search = round(search_s * self.fps)
        self.behind, self.callback, self.options = behind, callback, options
        self.frames: KeptFrames | None = None
        self.projector: Projector | None = None
        self._search: BackgroundThread | None = None
        self._found: Projector | None = None
        self._error: BaseException | None = None
        self._due = self.beginning

    def __enter__(self) -> OnlineExtractor:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget the frames; a search that goes on is waited for."""
        if self._search is not None:
            self._search.join()
        if self.frames is not None:
            self.frames.close()

    @property
    def centers(self) -> np.ndarray:
        """Where the cells are, (y, x), pixels, (K, 2)."""
        return np.zeros((0, 2)) if self.projector is None else self.projector.sources.centers

    def add(self, frame: np.ndarray) -> FrameActivity:
        """Take a frame (H, W) and give each cell's activity in it.

        Raises
        ------
        InputError
            If the frame is of another size or type than those before, or a search has failed.
        """
        start = time.perf_counter()
        frame = np.asarray(frame)
        if self.frames is None:
            if frame.ndim != 2:
                raise InputError(f"frame 0 has shape {frame.shape}: (H, W) grey values are wanted")
            if frame.dtype.kind not in "biuf":
                raise InputError(f"frame 0 is of type {frame.dtype}: real numbers are wanted")
            self.frames = KeptFrames(frame)
        if frame.shape != self.frames.size:
            raise InputError(
                f"frame {self.frames.n_frames} has shape {frame.shape}, those before {self.frames.size}"
            )
        number = self.frames.n_frames
        kept = self.frames.dtype
        if not np.can_cast(frame.dtype, kept, "safe" if kept.kind in "iu" else "same_kind"):
            raise InputError(
                f"frame {number} is of type {frame.dtype}, those before {kept}: values would be lost"
            )
        self.frames.append(frame)
        self._take_up()
        activity, shift = np.zeros(0, np.float32), np.zeros(2, np.float32)
        if self.projector is not None:
            activity, shift = self.projector.activity(frame)
        told = FrameActivity(number, activity, shift, time.perf_counter() - start)
        if self.callback is not None:
            self.callback(told)
        if number + 1 >= self._due and self._search is None:
            self._seek(number + 1)
        return told

    def finish(self) -> Cells:
        """Extract the whole recording: what it gives is what the file would have given.

        Raises
        ------
        InputError
            If no frame has come, or :func:`~calcium_lightning.pipeline.extract` refuses the recording.
        """
        if self._search is not None:
            self._search.join()
        if self.frames is None:
            raise InputError("no frame has come")
        return pipeline.extract(self._session(0, self.frames.n_frames), **self.options)

    def _session(self, start: int, stop: int) -> ArraySession:
        assert self.frames is not None
        return ArraySession(self.frames.last(start, stop), self.fps)

    def _seek(self, stop: int) -> None:
        """Extract the last frames, of which ``stop`` is the one after the last."""
        self._due = stop + self.search if self.search else np.iinfo(np.int64).max
        if not self.behind:
            self._extract(stop)
            return
        self._search = BackgroundThread(lambda: self._extract_behind(stop), "search")
        self._search.start()

    def _extract_behind(self, stop: int) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with quiet():
                self._extract(stop)
        except BaseException as error:  # told to whoever adds the next frame
            self._error = error
        finally:
            torch.set_num_threads(threads)

    def _extract(self, stop: int) -> None:
        session = self._session(max(0, stop - self.beginning), stop)
        with pipeline.extract_streamed(session, **self.options) as found:
            projector = self.projector
            if projector is None:
                projector = Projector(found.prepared)
                sources = projector.sources_of(found.cells)
            else:
                # Each search has a field of its own: their means tell where it lies in the first one's.
                other = Projector(found.prepared)
                spectrum = projector.correlate.transform(other.template[None])
                offset = (projector.correlate(spectrum, projector.template) * projector.step).numpy()[0]
                sources = projector.sources_of(found.cells, -offset)
                sources = self._new(projector, sources, found.prepared.cell_diameter)
                if not len(sources.centers):
                    return
        # Here, behind the frames' back: to look at hundreds of them takes the time of many.
        assert self.frames is not None
        count = self.frames.n_frames
        recent = self.frames[max(0, count - (LEVEL_FRAMES if self.projector is None else RECENT)) : count]
        self._found = projector.knowing(projector.sources.plus(sources), recent)

    def _new(self, projector: Projector, sources: Sources, diameter: float) -> Sources:
        """Those that aren't known."""
        known = projector.sources.centers
        if not len(known) or not len(sources.centers):
            return sources
        distance, _ = cKDTree(known).query(sources.centers)
        keep = np.flatnonzero(distance > KNOWN * diameter)
        return Sources(sources.seen[keep], sources.probe[keep], sources.centers[keep])

    def _take_up(self) -> None:
        """Take up what a search has found since the last frame."""
        if self._search is not None and not self._search.is_alive():
            self._search = None
        if self._error is not None:
            raise self._error
        if self._found is None:
            return
        found, self._found = self._found, None
        if self.projector is not None:
            found.go_on_from(self.projector)
        self.projector = found
