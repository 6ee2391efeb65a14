"""Which programs' results are read, and the choice among them: one table.

A reader is one module and one row here; it is imported when the first of its files is opened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError, positive
from calcium_lightning.core.reading import check_no_pipe, not_there, reading
from calcium_lightning.io import cells_file
from calcium_lightning.io.kind import is_cells
from calcium_lightning.io.results.build import UNTIMED, Footprints

ADVICE = "damaged, or not as the program writes it: export it again"


@dataclass(frozen=True)
class Program:
    """A row of the table.

    Attributes
    ----------
    name : str
        For people.
    module : str
        Of this folder. It has ``suits(path) -> bool``, which looks at names and at little more,
        ``footprints(path) -> Footprints`` and ``read(path) -> Cells``.
    """

    name: str
    module: str

    def suits(self, path: Path) -> bool:
        """Whether a file or folder is of this program; one that can't be read is of none."""
        try:
            with reading(path, parsing=True):
                return bool(import_module(f"{__package__}.{self.module}").suits(path))
        except (InputError, OSError):
            return False

    def read(self, path: Path) -> Cells:
        """The cells in it."""
        with reading(path, advice=ADVICE, parsing=True):
            check_no_pipe(path)
            cells: Cells = import_module(f"{__package__}.{self.module}").read(path)
        return cells

    def footprints(self, path: Path) -> Footprints:
        """Where the cells in it are; their traces needn't be there."""
        with reading(path, advice=ADVICE, parsing=True):
            check_no_pipe(path)
            found: Footprints = import_module(f"{__package__}.{self.module}").footprints(path)
        return found


PROGRAMS = (
    Program("Suite2p", "suite2p"),
    Program("Minian", "minian"),
    Program("Inscopix cell sets", "inscopix"),
    Program("CNMF-E, MiniscopeAnalysis, CIAtah, EXTRACT, MIN1PIPE and CellReg (.mat)", "matlab"),
    Program("CaImAn", "caiman"),
    Program("NWB", "nwb"),
)


def read_cells(path: Path | str, fps: float | None = None, pixel_size_um: float | None = None) -> Cells:
    """Read the cells of a cells file of ours, or of another program's results.

    Parameters
    ----------
    path : path-like
        A cells file; CaImAn's HDF5; a folder of Suite2p's (``plane0``, or one that holds it) or Minian's; an
        Inscopix cell set (``.isxd``); a ``.mat`` of CNMF-E, MiniscopeAnalysis, CIAtah, EXTRACT, MIN1PIPE or
        CellReg; an NWB file with a ``PlaneSegmentation``.
    fps : float, optional
        Frame rate, Hz, where a program doesn't say it.
    pixel_size_um : float, optional
        Micrometres per pixel, in place of what it says.

    Returns
    -------
    Cells
        What a program doesn't say is empty: no motion, black images, no quality; ``denoised`` is then the
        trace. A frame rate that isn't said is 1 Hz, and ``notes`` say so.

    Raises
    ------
    InputError
        If it can't be read, or is of none of these; for a rate of cells that have one.
    """
    path = Path(path)
    program = find_program(path)
    cells = cells_file.read_cells(path) if program is None else program.read(path)
    if pixel_size_um is not None:
        cells = replace(cells, pixel_size_um=positive("pixel_size_um", pixel_size_um))
    if fps is None:
        return cells
    timeless = [note for note in cells.notes if UNTIMED in note]
    if not timeless:
        raise InputError(f"{path}: says its frame rate, {cells.fps:g} Hz; fps= is for results that don't")
    rate, notes = positive("fps", fps), tuple(note for note in cells.notes if note not in timeless)
    return replace(cells, fps=rate, timestamps=np.arange(cells.n_frames) / rate, notes=notes)


def is_foreign(path: Path) -> bool:
    """Whether a file or folder is another program's result as a whole."""
    return path.exists() and not (path.is_file() and is_cells(path)) and _suiting(path) is not None


def find_program(path: Path) -> Program | None:
    """Whose results they are; None for a cells file of ours, or what could only be a damaged one."""
    if not path.exists():
        raise InputError(f"{path}: {not_there(path)}")
    if path.is_file() and is_cells(path):
        return None
    program = _suiting(path)
    if program is None and path.is_dir():
        names = ", ".join(item.name for item in PROGRAMS)
        raise InputError(f"{path}: no results of a program that is known ({names})")
    return program


def _suiting(path: Path) -> Program | None:
    return next((item for item in PROGRAMS if item.suits(path)), None)
