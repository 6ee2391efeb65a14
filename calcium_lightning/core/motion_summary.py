"""What cells tell of the motion of their session: how much was removed, and how much differs over the field.

For the line that ``extract`` prints and for the report.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from calcium_lightning.core.cells import CellTable


def displaced(shifts: np.ndarray) -> np.ndarray:
    """How far each frame lies from where the field mostly is, pixels, of shifts (T, 2)."""
    length: np.ndarray = np.hypot(*(shifts - np.median(shifts, 0)).T)
    return length


@dataclass(frozen=True)
class MotionSummary:
    """Lengths of displacements, pixels.

    Attributes
    ----------
    removed, largest : float
        Root mean square and maximum of the motion of the whole field.
    nonrigid : float or None
        Root mean square of what differs over the field; None where it isn't known.
    places : list of list of (float, float)
        For each place at which motion was removed, in rows: root mean square of its motion against the whole
        field's, and its standard error. Empty where the field was taken to move as one.
    """

    removed: float
    largest: float
    nonrigid: float | None = None
    places: list[list[tuple[float, float]]] = field(default_factory=list)

    @classmethod
    def of(cls, cells: CellTable) -> MotionSummary:
        """Look at the motion that was removed from the session of ``cells``."""
        length = displaced(cells.shifts) if len(cells.shifts) else np.zeros(1)
        places: list[list[tuple[float, float]]] = []
        if cells.patch_shifts is not None and cells.patch_std is not None:
            apart = cells.patch_shifts - cells.shifts[:, None, None]
            apart -= apart.mean(0)
            rms, std = np.sqrt((apart**2).sum(-1).mean(0)), np.hypot(*np.moveaxis(cells.patch_std, -1, 0))
            places = [
                [(float(a), float(b)) for a, b in zip(*row, strict=True)]
                for row in zip(rms, std, strict=True)
            ]
        return cls(float(np.sqrt((length**2).mean())), float(length.max()), cells.nonrigid, places)

    def __str__(self) -> str:
        text = f"motion {self.removed:.2f} px"
        if self.places:
            error = np.sqrt(np.mean([std**2 for row in self.places for _, std in row]))
            return f"{text} and {self.nonrigid or 0:.2f} ± {error:.2f} px that differs over the field removed"
        return f"{text} removed, {self.nonrigid or 0:.2f} px that differs over the field left"
