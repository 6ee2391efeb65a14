"""Which of our files a file may be, without reading it: which of a folder's are meant.

Knows the attribute that says so; knows nothing of what else is in the files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import h5py

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import reading
from calcium_lightning.io import hdf5
from calcium_lightning.io.stored import open_stored

Seen = TypeVar("Seen")
SESSION, CELLS = "calcium-lightning-session", "calcium-lightning-cells"


def may_be_session(path: Path) -> bool:
    """Whether a file is a session, or a damaged one for all that can be told: those are not passed over."""
    return _may_be(path, SESSION, "frames")


def is_session(path: Path) -> bool:
    """Whether a file says that it is a session."""
    return path.suffix.lower() in (".h5", ".hdf5") and _said(path) == SESSION


def is_cells(path: Path) -> bool:
    """Whether a file says that it holds cells of ours."""
    return path.suffix.lower() in (".h5", ".hdf5") and _said(path) == CELLS


def may_be_cells(path: Path) -> bool:
    """The same of a cells file."""
    return _may_be(path, CELLS, "footprints")


def _may_be(path: Path, kind: str, mark: str) -> bool:
    said = _said(path)
    if said:
        return said == kind
    return _look(path, lambda file: mark in file, True)


def _said(path: Path) -> str:
    """What a file says that it is; empty where it says nothing, or can't be read."""
    return _look(path, lambda file: hdf5.text(file.attrs.get("format", "")), "")


def _look(path: Path, see: Callable[[h5py.File], Seen], otherwise: Seen) -> Seen:
    """What is seen in a file, or something else where it can't be read: whoever reads it says why."""
    try:
        with reading(path), open_stored(path) as file:
            return see(file)
    except (InputError, OSError):
        return otherwise
