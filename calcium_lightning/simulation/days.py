"""Several days of one animal: the same tissue, which lies otherwise each day, with other cells active.

For: cells whose identity across days is known, as footprints at once, or as recordings of each day.
Must not know: how cells are found or tracked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, vstack

from calcium_lightning.core.errors import InputError
from calcium_lightning.simulation.cells import Shapes, draw_cells, draw_footprints
from calcium_lightning.simulation.displacement import Displacement
from calcium_lightning.simulation.regressed import regressed
from calcium_lightning.simulation.settings import SceneSettings
from calcium_lightning.simulation.streams import stream

#: settings that are no less than 0
LENGTHS = (
    "drift_px",
    "rotation_deg",
    "bending_px",
    "defocus_px",
    "brightness_log_std",
    "background_log_std",
)


@dataclass(frozen=True)
class DaysSettings:
    """What differs between the days of one animal.

    Attributes
    ----------
    count : int
        How many.
    turnover : float
        Share of a day's cells that aren't active on the next: half of it is silent for a day, half is gone
        for good and others are new.
    drift_px : float
        Greatest shift of a day's field against the first's, pixels.
    rotation_deg, scale : float
        Greatest rotation, degrees, and relative change of scale.
    bending_px : float
        Greatest length of the bending over the field, pixels.
    defocus_px : float
        Greatest blur of a day, beyond the cells' own, pixels.
    brightness_log_std : float
        Log-normal spread of each cell's brightness between days.
    background_log_std : float
        The same of a day's haze and neuropil.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    count: int = 5
    turnover: float = 0.3
    drift_px: float = 30.0
    rotation_deg: float = 5.0
    scale: float = 0.01
    bending_px: float = 3.0
    defocus_px: float = 1.5
    brightness_log_std: float = 0.4
    background_log_std: float = 0.2

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or not 1 <= self.count <= 100:
            raise InputError(f"days.count={self.count}: a whole number from 1 to 100")
        if not 0 <= self.turnover <= 1:
            raise InputError(f"days.turnover={self.turnover}: from 0 to 1")
        for name in LENGTHS:
            if not 0 <= getattr(self, name) < 1000:
                raise InputError(f"days.{name}={getattr(self, name)}: from 0 to 1000")
        if not 0 <= self.scale < 0.5:
            raise InputError(f"days.scale={self.scale}: from 0 to 0.5")


@dataclass(frozen=True)
class Animal:
    """Who is there on which day, and how each day lies.

    Attributes
    ----------
    there : ndarray, bool (days, K)
        Which of the animal's cells are there: some come, some go for good.
    active : ndarray, bool (days, K)
        Which of them are active.
    brightness : ndarray (days, K)
        Of each, relative to its own.
    displacements : tuple of Displacement
        Of each day.
    defocus : ndarray (days,)
        Blur of each day, pixels.
    background : ndarray (days,)
        Haze and neuropil of each day, relative.
    """

    there: np.ndarray
    active: np.ndarray
    brightness: np.ndarray
    displacements: tuple[Displacement, ...]
    defocus: np.ndarray
    background: np.ndarray


def draw_animal(count: int, days: DaysSettings, size: tuple[int, int], rng: np.random.Generator) -> Animal:
    """Draw the days of an animal with `count` cells, those that are gone or not there yet included."""
    here = rng.random(count) < 0.7
    there = np.empty((days.count, count), bool)
    for day in range(days.count):
        there[day] = here
        leaving = here & (rng.random(count) < days.turnover / 2)
        absent = np.flatnonzero(~here)
        coming = rng.permutation(absent)[: int(leaving.sum())]
        here = here & ~leaving
        here[coming] = True
    silent = rng.random((days.count, count)) < days.turnover / 2
    lies = [Displacement.none(size)]
    most = days.drift_px, days.rotation_deg, days.scale, days.bending_px
    lies += [Displacement.draw(*most, size, rng) for _ in range(days.count - 1)]
    return Animal(
        there,
        there & ~silent,
        rng.lognormal(0, days.brightness_log_std, (days.count, count)),
        tuple(lies),
        np.concatenate([[0.0], rng.uniform(0, days.defocus_px, days.count - 1)]),
        rng.lognormal(0, days.background_log_std, days.count),
    )


