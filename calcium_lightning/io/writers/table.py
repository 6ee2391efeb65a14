"""Which formats cells are written in: one table, of the package's writers and of one's own.

Knows what each is called; what is in a file is its writer's business. A writer is one module and one row
here, and is imported when it is first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.core.parts import describe, register, registered
from calcium_lightning.core.selection import select
from calcium_lightning.core.standing import ORIGINS


class Movie(Protocol):
    """A recording whose motion is undone, in pieces: what a writer of movies needs of it."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    fps: float
    #: which pixels show tissue, bool (H, W)
    field: np.ndarray

    def blocks(self) -> Iterator[np.ndarray]:
        """Frames (n, H, W), float32, in order."""
        ...

    def sample(self, count: int) -> np.ndarray:
        """So many frames from all over it as they were recorded, (n, H, W)."""
        ...


@dataclass(frozen=True)
class Export:
    """What a writer is told beside cells and target.

    Attributes
    ----------
    source : Path or None
        The cells file.
    ids : ndarray of int (K,), or None
        The cells' numbers, which are their rows in the cells file; None where these are all of its cells.
    overwrite : bool
        Replace an existing target.
    settings : mapping
        Of the writer, by the name of its format in the command's config.
    behavior : tuple of Path
        Time stamps of behaviour, for the formats that hold them.
    movie : Movie or None
        The cells' recording, for the formats that are one.
    outlines : bool
        Draw the cells into it.
    """

    source: Path | None = None
    ids: np.ndarray | None = None
    overwrite: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    behavior: tuple[Path, ...] = ()
    movie: Movie | None = None
    outlines: bool = False

    def numbers(self, cells: Cells) -> np.ndarray:
        """The cells' numbers, int64 (K,)."""
        return np.arange(len(cells)) if self.ids is None else np.asarray(self.ids, np.int64)


class Write(Protocol):
    """Writes cells to a target, atomically."""

    def __call__(self, cells: Cells, target: Path, export: Export, /) -> None:
        """Write them."""


@dataclass(frozen=True)
class Writer:
    """A row of the table.

    Attributes
    ----------
    format : str
        What ``format=`` calls it.
    ending : str
        Of its files; empty for a format that is always a folder.
    write : callable or str
        Called with the cells, the target and an :class:`Export`; or ``module:function`` of this folder.
    folder : bool
        A target without an ending is a folder of several files.
    meaning : str
        For whom it is.
    by_ending : bool
        Whether a target's ending alone chooses it.
    also : tuple of str
        Further endings that choose it.
    movie : bool
        It is the motion-corrected recording, which needs the session too.
    whole : bool
        It holds rejected cells too, whatever was asked for.
    """

    format: str
    ending: str
    writer: Write | str
    folder: bool = False
    meaning: str = ""
    by_ending: bool = True
    also: tuple[str, ...] = ()
    movie: bool = False
    whole: bool = False

    @property
    def endings(self) -> tuple[str, ...]:
        """The endings that choose it."""
        return (self.ending, *self.also) if self.by_ending and self.ending else ()

    @property
    def suffix(self) -> str:
        """What a name that is made for such an export ends in."""
        return f"_{self.format}" if self.folder and not self.movie else self.ending

    def write(self, cells: Cells, target: Path, export: Export) -> None:
        """Write cells; the module is imported now.

        Raises
        ------
        InputError
            If the target exists, or the cells don't suit the format.
        """
        writer = self.writer
        if isinstance(writer, str):
            module, function = writer.split(":")
            writer = getattr(import_module(f"{__package__}.{module}"), function)
        assert callable(writer)
        writer(cells, target, export)


WRITERS = (
    Writer("nwb", ".nwb", "nwb:write", meaning="Neurodata Without Borders; DANDI"),
    Writer("csv", ".csv", "csv:write", folder=True, meaning="tables for spreadsheets and R"),
    Writer("parquet", ".parquet", "parquet:write", folder=True, meaning="the same tables, typed and small"),
    Writer("mat", ".mat", "matlab:write", meaning="MATLAB, version 7.3"),
    Writer("suite2p", "", "suite2p:write", folder=True, meaning="a folder that Suite2p opens"),
    Writer("caiman", ".hdf5", "caiman:write", meaning="CaImAn's results: load_CNMF reads it"),
    Writer("minian", "", "minian:write", folder=True, meaning="a folder that open_minian reads"),
    Writer("cellreg", ".mat", "cellreg:write", meaning="footprints for CellReg", by_ending=False),
    Writer("netcdf", ".nc", "netcdf:write", meaning="xarray, and whoever reads netCDF-4"),
    Writer("imagej", ".zip", "imagej:write", meaning="outlines for ImageJ's ROI manager"),
    Writer("napari", "", "napari:write", folder=True, meaning="a folder whose files napari opens as layers"),
    Writer(
        "cells", ".h5", "own:write", meaning="a cells file of ours, to curate what others found", whole=True
    ),
    Writer("mp4", ".mp4", "movie:write_mp4", meaning="the corrected movie to look at", movie=True),
    Writer(
        "tiff",
        ".tif",
        "movie:write_tiff",
        meaning="the corrected movie, every level",
        also=(".tiff",),
        movie=True,
    ),
    Writer(
        "zarr", ".zarr", "movie:write_zarr", folder=True, meaning="the same in chunks, for xarray", movie=True
    ),
)


def chosen_cells(cells: Cells, rejected: bool) -> tuple[Cells, np.ndarray]:
    """The cells to write and their numbers: those that are accepted, or all; unmeasured traces are nan."""
    rows = np.arange(len(cells)) if rejected else np.flatnonzero(cells.accepted)
    return _measured(cells if len(rows) == len(cells) else select(cells, rows)), rows


def unmeasured(cells: Cells) -> np.ndarray:
    """Cells that were drawn by hand and not regressed on the recording, bool (K,): no trace is known."""
    standing = cells.curation
    if standing is None:
        return np.zeros(len(cells), bool)
    return (standing.origin == ORIGINS.index("drawn")) & ~standing.regressed


def _measured(cells: Cells) -> Cells:
    """With nan for traces that nobody measured: a line of zeros would pass for a silent cell's."""
    lacking = unmeasured(cells)
    if not lacking.any():
        return cells

    def known(values: np.ndarray) -> np.ndarray:
        return np.where(lacking[:, None], np.float32(np.nan), np.asarray(values))

    traces, denoised, spikes = known(cells.traces), known(cells.denoised), known(cells.spikes)
    return replace(cells, traces=traces, denoised=denoised, spikes=spikes)


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
    """The writer that a target's ending tells; CSV for one without an ending, and for a folder.

    Raises
    ------
    InputError
        For any other ending.
    """
    known = writers().values()
    ending = target.suffix.lower()
    suiting = [item for item in known if ending in item.endings]
    if not ending or (target.is_dir() and not any(item.folder for item in suiting)):
        return find_writer("csv")
    if suiting:
        return suiting[0]
    endings = ", ".join(end for item in known for end in item.endings)
    formats = "|".join(item.format for item in known)
    raise InputError(f"output={target}: no export ends in {ending}; {endings}, a folder, or format={formats}")
