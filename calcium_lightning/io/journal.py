"""The journal beside a cells file: each decision on disk at once, before the file itself is written anew.

A folder ``CELLS.h5.curation`` that is there while a page is open, or after it was killed: ``log.jsonl``, one
line an entry, each synchronised before the page is told that it is kept; ``remade-N.h5``, what action N made;
and a lock, so that one process writes. What is in it is folded into the cells file as soon as that is cheap,
and at the end, and whoever reads cells meanwhile reads it along
(:mod:`~calcium_lightning.io.curation_file`). Knows lines and files; must not know what they decide.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from calcium_lightning.core import system
from calcium_lightning.core.decisions import Entry, entry_of
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import VALUES, check_regular

FORMAT, VERSION = "calcium-lightning-decisions", 1
LOG, LOCK, ADDRESS = "log.jsonl", "lock", "address"
REMADE = re.compile(r"remade-(\d+)\.h5")


@dataclass(frozen=True)
class Pending:
    """What a journal holds.

    Attributes
    ----------
    entries : tuple of Entry
        In order.
    remade : dict of int to Path
        Files of what actions made, by their number.
    """

    entries: tuple[Entry, ...]
    remade: dict[int, Path]


def journal_of(cells: Path) -> Path:
    """The journal's folder."""
    return cells.with_name(f"{cells.name}.curation")


def read_journal(cells: Path, fingerprint: str | None = None) -> Pending | None:
    """What the journal of a cells file holds; None where there is none, or one of other cells.

    Parameters
    ----------
    cells : Path
        The cells file.
    fingerprint : str, optional
        Which cells are meant.

    Raises
    ------
    InputError
        If it can't be understood.
    """
    folder = journal_of(cells)
    try:
        check_regular(folder / LOG)
        lines = (folder / LOG).read_bytes().split(b"\n")[:-1]  # a line without its end was not told as kept
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not lines:
        return None
    try:
        header = json.loads(lines[0])
        if header.get("format") != FORMAT or header.get("version") != VERSION:
            raise ValueError("of another format or version")
        if fingerprint is not None and header.get("fingerprint") != fingerprint:
            return None
        entries = tuple(entry_of(json.loads(line)) for line in lines[1:])
    except (*VALUES, InputError) as error:
        raise InputError(f"{folder / LOG}: no journal of decisions ({error}); move it away") from error
    made = {int(found[1]): path for path in folder.iterdir() if (found := REMADE.fullmatch(path.name))}
    return Pending(entries, made)


class Journal:
    """Appends to the journal of a cells file; a context manager that holds its lock.

    Parameters
    ----------
    cells : Path
        The cells file.
    fingerprint : str
        Which cells decisions are about.

    Raises
    ------
    InputError
        If another process has it, or it is about other cells.
    OSError
        If there can be none.
    """

    def __init__(self, cells: Path, fingerprint: str) -> None:
        self.folder = journal_of(cells)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        locked = (self.folder / LOCK).exists()
        self._lock = FileLock(self.folder / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            address = ""
            with contextlib.suppress(OSError):
                address = (self.folder / ADDRESS).read_text("utf-8").strip()
            raise InputError(
                f"{cells}: is being curated already{f', at {address}' if address else ''}; "
                "go on there, or end that page first"
            ) from None
        try:
            pending = read_journal(cells, fingerprint)
            if pending is None and (self.folder / LOG).exists():
                raise InputError(
                    f"{self.folder}: decisions about other cells than {cells.name} holds now; put the file "
                    "back that they are about, or move the folder away"
                )
            self._begin(fingerprint, pending)
        except BaseException:
            self._lock.release()
            if not locked:  # a journal that isn't taken stays as it was
                (self.folder / LOCK).unlink(missing_ok=True)
            raise

    def _begin(self, fingerprint: str, pending: Pending | None) -> None:
        """Start the log, or cut a line off that has no end."""
        path = self.folder / LOG
        header = {"format": FORMAT, "version": VERSION, "fingerprint": fingerprint}
        if pending is None:
            self._replace(path, (json.dumps(header) + "\n").encode())
        else:
            content = path.read_bytes()
            os.truncate(path, content.rindex(b"\n") + 1)
        self._log = os.open(path, os.O_WRONLY | os.O_APPEND | system.BINARY)

    def announce(self, address: str) -> None:
        """Tell others that come where the page is."""
        self._replace(self.folder / ADDRESS, address.encode())

    def append(self, entries: Sequence[Entry]) -> None:
        """Keep entries; they are on the disk when this returns.

        Raises
        ------
        OSError
            If they can't be; then none of them is kept.
        """
        size = os.fstat(self._log).st_size
        data = b"".join(json.dumps(entry.as_json()).encode() + b"\n" for entry in entries)
        try:
            while data:
                data = data[os.write(self._log, data) :]
            os.fsync(self._log)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._log, size)
            raise

    @contextmanager
    def remade(self, number: int) -> Iterator[Path]:
        """Give a path to write what action ``number`` made; it is kept when the block ends."""
        target = self.folder / f"remade-{number}.h5"
        temporary = target.with_suffix(".tmp")
        try:
            yield temporary
            system.sync(temporary)
            os.replace(temporary, target)
            system.sync(self.folder)
        finally:
            temporary.unlink(missing_ok=True)

    def remade_path(self, number: int) -> Path:
        """Where what action ``number`` made is."""
        return self.folder / f"remade-{number}.h5"

    def close(self, empty: bool) -> None:
        """Release the lock; an ``empty`` journal, folded or never used, is removed."""
        os.close(self._log)
        if empty:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            (self.folder / ADDRESS).unlink(missing_ok=True)
        self._lock.release()

    def _replace(self, path: Path, content: bytes) -> None:
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(content)
        system.sync(temporary)
        os.replace(temporary, path)
        system.sync(self.folder)
