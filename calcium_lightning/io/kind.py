"""Which of our files a file may be, without reading it: which of a folder's are meant.

Knows the attribute that says so; knows nothing of what else is in the files.
"""

from __future__ import annotations

from pathlib import Path

import h5py

from calcium_lightning.io import hdf5

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
    try:
        with h5py.File(path, "r") as file:
            return mark in file
    except (OSError, RuntimeError):
        return True


def _said(path: Path) -> str:
    """What a file says that it is; empty where it says nothing, or can't be read."""
    try:
        with h5py.File(path, "r") as file:
            return hdf5.text(file.attrs.get("format", ""))
    except (OSError, RuntimeError):
        return ""
