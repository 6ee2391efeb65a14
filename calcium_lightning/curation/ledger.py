"""The one place that decides: takes actions in order, keeps each on disk, and says how things stand.

An action is checked, written to the journal and only then told as done. Whoever sends
it says on which revision it was decided; one that is out of date is refused, so that two pages on one file
don't overwrite each other. Folding into the cells file is a process of its own: it copies what may be a
gigabyte, and nothing waits for it. Knows actions, rows and files; must not know pages or recordings.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from calcium_lightning import __version__
from calcium_lightning.core.cells import StreamedCells
from calcium_lightning.core.decisions import (
    LONGEST_NAME,
    MAKING,
    Action,
    Entry,
    Redo,
    Undo,
    in_force,
    now,
    to_redo,
)
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import reason
from calcium_lightning.core.remade import Remade, decided
from calcium_lightning.core.standing import Standing, check_next
from calcium_lightning.curation.combine import combine
from calcium_lightning.io.curation_file import (
    Original,
    fingerprint,
    fold,
    open_original,
    read_remade,
    write_remade,
)
from calcium_lightning.io.hdf5_output import create_file
from calcium_lightning.io.journal import Journal, journal_of
from calcium_lightning.io.stored import open_stored

#: the file is written anew at most this share of the time
FOLDING_SHARE = 1 / 30
#: seconds after which a decision is folded, at the earliest: a burst of keys is one
SETTLING_S = 0.5
#: what says that a folder can't be written to
LOCKED = (errno.EACCES, errno.EPERM, errno.EROFS)


class Stale(Exception):
    """An action was decided on a revision that isn't the last."""


