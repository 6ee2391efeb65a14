"""What tests of ``ingest`` give it, and look for afterwards."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from PIL import Image


def left_behind(folder: Path) -> list[str]:
    """Files that a failed command has no business leaving, hidden ones too."""
    return [str(path) for path in folder.rglob("*") if path.suffix == ".h5" or ".tmp" in path.name]


def refused(outcome, *words: str, status: int = 2) -> None:
    """Assert the contract's exit status and one clear line with the given words."""
    assert outcome.status == status, outcome
    lines = outcome.stderr.strip().splitlines()
    assert len(lines) == 1, outcome.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]


def folder_of_pictures(path: Path, frames: np.ndarray, ending: str = "png") -> Path:
    path.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"frame_{index:04d}.{ending}")
    return path


def array(path: Path, frames: np.ndarray, name: str = "mov", **attributes: float) -> Path:
    with h5py.File(path, "w") as file:
        file[name] = frames
        file[name].attrs.update({"fps": 20.0, **attributes})
    return path
