"""Recordings of several days of one animal: its cells and vessels, which lie and light otherwise each day.

Knows how days differ (:mod:`~calcium_lightning.simulation.days`) and how a scene is drawn; what a day doesn't
share with the others (motion, activity, neuropil, noise) is drawn anew for each.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import map_coordinates

from calcium_lightning.core.errors import InputError
from calcium_lightning.simulation.background import draw_vessels
from calcium_lightning.simulation.cells import Shapes, draw_cells
from calcium_lightning.simulation.days import Animal, DaysSettings, draw_animal, margin_px, moved
from calcium_lightning.simulation.scene import Scene
from calcium_lightning.simulation.settings import SceneSettings
from calcium_lightning.simulation.streams import stream
from calcium_lightning.simulation.writing import write_scene


class RecordedDay:
    """The tissue of one day, as :class:`~calcium_lightning.simulation.tissue.Tissue` takes it.

    Parameters
    ----------
    cells : Shapes
        All cells of the animal, as they lie on the first day.
    brightness : ndarray (K,)
        Of each, of a typical burst.
    vessels : ndarray (H', W')
        Transmission of the animal's vessels on the first day, with `margin` pixels around the field.
    margin : int
        Those.
    animal : Animal
        Who is there on which day, and how each day lies.
    number : int
        Which day.
    """

    def __init__(
        self,
        cells: Shapes,
        brightness: np.ndarray,
        vessels: np.ndarray,
        margin: int,
        animal: Animal,
        number: int,
    ) -> None:
        self._vessels, self._margin = vessels, margin
        self.displacement = animal.displacements[number]
        self.cells = moved(cells, np.arange(len(cells)), self.displacement, float(animal.defocus[number]))
        self.brightness = brightness * animal.brightness[number] * animal.there[number]
        self.active = animal.active[number]
        self.background = float(animal.background[number])

    def vessels(self, margin: int) -> np.ndarray:
        """Transmission over the field and `margin` pixels around it, float32."""
        height, width = self.displacement.size
        y, x = np.mgrid[-margin : height + margin, -margin : width + margin]
        at = self.displacement.invert(np.column_stack([y.ravel(), x.ravel()]).astype(float)) + self._margin
        values = map_coordinates(self._vessels, at.T, order=1, mode="nearest")
        return values.reshape(y.shape).astype(np.float32)


def recorded_days(settings: SceneSettings, days: DaysSettings, seed: int = 0) -> list[Scene]:
    """The scenes of each day; they render frames as they are asked for.

    Parameters
    ----------
    settings : SceneSettings
        The field, its cells and the instrument.
    days : DaysSettings
        What differs between days.
    seed : int
        Everything random follows from it.

    Returns
    -------
    list of Scene
        Their truth says which of the animal's cells each is.
    """
    size = (settings.height_px, settings.width_px)
    margin = margin_px(settings, days)
    cells = draw_cells(settings, margin, stream(seed, "cells"))
    spread = stream(seed, "brightness").lognormal(0, settings.brightness_log_std, len(cells))
    full = (size[0] + 2 * margin, size[1] + 2 * margin)
    vessels = draw_vessels(full, settings, stream(seed, "vessels"))
    animal = draw_animal(len(cells), days, size, stream(seed, "days"))
    return [
        Scene(
            settings,
            int(np.random.SeedSequence([seed, number]).generate_state(1)[0]),
            RecordedDay(cells, settings.brightness * spread, vessels, margin, animal, number),
        )
        for number in range(days.count)
    ]


def write_days(
    folder: Path | str,
    settings: SceneSettings,
    days: DaysSettings,
    seed: int = 0,
    *,
    overwrite: bool = False,
    compression: str | None = None,
) -> dict[Path, Scene]:
    """Simulate the days of one animal, a session file each: ``day1.h5``, ``day2.h5``, ...

    Parameters
    ----------
    folder : path-like
        Where they go.
    settings, days, seed
        As :func:`recorded_days` takes them.
    overwrite : bool
        Replace existing files.
    compression : {None, "gzip", "lz4"}
        Of the frames.

    Raises
    ------
    InputError
        If one of the files exists, or the folder is a file.
    """
    folder = Path(folder)
    if folder.is_file():
        raise InputError(f"{folder}: is a file; several days go into a folder")
    paths = [folder / f"day{number + 1}.h5" for number in range(days.count)]
    taken = [path for path in paths if path.exists()]
    if taken and not overwrite:
        raise InputError(f"{taken[0]}: exists; overwrite=true replaces it")
    folder.mkdir(parents=True, exist_ok=True)
    made = dict(zip(paths, recorded_days(settings, days, seed), strict=True))
    for path, scene in made.items():
        write_scene(path, scene, overwrite=overwrite, compression=compression)
    return made