class Ledger:
    """Decisions about one cells file; made by :func:`open_ledger`.

    Parameters
    ----------
    path : Path
        The cells file.
    original : Original
        What was found, the log so far, and what was made.
    journal : Journal or None
        Where decisions go; None where nothing can be written, and nothing may be decided.
    who : str
        Who decides, unless an action says otherwise.

    Attributes
    ----------
    standing : Standing
        How things stand.
    cells : StreamedCells
        The cells as they are now.
    unwritten : str
        Why what was decided could not be written into the cells file, and where it is; empty where it could.
    """

    def __init__(self, path: Path, original: Original, journal: Journal | None, who: str) -> None:
        self.path, self.who = path, who
        self.found = original.cells
        self._journal = journal
        self._log = list(original.log)
        self._remade = dict(original.remade)
        self._lock, self._folding = threading.RLock(), threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self._replaced = 0
        self._folded: tuple[int, int] | None = self.stamp if len(original.log) <= original.folded else None
        self.unwritten = ""
        self.standing = Standing.of(self.found.accepted, self._log)
        self.cells: StreamedCells = decided(self.found, self.standing, self._remade)

    @property
    def revision(self) -> int:
        """Number of the last entry."""
        return len(self._log)

    @property
    def log(self) -> tuple[Entry, ...]:
        """All entries."""
        return tuple(self._log)

    @property
    def writable(self) -> bool:
        """Whether anything can be decided."""
        return self._journal is not None

    def undoable(self) -> Entry | None:
        """What undo would take back."""
        return next(iter(in_force(self._log)[::-1]), None)

    def redoable(self) -> Entry | None:
        """What redo would bring back."""
        return next(iter(to_redo(self._log)[::-1]), None)

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call back after each change, from whichever thread; what is returned ends it."""
        self._listeners.append(changed)
        return lambda: self._listeners.remove(changed)

    def decide(self, action: Action, revision: int | None = None, who: str | None = None) -> Entry:
        """Take one action; it is on the disk when this returns.

        Parameters
        ----------
        action : Action
            What to do.
        revision : int, optional
            Of the log on which it was decided; default the last.
        who : str, optional
            Who decides.

        Raises
        ------
        Stale
            If something else was decided since.
        InputError
            If the cells can't take it.
        OSError
            If it can't be kept.
        """
        return self.decide_all([action], revision, who)[0]

    def decide_all(
        self, actions: Sequence[Action], revision: int | None = None, who: str | None = None
    ) -> list[Entry]:
        """Take several actions, all of them or none."""
        if self._journal is None:
            raise InputError(f"{self.path}: can't be written, or not beside it; nothing can be decided")
        with self._lock:
            if revision is not None and revision != self.revision:
                raise Stale
            name = (who or self.who)[:LONGEST_NAME]
            log, standing, remade, cells = list(self._log), self.standing, dict(self._remade), self.cells
            entries = []
            for action in actions:
                check_next(standing, log, action)
                entry = Entry(len(log) + 1, name, now(), __version__, action)
                if isinstance(action, MAKING):
                    remade[entry.number] = self._kept(entry.number, combine(action, cells))
                elif isinstance(action, Redo):
                    self._check_kept(to_redo(log)[-1])
                log.append(entry)
                entries.append(entry)
                if isinstance(action, Undo | Redo):
                    standing = Standing.of(self.found.accepted, log)
                else:
                    standing = standing.after(entry)
                cells = decided(self.found, standing, remade)
            self._journal.append(entries)
            self._log, self._remade, self.standing, self.cells = log, remade, standing, cells
        self._tell()
        return entries

    def _check_kept(self, entry: Entry) -> None:
        """Refuse to bring an action back whose rows older versions of the package have not kept."""
        if isinstance(entry.action, MAKING) and entry.number not in self._remade:
            raise InputError(f"{self.path}: what was undone was not kept; decide it anew")

    def unregressed(self) -> list[Entry]:
        """Actions in force whose rows weren't regressed on a recording, in order."""
        with self._lock:
            return [
                entry
                for entry in in_force(self._log)
                if isinstance(entry.action, MAKING) and not self._remade[entry.number].regressed
            ]

    @property
    def stamp(self) -> tuple[int, int]:
        """Changes with each decision, and with all rows that are made anew."""
        return self.revision, self._replaced

    def scratch(self, number: int) -> Path:
        """Where others may write what an entry made anew, for :meth:`replace`."""
        assert self._journal is not None
        return self._journal.remade_path(number).with_suffix(".new")

    def replace(self, number: int, part: Remade) -> None:
        """Put rows that were regressed in the place of those that an entry made at first."""
        with self._lock:
            self._remade[number] = self._kept(number, part)
            self.cells = decided(self.found, self.standing, self._remade)
            self._replaced += 1
        self._tell()

    @property
    def unfolded(self) -> bool:
        """Whether something isn't in the cells file yet."""
        return self._folded != self.stamp

    @contextmanager
    def _writing(self) -> Iterator[Original]:
        """Within the block all of it is written into the cells file, or :attr:`unwritten` says why not."""
        with self._folding:  # of two at a time, the one that began earlier might end last
            with self._lock:
                snapshot, stamp = Original(self.found, self.log, dict(self._remade), 0), self.stamp
            try:
                yield snapshot
            except (InputError, OSError) as error:
                self.unwritten = (
                    f"{_why(self.path, error)}; what was decided is kept in {journal_of(self.path)}"
                )
                raise
            else:
                self._folded, self.unwritten = stamp, ""
            finally:
                self._tell()

    def fold(self) -> None:
        """Write all of it into the cells file, now.

        Raises
        ------
        InputError, OSError
            If it can't be written; :attr:`unwritten` says why.
        """
        with self._writing() as snapshot:
            fold(self.path, snapshot)

    def fold_elsewhere(self) -> None:
        """The same in a process of its own: HDF5 lets one thread at a time of a process work."""
        with self._writing():
            if why := fold_in_process(self.path):
                raise InputError(why)

    def settle(self) -> str:
        """Fold what isn't; :attr:`unwritten`, where it can't be."""
        with self._folding, contextlib.suppress(InputError, OSError):
            if self.is_kept and self.unfolded:
                self.fold()
        return self.unwritten

    def close(self) -> None:
        """Fold what isn't, and remove the journal.

        Raises
        ------
        InputError, OSError
            If it can't be folded; the journal stays.
        """
        if self._journal is None:
            return
        try:
            if self.unfolded:
                self.fold()
        except InputError as error:
            raise InputError(self.unwritten) from error
        finally:
            self._journal.close(empty=not self.unfolded)

    @property
    def is_kept(self) -> bool:
        """Whether decisions can be taken: there is a journal that keeps them."""
        return self._journal is not None

    def announce(self, address: str) -> None:
        """Tell other processes where the page is."""
        if self._journal is not None:
            self._journal.announce(address)

    def _kept(self, number: int, part: Remade) -> Remade:
        """The same rows, on disk, and read from there: memory doesn't grow with what was decided."""
        assert self._journal is not None
        with self._journal.remade(number) as place, create_file(place) as file:
            write_remade(file, part, self.found.frame_shape)
        return read_remade(open_stored(self._journal.remade_path(number)))

    def _tell(self) -> None:
        for changed in list(self._listeners):
            changed()


