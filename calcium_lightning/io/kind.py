"""Which of our files a file may be, without reading it: which of a folder's are meant.

Knows the attribute that says so; knows nothing of what else is in the files.
"""

from __future__ import annotations

from pathlib import Path

import h5py

from calcium_lightning.io import hdf5


def may_be_session(path: Path) -> bool:
    """Whether a file is a session, or a damaged one for all that can be told: those are not passed over."""
    return _may_be(path, "calcium-lightning-session", "frames")


def may_be_cells(path: Path) -> bool:
    """The same of a cells file."""
    return _may_be(path, "calcium-lightning-cells", "footprints")


def _may_be(path: Path, kind: str, mark: str) -> bool:
    try:
        with h5py.File(path, "r") as file:
            said = hdf5.text(file.attrs.get("format", ""))
            return said == kind if said else mark in file
    except (OSError, KeyError, ValueError, RuntimeError):
        return True
