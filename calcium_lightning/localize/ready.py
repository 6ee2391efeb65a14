"""A session that cells were found in, prepared once more: what it takes to regress further cells on it.

The same functions as ``extract`` uses, on the motion that the cells file holds. For: cells that come later,
drawn by a person or looked for because another day has them. Must not know who asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import yaml

from calcium_lightning.core.cells import CellTable
from calcium_lightning.io.base_session import BaseSession, DerivedSession
from calcium_lightning.localize.finder import LocalizeSettings
from calcium_lightning.localize.foreground import write_foreground
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.nn.checkpoint import load_network
from calcium_lightning.preprocess.diameter import guess_diameter
from calcium_lightning.preprocess.motion.types import PatchShifts
from calcium_lightning.preprocess.prepare import Known, PreprocessSettings, prepare
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.preprocess.repaired import RepairedSession, kept_frames


@dataclass
class Ready:
    """A session that is prepared.

    Attributes
    ----------
    prepared : Prepared
        Its background, noise, scale.
    movie : ScratchMovie
        Its foreground, frames that hold a picture only.
    kept : ndarray of int (T',)
        Which frames those are.
    place : ndarray of int (T,)
        Where each frame of the recording is among them, -1 for those without a picture.
    """

    prepared: Prepared
    movie: ScratchMovie
    kept: np.ndarray
    place: np.ndarray

    @classmethod
    def of(
        cls,
        session: BaseSession,
        cells: CellTable,
        read: Callable[[int], None] = lambda count: None,
        foreground: Callable[[], None] = lambda: None,
    ) -> Ready:
        """Prepare the session that cells were found in.

        Parameters
        ----------
        session : BaseSession
            The recording; it is read three times.
        cells : CellTable
            Their motion, field and settings.
        read : callable
            Is told how many frames were read, each time.
        foreground : callable
            Is told when the background is known, and is taken off.
        """
        settings, diameter = settings_of(cells.config)
        settings = settings.for_background(load_network(None)[1].background_diameters)
        counted: BaseSession = Counted(session, read)
        if settings.repair_defects:
            counted = RepairedSession.of(counted, cells.field)
        diameter = diameter or guess_diameter(counted).diameter
        prepared = prepare(counted, diameter, settings, fps=cells.fps, known=motion_of(cells))
        foreground()
        movie = ScratchMovie(prepared.scale.size)
        write_foreground(prepared, movie, "cpu", LocalizeSettings().neuropil)
        kept = kept_frames(prepared.session)
        place = np.full(cells.n_frames, -1)
        place[kept] = np.arange(len(kept))
        return cls(prepared, movie, kept, place)


class Counted(DerivedSession):
    """A session that says how many of its frames were read: how far work on it has come."""

    def __init__(self, original: BaseSession, read: Callable[[int], None]) -> None:
        super().__init__(original)
        self._read = read

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Read, and say so."""
        self.original.read_into(start, out)
        self._read(len(out))


def motion_of(cells: CellTable) -> Known:
    """The motion that a cells file holds."""
    patches = None
    if cells.patch_shifts is not None and cells.patch_std is not None:
        patches = PatchShifts(cells.patch_shifts, cells.patch_std)
    return Known(cells.shifts, patches, cells.nonrigid, cells.pattern_cleared)


def settings_of(config: str) -> tuple[PreprocessSettings, float | None]:
    """How a cells file says that its session was prepared, and the cells' diameter where it was given.

    Numbers and switches only: nothing that a file names is imported.
    """
    try:
        given = yaml.safe_load(config)
        chosen = given["preprocess"]
        diameter = given.get("cell_diameter")
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return PreprocessSettings(), None
    names = (
        "background_diameters",
        "baseline_seconds",
        "baseline_frames",
        "noise_floor",
        "repair_defects",
        "repair_stretch",
        "correlated_noise",
    )
    plain = {
        name: chosen[name]
        for name in names
        if isinstance(chosen, dict) and isinstance(chosen.get(name), int | float | bool)
    }
    known = float(diameter) if isinstance(diameter, int | float) and diameter > 0 else None
    return PreprocessSettings(**plain), known
