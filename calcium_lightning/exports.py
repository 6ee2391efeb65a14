"""Cells in other people's formats, and the corrected movie: what leaves the pipeline, in one call.

Puts the rooms together: whose cells they are (``io.results``), which tracks they are in, which recording they
are of, and the writer that the target's ending tells (``io.writers``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.atomic import check_output
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.results.table import find_program, read_cells
from calcium_lightning.io.writers.table import (
    Export,
    Movie,
    Writer,
    choose_writer,
    chosen_cells,
    find_writer,
    unmeasured,
)


def export(
    cells: Cells | Path | str,
    target: Path | str,
    format: str | None = None,
    *,
    rejected: bool = False,
    overwrite: bool = False,
    nwb: Mapping[str, Any] | None = None,
    tracks: Path | str | None = None,
    behavior: Sequence[Path | str] = (),
    session: Path | str | None = None,
    outlines: bool = False,
    fps: float | None = None,
    pixel_size_um: float | None = None,
) -> tuple[str, ...]:
    """Write cells in another format: the accepted ones, or all.

    Parameters
    ----------
    cells : Cells or path-like
        The cells, or a file of them: ours, or another program's results.
    target : path-like
        The file or folder to make.
    format : str, optional
        A row of :mod:`calcium_lightning.io.writers.table`; default: by the target's ending.
    rejected : bool
        Write the cells that failed the quality tests too, marked as such.
    overwrite : bool
        Replace an existing target.
    nwb : mapping, optional
        Fields of :class:`calcium_lightning.io.writers.nwb_session.NwbSettings`.
    tracks : path-like, optional
        A tracks file that has these cells: adds ``track`` and ``track_probability`` of each.
    behavior : sequence of path-like
        Time stamps of behaviour cameras, or tables of events, for NWB, beside those that the cells have.
    session : path-like, optional
        The cells' recording, for a movie; default: where the cells say.
    outlines : bool
        Draw the cells into an MP4.
    fps, pixel_size_um : float, optional
        Frame rate, Hz, and micrometres per pixel of another program's results, which may not say them.

    Returns
    -------
    tuple of str
        What to know of what was written, a line each.

    Raises
    ------
    InputError
        If a file can't be read, the target exists or the format is unknown.
    """
    is_folder, target = str(target).endswith(("/", os.sep)), Path(target)
    writer = choose_writer(target) if format is None else find_writer(format)
    if behavior and writer.format != "nwb":
        raise InputError(f"behavior=: goes into NWB; format {writer.format} has no place for it")
    if not writer.movie and (outlines or session is not None):
        raise InputError(f"session= and outlines= are for movies, not for {writer.format}")
    if (is_folder or target.is_dir()) and not writer.folder:
        raise InputError(f"{target}: is a folder; an export of format {writer.format} is a file")
    if not target.is_dir():
        check_output(target, overwrite)
    source = None if isinstance(cells, Cells) else Path(cells)
    whole = cells if isinstance(cells, Cells) else read_cells(cells, fps, pixel_size_um)
    if tracks is not None:
        from calcium_lightning.io.tracked import with_tracks

        if source is None:
            raise InputError("tracks=: are of cells files; give the file in place of its cells")
        whole = with_tracks(whole, source, Path(tracks))
    chosen, rows = (whole, np.arange(len(whole))) if writer.whole else chosen_cells(whole, rejected)
    told = Export(
        source,
        rows,
        overwrite,
        (nwb or {}) if writer.format == "nwb" else {},
        tuple(map(Path, behavior)),
        outlines=outlines,
    )
    with ExitStack() as opened:
        if writer.movie:
            told = replace(told, movie=_movie(whole, session, opened))
        writer.write(chosen, target, told)
    lacking = rows[unmeasured(chosen)].tolist()
    if not lacking or writer.movie:
        return ()
    which = f"cell{'s' if len(lacking) > 1 else ''} {', '.join(map(str, lacking))}"
    return (
        f"{source or target}: {which}: drawn by hand and not regressed, so no trace was measured; "
        "curate cells=CELLS.h5 session=SESSION.h5 regresses what was drawn",
    )


def _movie(cells: Cells, session: Path | str | None, opened: ExitStack) -> Movie:
    """The recording of cells, corrected; open until the stack ends."""
    from calcium_lightning.io.same_recording import check_recording
    from calcium_lightning.io.session import Session
    from calcium_lightning.preprocess.motion.corrected import CorrectedMovie

    path = Path(session or cells.session)
    if not path.is_file():
        raise InputError(f"{path}: the cells' recording isn't there; session= says where it is")
    recording = opened.enter_context(Session(path))
    check_recording(recording, cells)
    return CorrectedMovie(recording, cells.shifts)


def own_file(path: Path) -> Path:
    """A cells file of ours for what a person gave, so that decisions can be kept in it.

    Parameters
    ----------
    path : Path
        A cells file, or another program's results: those are written as ``NAME.cells.h5`` in the folder that
        the user stands in, once; later calls find that file again.

    Raises
    ------
    InputError
        If they can't be read, or such a file is there and holds other cells.
    """
    program = find_program(path)
    if program is None:
        return path
    target = Path(f"{path.stem or path.resolve().name}.cells.h5")
    if not target.exists():
        export(path, target, "cells")
    elif read_cells(target).session != str(path):
        raise InputError(f"{target}: is there, and isn't made of {path}; move it, or go on with it itself")
    return target


def writer_of(target: Path | None, format: str | None) -> Writer:
    """The writer of a format, else the one that a target tells; NWB without either.

    Raises
    ------
    InputError
        For an unknown format or ending.
    """
    if format is not None:
        return find_writer(format)
    return find_writer("nwb") if target is None else choose_writer(target)
