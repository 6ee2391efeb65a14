"""The footprints of one session, which is all that tracking needs to know of it.

For: readers of anybody's cells, and :mod:`calcium_lightning.tracking`.
Must not know: how the cells were found, or which file they are from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import CellTable, footprint_centers
from calcium_lightning.core.scale import CENTROID_LEVEL


@dataclass(frozen=True)
class FootprintSet:
    """K footprints of one field.

    Attributes
    ----------
    footprints : csr_matrix, float32 (K, H*W)
        Not negative, of any scale.
    frame_shape : (int, int)
        (H, W).
    rows : ndarray, int64 (K,)
        Which row of its file each is.
    name : str
        What messages and pages call the session.
    path, sha256 : str
        Its file; empty where there is none.
    found, log : str
        What is known of the file whatever is decided about its cells: which were found, and what was decided
        so far (:func:`~calcium_lightning.io.curation_file.marks_of`); empty for other programs' files.
    pixel_size_um : float or None
        Micrometres per pixel.
    total : int
        Cells of the file, those that aren't here included.
    mean_image : ndarray, float32 (H, W), or None
        To look at.
    field : ndarray, bool (H, W), or None
        Which pixels show tissue; all of them where it is None.
    """

    footprints: csr_matrix
    frame_shape: tuple[int, int]
    rows: np.ndarray
    name: str = ""
    path: str = ""
    sha256: str = ""
    found: str = ""
    log: str = ""
    pixel_size_um: float | None = None
    total: int = 0
    mean_image: np.ndarray | None = None
    field: np.ndarray | None = None

    @classmethod
    def of(cls, cells: CellTable, name: str = "", rejected: bool = False) -> FootprintSet:
        """Those of cells: the accepted ones, or all."""
        rows = np.arange(len(cells)) if rejected else np.flatnonzero(cells.accepted)
        return cls(
            csr_matrix(cells.footprints[rows]),
            cells.frame_shape,
            rows,
            name or cells.session,
            pixel_size_um=cells.pixel_size_um,
            total=len(cells),
            mean_image=cells.mean_image,
            field=cells.field,
        )

    def __len__(self) -> int:
        return len(self.rows)

    def nonempty(self) -> FootprintSet:
        """The same without footprints that hold nothing."""
        kept = np.flatnonzero(np.isfinite(self.centers).all(1))
        return replace(self, footprints=csr_matrix(self.footprints[kept]), rows=self.rows[kept])

    @cached_property
    def centers(self) -> np.ndarray:
        """(y, x) of the centroid of each footprint's part above 30 % of its peak, float64 (K, 2), pixels."""
        return footprint_centers(self.footprints, self.frame_shape).astype(np.float64)

    @cached_property
    def areas(self) -> np.ndarray:
        """Pixels of each footprint above 30 % of its peak, float64 (K,)."""
        matrix = self.footprints
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        peaks = np.zeros(matrix.shape[0])
        np.maximum.at(peaks, rows, matrix.data)
        bright = matrix.data > CENTROID_LEVEL * peaks[rows]
        return np.bincount(rows, bright, matrix.shape[0])

    @property
    def visible(self) -> np.ndarray:
        """Which pixels show tissue, bool (H, W)."""
        return np.ones(self.frame_shape, bool) if self.field is None else np.asarray(self.field, bool)

    @property
    def diameter(self) -> float:
        """Typical diameter, pixels: of a disc of the median area above 30 % of the peak."""
        return float(2 * np.sqrt(np.median(self.areas) / np.pi)) if len(self) else float("nan")
