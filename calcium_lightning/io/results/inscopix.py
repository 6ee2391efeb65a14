"""Inscopix cell sets (``.isxd``): footprint and trace of each cell, one after the other, and JSON.

A footprint is float32 pixels, row by row, a trace float32 samples; so Inscopix's own package writes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.inscopix import fraction, read_any_footer
from calcium_lightning.io.results.build import Footprints, cells_of

#: of the footer's CellStatuses
ACCEPTED, REJECTED = 0, 2


def suits(path: Path) -> bool:
    """An ``.isxd`` file whose footer names cells."""
    if not path.is_file() or path.suffix.lower() != ".isxd":
        return False
    found = read_any_footer(path)
    return found is not None and "CellNames" in found[0]


@dataclass(frozen=True)
class _CellSet:
    """What is read of a file: a row of numbers per cell, footprint and trace, and what its footer says."""

    values: np.ndarray
    frame_shape: tuple[int, int]
    accepted: np.ndarray
    fps: float | None
    pixel_size_um: float | None

    @property
    def footprints(self) -> Footprints:
        """The first part of each row."""
        height, width = self.frame_shape
        return Footprints(csr_matrix(self.values[:, : height * width]), self.frame_shape, self.accepted)


def footprints(path: Path) -> Footprints:
    """Where the cells of a cell set are.

    Raises
    ------
    InputError
        If it is of a layout that isn't known.
    """
    return _cell_set(path).footprints


def read(path: Path) -> Cells:
    """The cells of a cell set.

    Raises
    ------
    InputError
        If it is of a layout that isn't known.
    """
    found = _cell_set(path)
    height, width = found.frame_shape
    return cells_of(
        path,
        "Inscopix",
        found.footprints,
        found.values[:, height * width :],
        fps=found.fps,
        pixel_size_um=found.pixel_size_um,
    )


def _cell_set(path: Path) -> _CellSet:
    found = read_any_footer(path)
    assert found is not None
    footer, size = found
    try:
        timing, spacing = footer["timingInfo"], footer["spacingInfo"]
        width, height = int(spacing["numPixels"]["x"]), int(spacing["numPixels"]["y"])
        frames = int(timing["numTimes"])
        period = fraction(timing["period"])
        pixel_size = fraction(spacing["pixelSize"]["x"])
        names, statuses = footer["CellNames"], np.array(footer["CellStatuses"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError) as error:
        raise InputError(
            f"{path}: not an Inscopix cell set that can be read (its footer lacks {error})"
        ) from error
    each = 4 * (height * width + frames)
    if len(statuses) != len(names):
        raise InputError(f"{path}: {len(statuses)} statuses for {len(names)} cells")
    if len(names) * each > size:
        raise InputError(f"{path}: {size} bytes for {len(names)} cells of {each}; cut off, or another layout")
    values = np.fromfile(path, "<f4", len(names) * each // 4).reshape(len(names), each // 4)
    return _CellSet(
        values,
        (height, width),
        # where nobody has accepted any, those that nobody rejected count
        statuses == ACCEPTED if (statuses == ACCEPTED).any() else statuses != REJECTED,
        1 / period if period > 0 else None,
        pixel_size if pixel_size > 0 else None,
    )