@dataclass(frozen=True)
class DrawnDay:
    """Footprints of one day as a good method would find them.

    Attributes
    ----------
    footprints : csr_matrix, float32 (K, H*W)
        Each with a peak of 1.
    identity : ndarray, int64 (K,)
        Which of the animal's cells each is; -1 for what is none.
    displacement : Displacement
        How the day lies.
    """

    footprints: csr_matrix
    identity: np.ndarray
    displacement: Displacement


def draw_days(
    settings: SceneSettings,
    days: DaysSettings,
    seed: int = 0,
    *,
    missed: float = 0.05,
    false: float = 0.03,
    noise: float = 0.12,
) -> list[DrawnDay]:
    """Footprints of each day without recordings: what tracking is tried on.

    Parameters
    ----------
    settings : SceneSettings
        The field and its cells.
    days : DaysSettings
        What differs between days.
    seed : int
        Everything random follows from it.
    missed, false : float
        Share of cells that extraction misses, and of footprints that are no cell.
    noise : float
        Smooth noise of each footprint, relative to its peak.

    Returns
    -------
    list of DrawnDay
    """
    size = (settings.height_px, settings.width_px)
    cells = draw_cells(settings, margin_px(settings, days), stream(seed, "cells"))
    rng = stream(seed, "days")
    animal = draw_animal(len(cells), days, size, rng)
    drawn = []
    for day, displacement in enumerate(animal.displacements):
        seen = np.flatnonzero(animal.active[day] & (rng.random(len(cells)) >= missed))
        some = moved(cells, seen, displacement, animal.defocus[day])
        images, _ = draw_footprints(some, (0, 0), size, settings.psf_sigma_px)
        shown = np.flatnonzero(images.max(1).toarray().ravel() > 0.5)
        others = _others(settings, rng.poisson(false * len(shown)), rng)
        fakes, _ = draw_footprints(others, (0, 0), size, settings.psf_sigma_px)
        found = csr_matrix(vstack([images[shown], fakes], format="csr"))
        identity = np.concatenate([seen[shown], np.full(len(others), -1)])
        order = rng.permutation(len(identity))
        found = regressed(csr_matrix(found[order]), size, noise, settings.mean_diameter_px, rng)
        drawn.append(DrawnDay(found, identity[order], displacement))
    return drawn


def margin_px(settings: SceneSettings, days: DaysSettings) -> int:
    """How much of the tissue around the first day's field other days may show, pixels."""
    widest = max(settings.height_px, settings.width_px)
    return math.ceil(days.drift_px + 3 * days.bending_px + 0.1 * widest + settings.mean_diameter_px)


def moved(cells: Shapes, rows: np.ndarray, displacement: Displacement, defocus: float) -> Shapes:
    """Some cells as they lie on a day, and as blurred as that day is."""
    return Shapes(
        displacement.apply(cells.centers[rows]),
        cells.diameter[rows] * displacement.scale,
        cells.elongation[rows],
        cells.angle[rows] + displacement.angle,
        np.hypot(cells.blur[rows], defocus),
        cells.outline[rows],
    )


def _others(settings: SceneSettings, count: int, rng: np.random.Generator) -> Shapes:
    """Things that are no cells: as large as cells, anywhere."""
    drawn = draw_cells(settings.replace(clustering=0.0, density_per_1000_px2=10.0), 0.0, rng)
    rows = rng.permutation(len(drawn))[:count]
    return moved(drawn, rows, Displacement.none((settings.height_px, settings.width_px)), 0.0)