@contextmanager
def open_ledger(path: Path, who: str, background: bool = True) -> Iterator[Ledger]:
    """Open a cells file to decide on it; what was decided is in the file when the block ends.

    Parameters
    ----------
    path : Path
        The cells file.
    who : str
        Who decides.
    background : bool
        Fold into the file meanwhile, too.

    Raises
    ------
    InputError
        If it is no cells file, or another process decides on it.
    """
    with open_original(path) as looked:
        mark = fingerprint(looked.cells)
    journal: Journal | None = None
    if os.access(path, os.W_OK):  # one that is protected could be replaced all the same
        try:
            journal = Journal(path, mark)
        except OSError as error:
            if error.errno not in LOCKED:
                raise
    with open_original(path) as original:  # under the lock, another's last words included
        ledger = Ledger(path, original, journal, who)
        folder = Folder(ledger) if background and journal is not None else None
        try:
            yield ledger
        finally:
            if folder is not None:
                folder.end()
            ledger.close()


class Folder:
    """Folds into the cells file now and then, in a process of its own.

    Parameters
    ----------
    ledger : Ledger
        What to fold.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._wake, self._ended = threading.Event(), False
        self._stop = ledger.listen(self._wake.set)
        self._thread = threading.Thread(target=self._run, name="folding", daemon=True)
        self._thread.start()
        if ledger.unfolded:
            self._wake.set()

    def end(self) -> None:
        """Let the last one finish."""
        self._stop()
        self._ended = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        rest = SETTLING_S
        while not self._ended:
            self._wake.wait()
            self._wake.clear()
            until = time.monotonic() + rest
            while not self._ended and time.monotonic() < until:
                time.sleep(0.02)
            if self._ended or not self.ledger.unfolded:
                continue
            begin = time.monotonic()
            with contextlib.suppress(InputError, OSError):  # the ledger says so, and it is tried again
                self.ledger.fold_elsewhere()
            rest = max(SETTLING_S, (time.monotonic() - begin) / FOLDING_SHARE)


def fold_in_process(path: Path) -> str:
    """Fold a file's journal into it, elsewhere; in words why, where it can't be."""
    context = multiprocessing.get_context("spawn")
    told, telling = context.Pipe(duplex=False)
    process = context.Process(target=fold_pending, args=(path, telling), daemon=True)
    process.start()
    telling.close()  # so that its end is noticed
    try:
        why = str(told.recv())
    except EOFError:
        why = f"{path}: the process that writes it was ended"
    process.join()
    told.close()
    return why


def fold_pending(path: Path, telling: Connection) -> None:
    """Fold a file's journal into it, and tell why, where it can't be."""
    why = ""
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):  # who asked may have been killed
        try:
            with open_original(path) as original:
                fold(path, original)
        except (InputError, OSError) as error:
            why = _why(path, error)
        telling.send(why)


def _why(path: Path, error: InputError | OSError) -> str:
    return str(error) if isinstance(error, InputError) else f"{path}: {reason(error)}"
