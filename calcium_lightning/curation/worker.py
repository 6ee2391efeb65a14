"""The process that works on the recording: the server stays small, and answers while it is at work.

It prepares the session, gives frames of all movies but the raw one, and regresses what was merged, split or
drawn. It learns how things stand from the cells file and its journal, as anybody does, and what it makes it
writes beside them; numbers of entries, and frames, go through the pipes. Knows processes and files; what is
done in it is :mod:`~calcium_lightning.curation.recording` and :mod:`~calcium_lightning.localize.regress`.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.remade import Remade
from calcium_lightning.curation.frames import Frames
from calcium_lightning.io.curation_file import open_original, read_remade, write_remade
from calcium_lightning.io.hdf5_output import create_file
from calcium_lightning.io.stored import open_stored

#: why nothing is regressed any more
ENDED = "the process that works on the recording has ended; start again"


@dataclass
class Progress:
    """How far the preparation is.

    Attributes
    ----------
    state : {"waiting", "preparing", "ready", "failed"}
    words : str
        What is being done, or why it failed.
    share : float
        Of the work, 0 to 1, about.
    """

    state: str = "waiting"
    words: str = ""
    share: float = 0.0


@dataclass
class News:
    """What the process tells.

    Attributes
    ----------
    progress : Progress
        How far it is.
    modes : list of str
        Movies that can be had.
    images : dict of str to ndarray
        Pictures of the whole movie; empty until it is ready.
    """

    progress: Progress = field(default_factory=Progress)
    modes: list[str] = field(default_factory=list)
    images: dict[str, np.ndarray] = field(default_factory=dict)


class Worker:
    """The process, from the server's side.

    Parameters
    ----------
    cells, session : Path
        The files.
    """

    def __init__(self, cells: Path, session: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._frames, theirs = context.Pipe()
        self._jobs, their_jobs = context.Pipe()
        arguments = (cells, session, theirs, their_jobs)
        self._process = context.Process(target=serve, args=arguments, daemon=True, name="recording")
        self._asking, self._answered = threading.Lock(), threading.Condition()
        self._done: dict[int, str] = {}
        self._ended = False
        self.news = News()
        self._begin = (theirs, their_jobs)

    def start(self, changed: Callable[[], None], ready: Callable[[], None]) -> None:
        """Begin; ``changed`` is called when there are news, ``ready`` once, when cells can be regressed."""
        self._process.start()
        for end in self._begin:
            end.close()  # so that its end is noticed

        def listen() -> None:
            while True:
                try:
                    told = self._jobs.recv()
                except (EOFError, OSError):
                    break
                if isinstance(told, News):
                    self.news = told
                    changed()
                    if told.progress.state == "ready":
                        ready()
                else:
                    with self._answered:
                        self._done.update([told])
                        self._answered.notify_all()
            self._ended = True
            if self.news.progress.state != "failed":
                self.news = News(Progress("failed", ENDED))
            with self._answered:
                self._answered.notify_all()
            changed()

        threading.Thread(target=listen, name="news", daemon=True).start()

    def end(self) -> None:
        """Stop it, whatever it is doing: what it makes can be made again."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(5)

    def frames(self, mode: str, index: np.ndarray, stamp: tuple[int, int]) -> Frames:
        """Frames of a movie; ``stamp`` changes with the cells.

        Raises
        ------
        InputError
            For a movie that there isn't, or not yet.
        """
        with self._asking:
            try:
                self._frames.send((mode, index, stamp))
                about = json.loads(self._frames.recv_bytes())
                if "error" in about:
                    raise InputError(about["error"])
                values = np.frombuffer(self._frames.recv_bytes(), np.uint8)
            except (EOFError, OSError) as error:
                raise InputError(ENDED) from error
        return about, values.reshape(-1, about["height"], about["width"])

    def regress(self, number: int, target: Path) -> Remade | str:
        """Regress what an action made; in words why, where nothing comes of it. Waits for it."""
        try:
            self._jobs.send((number, target))
        except OSError:
            return ENDED
        with self._answered:
            self._answered.wait_for(lambda: number in self._done or self._ended)
            failure = self._done.pop(number, ENDED)
        return failure or read_remade(open_stored(target))


def serve(cells: Path, session: Path, frames: Connection, jobs: Connection) -> None:
    """Work until the server ends; the process's main function."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server says when
    from calcium_lightning.core.progress import quiet
    from calcium_lightning.curation.recording import Recording
    from calcium_lightning.io.session import Session

    with ExitStack() as stack, quiet():
        found = stack.enter_context(open_original(cells)).cells
        telling = threading.Lock()

        def tell(what: Any) -> None:
            with telling:
                jobs.send(what)

        def news() -> None:
            tell(News(recording.progress, recording.modes(), recording.images))

        recording = Recording(stack.enter_context(Session(session)), found, news)
        threading.Thread(target=_work, args=(cells, recording, jobs, tell, news), daemon=True).start()
        _answer(cells, recording, frames)


def _work(
    cells: Path, recording: Any, jobs: Connection, tell: Callable[[Any], None], news: Callable[[], None]
) -> None:
    """Prepare, then regress what is asked for."""
    from calcium_lightning.core.decisions import in_force, replaced
    from calcium_lightning.core.progress import quiet
    from calcium_lightning.localize.regress import regress

    with quiet():
        try:
            news()
            recording.prepare()
        except (InputError, OSError, MemoryError) as error:
            recording.progress = Progress("failed", str(error) or type(error).__name__)
            news()
            return
        news()
        while True:
            try:
                number, target = jobs.recv()
            except (EOFError, OSError):
                return
            failure = ""
            try:
                with open_original(cells) as original:
                    entry = next(item for item in in_force(original.log) if item.number == number)
                    before = original.before(number)
                    drawn = original.remade[number]
                    shapes = drawn.footprints[drawn.rows >= len(before)]
                    part = regress(before, replaced(entry.action), shapes, recording.ready)
                    if not (part.quality["consistency"][: shapes.shape[0]] > 0).all():
                        raise InputError("no frame shows a cell there")
                    with create_file(target) as file:
                        write_remade(file, part, before.frame_shape)
            except (InputError, StopIteration, OSError, ArithmeticError, RuntimeError, ValueError) as error:
                # A cell that no frame shows, or that was undone meanwhile, stays as it is.
                failure = str(error) or type(error).__name__
            tell((number, failure))


def _answer(cells: Path, recording: Any, frames: Connection) -> None:
    """Give frames until nobody asks any more."""
    opened, known, current = ExitStack(), None, None
    with opened:
        while True:
            try:
                mode, index, stamp = frames.recv()
            except (EOFError, OSError):
                return
            try:
                if stamp != known:
                    opened.close()
                    current, known = opened.enter_context(open_original(cells)).decided(), stamp
                about, values = recording.frames(mode, index, current)
            except InputError as error:
                frames.send_bytes(json.dumps({"error": str(error)}).encode())
                continue
            frames.send_bytes(json.dumps(about).encode())
            frames.send_bytes(np.ascontiguousarray(values).reshape(-1).data)
