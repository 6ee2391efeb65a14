"""Which formats cells are written in: one table, of the package's writers and of one's own.

Knows what each is called; what is in a file is its writer's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.core.parts import describe, register, registered


@dataclass(frozen=True)
class Export:
    """What a writer is told beside cells and target.

    Attributes
    ----------
    source : Path
        The cells file.
    overwrite : bool
        Replace an existing target.
    settings : mapping
        Of the writer, by the name of its format in the command's config.
    """

    source: Path
    overwrite: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Writer:
    """A row of the table.

    Attributes
    ----------
    format : str
        What ``format=`` calls it.
    ending : str
        Of its files.
    write : callable
        Called with the cells, the target and an :class:`Export`.
    folder : bool
        A target without an ending is a folder of several files.
    """

    format: str
    ending: str
    write: Callable[[Cells, Path, Export], None]
    folder: bool = False


def _nwb(cells: Cells, target: Path, export: Export) -> None:
    from calcium_lightning.io.writers.nwb import NwbSettings, export_nwb

    settings = NwbSettings(**export.settings)
    export_nwb(cells, target, settings, source=export.source, overwrite=export.overwrite)


def _csv(cells: Cells, target: Path, export: Export) -> None:
    from calcium_lightning.io.writers.csv import export_csv

    export_csv(cells, target, overwrite=export.overwrite)


WRITERS = (Writer("nwb", ".nwb", _nwb), Writer("csv", ".csv", _csv, folder=True))


def writer(format: str, ending: str) -> Callable[[Any], Any]:
    """Register a function that writes cells to a file: ``write(cells, path)``.

    It needn't care whether the target exists, or what becomes of half a file: it is given another name, and
    its file is renamed when it is whole.

    Parameters
    ----------
    format : str
        What ``format=`` calls it.
    ending : str
        Of its files, with the dot; ``output=`` with this ending chooses it.
    """

    def add(write: Any) -> Any:
        register("writer", format, _Own(write, ending.lower()))
        return write

    return add


@dataclass(frozen=True)
class _Own:
    """A registered function; its origin is the function's."""

    function: Callable[[Cells, Path], None]
    ending: str

    def __call__(self, cells: Cells, target: Path, export: Export) -> None:
        called = f"{self.function.__module__}.{self.function.__qualname__}"
        with atomic_path(target, export.overwrite) as temporary:
            try:
                self.function(cells, temporary)
            except (InputError, OSError):
                raise
            except Exception as error:  # whatever a stranger's code raises
                raise InputError(f"{target}: {called} fails ({describe(error)})") from error
            if not temporary.is_file():
                raise InputError(f"{target}: {called} wrote no file; it is given the path to write to")


def writers() -> dict[str, Writer]:
    """All formats: the package's, and those that were registered."""
    own = {name: Writer(name, made.ending, made) for name, made in registered("writer").items()}
    return {**own, **{item.format: item for item in WRITERS}}


def find_writer(format: str) -> Writer:
    """The writer of a format.

    Raises
    ------
    InputError
        Naming the known ones.
    """
    known = writers()
    if format not in known:
        raise InputError(f"format={format}: {' or '.join(known)}{nearest(format, known)}")
    return known[format]


def choose_writer(target: Path) -> Writer:
    """The writer that a target's ending tells; one without an ending, and a folder, is of several tables.

    Raises
    ------
    InputError
        For any other ending.
    """
    known = writers().values()
    ending = target.suffix.lower()
    if not ending or target.is_dir():
        return next(item for item in known if item.folder)
    for item in known:
        if item.ending == ending:
            return item
    endings, formats = ", ".join(item.ending for item in known), "|".join(item.format for item in known)
    raise InputError(f"output={target}: no export ends in {ending}; {endings}, a folder, or format={formats}")
